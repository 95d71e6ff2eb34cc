"""A checkpoint as an ONNX graph: a quantised base whose LoRA adapters are ordinary inputs.

Outcome: `build_graph(checkpoint, folder, weights)` writes `graph.onnx`, its weights beside it, and `graph.json`, which
says how adapter files map to inputs. The graph takes one or more new tokens for each row (n rows, s tokens in each, m =
n·s of them in all) and gives logits where they are wanted:

    tokens (n, s) int64               new tokens
    positions (n, s) int64
    lengths (n) int32                 tokens in each row including the new ones, minus one
    total (1) int32                   the longest row, including the new tokens
    at (w) int64                      which of the m tokens, row after row, logits are wanted after
    past_kI, past_vI                  (n, kv heads, capacity, head size) float32, one buffer for past and present
    SITE.a (g, GROUP, width in), SITE.b (g·GROUP, width out)   float32: all adapters in use, ranks side by side
    weights1, weights2, …             (m, g·GROUP) float32: how much of each rank each token takes; the number is that
                                      of the projections that a site fuses, each of which has the adapter's rank
    -> logits (w, vocabulary) float32, present_kI, present_vI

So an adapter is a weight of one on its own ranks, a blend is a weight on those of several, the bare base is zeros, and
any mix of them is one batch. Two dialects come from one description: GPT-2 (LayerNorm, learned positions, tanh GELU)
and Llama (RMSNorm, rotary positions, grouped heads, gated MLP). The operators are ONNX Runtime's own. Projections that
read the same input are fused (query, key, value; gate, up), so their adapters are fused too, see `Part`.

What a row gives does not depend on its company, to the last bit. "int8" weights have a scale for each output column,
and activations one for each token (not one for all, as `DynamicQuantizeLinear` would): the products are sums of whole
numbers, which are exact in any order. Adapters are multiplied in groups of `GROUP` ranks, because MLAS cuts a sum into
other pieces when a matrix has another number of columns. "int4" (blocks of 32, MatMulNBits) is smaller and not so
strict; "float32" leaves the weights exact. Embeddings are int8 with a scale for each token, and float32.
"""

from __future__ import annotations

import errno
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from filelock import FileLock
from onnx import TensorProto, helper, numpy_helper
from pydantic import TypeAdapter
from safetensors import safe_open

from bot.errors import BaseUnavailable, DiskFull, MockingbirdError
from bot.generation.graph_description import GROUP, GraphDescription, Part, Site, Weights
from bot.training.job import say_why

Array = npt.NDArray[Any]
_FLOAT = TensorProto.FLOAT

_VENDOR = "com.microsoft"
HEAD = "head"  # what makes logits
_SMALLEST = 1e-12  # a scale is never zero


@dataclass(frozen=True, slots=True)
class _Shape:
    """The sizes that both dialects share."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    positions: int
    epsilon: float


def build_graph(checkpoint: Path, folder: Path, weights: Weights) -> None:
    """Write the graph of the transformers folder `checkpoint` into `folder`, unless it is there already.

    Raises `BaseUnavailable` for an architecture that is neither GPT-2 nor Llama.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / ".lock"):  # a service and a command may both want it at the first start
        if not (folder / "graph.json").is_file():
            _build(checkpoint, folder, weights)


def _build(checkpoint: Path, folder: Path, weights: Weights) -> None:
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    dialect = _DIALECTS.get(config["model_type"])
    if dialect is None:
        known = " and ".join(sorted(_DIALECTS))
        raise BaseUnavailable(
            f"The base is a {config['model_type']}; only {known} can speak here. Choose another [model] base."
        )
    with safe_open(checkpoint / "model.safetensors", framework="np") as tensors:
        graph = _Graph(tensors, weights)
        description = dialect(graph, config)
    for stale in set(folder.parent.glob(f"{weights}-*")) - {folder}:  # of an older format
        shutil.rmtree(stale, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "graph.data").unlink(missing_ok=True)  # onnx appends to what an interrupted build left
    onnx.save(
        graph.model(),
        folder / "graph.onnx",
        save_as_external_data=True,
        location="graph.data",
        size_threshold=1024,
    )
    unfinished = folder / "graph.json.new"
    unfinished.write_text(description.model_dump_json(indent=1), encoding="utf-8")
    unfinished.replace(folder / "graph.json")  # last, and at once: now it is whole


class _Graph:
    """Collects nodes, initialisers, inputs and outputs; `x = graph.op(...)` reads like the computation."""

    def __init__(self, tensors: Any, weights: Weights) -> None:
        self._tensors = tensors  # an open safetensors file, read tensor by tensor
        self._names = {name.removeprefix("transformer."): name for name in tensors.keys()}  # noqa: SIM118
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._shapes: set[str] = set()  # constants that say a shape
        self._fused: set[int] = set()  # how many projections sites fuse, where an input of weights exists for it
        self.sites: list[Site] = []

    def weight(self, name: str) -> Array:
        """A tensor of the checkpoint as float32. Raises `BaseUnavailable` when it isn't there."""
        if name not in self._names:
            raise BaseUnavailable(f"The base lacks the tensor {name}; its folder is incomplete. Prepare it again.")
        return np.asarray(self._tensors.get_tensor(self._names[name]), np.float32)

    def has(self, name: str) -> bool:
        """Whether the checkpoint holds that tensor."""
        return name in self._names

    def model(self) -> onnx.ModelProto:
        """The finished model."""
        graph = helper.make_graph(self._nodes, "mockingbird", self._inputs, self._outputs, self._constants)
        opsets = [helper.make_opsetid("", 20), helper.make_opsetid(_VENDOR, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)

    def input(self, name: str, kind: int, shape: list[str | int]) -> str:
        self._inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, name: str, shape: list[str | int]) -> str:
        self._outputs.append(helper.make_tensor_value_info(name, _FLOAT, shape))
        return name

    def constant(self, name: str, array: Array) -> str:
        self._constants.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name

    def op(self, kind: str, inputs: list[str], output: str, domain: str = "", **attributes: Any) -> str:
        return self.ops(kind, inputs, [output], domain, **attributes)[0]

    def ops(self, kind: str, inputs: list[str], outputs: list[str], domain: str = "", **attributes: Any) -> list[str]:
        self._nodes.append(helper.make_node(kind, inputs, outputs, domain=domain, **attributes))
        return outputs

    def embed(self, name: str, table: Array, tokens: str) -> str:
        """Rows (n, s, width) of a table."""
        if self._weights == "float32":
            return self.op("Gather", [self.constant(f"{name}.table", table), tokens], f"{name}.rows")
        scale = np.maximum(np.abs(table).max(-1, keepdims=True), _SMALLEST) / 127
        stored = self.constant(f"{name}.table", np.rint(table / scale).astype(np.int8))
        whole = self.op("Cast", [self.op("Gather", [stored, tokens], f"{name}.rows")], f"{name}.whole", to=_FLOAT)
        scales = self.op("Gather", [self.constant(f"{name}.s", scale), tokens], f"{name}.scales")
        return self.op("Mul", [whole, scales], f"{name}.x")

    def project(self, x: str, name: str, matrix: Array) -> str:
        """`x @ matrix`, x (m, in), matrix (in, out), quantised if wanted."""
        if self._weights == "float32":
            return self.op("MatMul", [x, self.constant(f"{name}.w", matrix)], f"{name}.mm")
        return self._project_int8(x, name, matrix) if self._weights == "int8" else self._project_int4(x, name, matrix)

    def _project_int8(self, x: str, name: str, matrix: Array) -> str:
        """Whole numbers times whole numbers, scaled by the token and by the output column.

        What 8 bits leave of x goes along as rows of its own, in 8 bits again: both share one pass over the weights.
        Without them a base loses 0.03 to 0.05 nats a token, of which the head, where they cost most, accounts for 0.01
        (docs/log.md); so the head does without.
        """
        scale = np.maximum(np.abs(matrix).max(0), _SMALLEST) / 127
        stored, of_columns = self.constant(f"{name}.q", np.rint(matrix / scale).astype(np.int8)), f"{name}.s"
        self.constant(of_columns, scale)
        rest = name != HEAD
        whole, scales = self._whole_numbers(x, rest)
        product = self.op(
            "MatMulIntegerToFloat", [whole, stored, "one", of_columns, "middle", ""], f"{name}.product", _VENDOR
        )
        if rest:
            coarse, fine = self.ops("Split", [product], [f"{name}.coarse", f"{name}.fine"], axis=0, num_outputs=2)
            product = self.op("Add", [coarse, self.op("Mul", [fine, "finer"], f"{name}.finer")], f"{name}.both")
        return self.op("Mul", [product, scales], f"{name}.mm")

    def _whole_numbers(self, x: str, rest: bool) -> tuple[str, str]:
        """x (m, in) in 127ths of each row's highest value, and these (m, 1); with the rest, below, in 254ths of those.

        8-bit numbers around 128, (m, in) or (2m, in): for those MLAS has the quickest product.
        """
        highest = self.op("ReduceMax", [self.op("Abs", [x], f"{x}.abs"), "last_axis"], f"{x}.highest", keepdims=1)
        scales = self.op("Mul", [self.op("Max", [highest, "smallest"], f"{x}.max"), "step"], f"{x}.scales")
        scaled = self.op("Div", [x, scales], f"{x}.scaled")
        coarse = self.op("QuantizeLinear", [scaled, "one", "middle"], f"{x}.coarse")
        if not rest:
            return coarse, scales
        known = self.op("DequantizeLinear", [coarse, "one", "middle"], f"{x}.known")
        fine = self.op("QuantizeLinear", [self.op("Sub", [scaled, known], f"{x}.left"), "finer", "middle"], f"{x}.fine")
        return self.op("Concat", [coarse, fine], f"{x}.both", axis=0), scales

    def _project_int4(self, x: str, name: str, matrix: Array) -> str:
        inputs, outputs = matrix.shape
        block = next(size for size in (32, 16) if inputs % size == 0)
        blocks = matrix.T.reshape(outputs, inputs // block, block)
        scale = np.maximum(np.abs(blocks).max(-1, keepdims=True), _SMALLEST) / 7
        whole = (np.clip(np.rint(blocks / scale), -7, 7) + 8).astype(np.uint8)
        stored = self.constant(f"{name}.q", whole[..., 0::2] | (whole[..., 1::2] << 4))
        return self.op(
            "MatMulNBits",
            [x, stored, self.constant(f"{name}.s", scale.reshape(outputs, inputs // block))],
            f"{name}.mm",
            _VENDOR,
            K=inputs,
            N=outputs,
            bits=4,
            block_size=block,
            accuracy_level=4,
        )

    def adapted(self, x: str, name: str, matrices: dict[str, Array], bias: Array | None = None) -> str:
        """The projections `matrices` (module name -> (in, out)) fused into one, with a place for their adapters."""
        fused = np.concatenate(list(matrices.values()), axis=1)
        inputs, outputs = fused.shape
        offsets = np.cumsum([0, *(matrix.shape[1] for matrix in matrices.values())])
        parts = tuple(
            Part(module=module, offset=int(offset), width=matrix.shape[1])
            for (module, matrix), offset in zip(matrices.items(), offsets, strict=False)
        )
        self.sites.append(Site(name=name, inputs=inputs, outputs=outputs, parts=parts))
        low = self._low_rank(x, self.sites[-1])
        y = self.op("Add", [self.project(x, name, fused), low], f"{name}.sum")
        return y if bias is None else self.op("Add", [y, self.constant(f"{name}.bias", bias)], f"{name}.out")

    def _low_rank(self, x: str, site: Site) -> str:
        """What the adapters in use add: (x @ A^T) * weights @ B, the ranks in groups that do not know each other."""
        name, fused = site.name, len(site.parts)
        groups, ranks = f"groups{fused}", f"ranks{fused}"
        if fused not in self._fused:
            self._fused.add(fused)
            self.input(f"weights{fused}", _FLOAT, ["m", ranks])
        a = self.input(f"{name}.a", _FLOAT, [groups, GROUP, site.inputs])
        b = self.input(f"{name}.b", _FLOAT, [ranks, site.outputs])
        grouped = self.op("FusedMatMul", [x, a], f"{name}.xa", _VENDOR, transB=1)  # (g, m, GROUP)
        by_token = self.op("Transpose", [grouped], f"{name}.xat", perm=[1, 0, 2])
        side_by_side = self.op("Reshape", [by_token, "flat"], f"{name}.xar")  # (m, g·GROUP)
        return self.op("MatMul", [self.op("Mul", [side_by_side, f"weights{fused}"], f"{name}.xaw"), b], f"{name}.xab")

    def attention(self, qkv: str, name: str, layer: int, shape: _Shape, rotary: list[str]) -> str:
        """Causal attention over the row's own past; writes the new keys and values behind it, in place."""
        cache: list[str | int] = ["n", shape.kv_heads, "capacity", shape.head_size]
        past = [self.input(f"past_{kind}{layer}", _FLOAT, cache) for kind in "kv"]
        present = [self.output(f"present_{kind}{layer}", cache) for kind in "kv"]
        rows = self.op("Reshape", [qkv, "rows"], f"{name}.rows")  # (n, s, …)
        attended = self.ops(
            "GroupQueryAttention",
            [rows, "", "", *past, "lengths", "total", *rotary],
            [f"{name}.att", *present],
            _VENDOR,
            num_heads=shape.heads,
            kv_num_heads=shape.kv_heads,
            do_rotary=int(bool(rotary)),
        )[0]
        return self.op("Reshape", [attended, self._flat(shape.heads * shape.head_size)], f"{name}.flat")

    def _flat(self, width: int) -> str:
        """The shape (m, width)."""
        name = f"flat{width}"
        if name not in self._shapes:
            self._shapes.add(name)
            self.constant(name, np.array([-1, width], np.int64))
        return name

    def start(self) -> None:
        """The inputs and constants that every dialect has."""
        self.input("tokens", TensorProto.INT64, ["n", "s"])
        self.input("positions", TensorProto.INT64, ["n", "s"])
        self.input("lengths", TensorProto.INT32, ["n"])
        self.input("total", TensorProto.INT32, [1])
        self.input("at", TensorProto.INT64, ["w"])
        self.constant("flat", np.array([0, -1], np.int64))
        self.constant("unknown", np.array([-1], np.int64))
        self.op("Concat", [self.op("Shape", ["tokens"], "n_and_s"), "unknown"], "rows", axis=0)
        if self._weights == "int8":
            self.constant("one", np.array(1, np.float32))
            self.constant("middle", np.array(128, np.uint8))
            self.constant("step", np.array(1 / 127, np.float32))
            self.constant("finer", np.array(1 / 254, np.float32))
            self.constant("smallest", np.array(_SMALLEST, np.float32))
            self.constant("last_axis", np.array([-1], np.int64))

    def begin(self, x: str, width: int) -> str:
        """Embeddings (n, s, width) as (m, width): from here on every token is a row of its own."""
        return self.op("Reshape", [x, self._flat(width)], "x0")

    def finish(self, x: str, head: Array, shape: _Shape) -> GraphDescription:
        """Logits where they are wanted, from the normalised hidden states `x` (m, width)."""
        logits = self.project(self.op("Gather", [x, "at"], "wanted.x", axis=0), HEAD, head)
        self.op("Identity", [logits], self.output("logits", ["w", shape.vocabulary]))
        return GraphDescription(
            layers=shape.layers,
            kv_heads=shape.kv_heads,
            head_size=shape.head_size,
            vocabulary=shape.vocabulary,
            positions=shape.positions,
            sites=tuple(self.sites),
        )


def _gpt2(graph: _Graph, config: dict[str, Any]) -> GraphDescription:
    """Radford et al. 2019: LayerNorm before each half, learned positions, one fused projection for q, k and v."""
    if config.get("activation_function", "gelu_new") not in ("gelu_new", "gelu_pytorch_tanh"):
        raise BaseUnavailable(
            f"The base uses {config['activation_function']}, not GPT-2's tanh GELU. Choose another base."
        )
    width, heads = config["n_embd"], config["n_head"]
    shape = _Shape(
        config["n_layer"],
        width,
        heads,
        heads,
        width // heads,
        config["vocab_size"],
        config["n_positions"],
        config.get("layer_norm_epsilon", 1e-5),
    )

    def norm(x: str, name: str, key: str) -> str:
        scale, shift = (graph.constant(f"{name}.{part}", graph.weight(f"{key}.{part}")) for part in ("weight", "bias"))
        return graph.op("LayerNormalization", [x, scale, shift], name, axis=-1, epsilon=shape.epsilon)

    def project(x: str, name: str, key: str) -> str:
        return graph.adapted(
            x, name, {f"transformer.{key}": graph.weight(f"{key}.weight")}, graph.weight(f"{key}.bias")
        )

    graph.start()
    tokens = graph.embed("wte", graph.weight("wte.weight"), "tokens")
    positions = graph.embed("wpe", graph.weight("wpe.weight"), "positions")
    x = graph.begin(graph.op("Add", [tokens, positions], "embedded"), width)
    for layer in range(shape.layers):
        name, key = f"l{layer}", f"h.{layer}"
        qkv = project(norm(x, f"{name}.n1", f"{key}.ln_1"), f"{name}.qkv", f"{key}.attn.c_attn")
        attention = graph.attention(qkv, name, layer, shape, [])
        x = graph.op("Add", [x, project(attention, f"{name}.o", f"{key}.attn.c_proj")], f"{name}.mid")
        up = project(norm(x, f"{name}.n2", f"{key}.ln_2"), f"{name}.up", f"{key}.mlp.c_fc")
        active = graph.op("Gelu", [up], f"{name}.gelu", approximate="tanh")
        x = graph.op("Add", [x, project(active, f"{name}.down", f"{key}.mlp.c_proj")], f"{name}.end")
    head = graph.weight("lm_head.weight" if graph.has("lm_head.weight") else "wte.weight").T
    return graph.finish(norm(x, "final", "ln_f"), head, shape)


def _llama(graph: _Graph, config: dict[str, Any]) -> GraphDescription:
    """Touvron et al. 2023: RMSNorm, rotary positions, fewer key-value heads, SiLU-gated MLP."""
    heads = config["num_attention_heads"]
    shape = _Shape(
        config["num_hidden_layers"],
        config["hidden_size"],
        heads,
        config.get("num_key_value_heads") or heads,
        config.get("head_dim") or config["hidden_size"] // heads,
        config["vocab_size"],
        config["max_position_embeddings"],
        config["rms_norm_eps"],
    )

    def norm(x: str, name: str, key: str) -> str:
        scale = graph.constant(f"{name}.weight", graph.weight(f"{key}.weight"))
        return graph.op("SimplifiedLayerNormalization", [x, scale], name, axis=-1, epsilon=shape.epsilon)

    def project(x: str, name: str, *keys: str) -> str:
        return graph.adapted(x, name, {key: graph.weight(f"{key}.weight").T for key in keys})

    graph.start()
    rotary = [graph.constant(f"rotary.{kind}", table) for kind, table in _rotary_tables(config, shape).items()]
    x = graph.begin(graph.embed("wte", graph.weight("model.embed_tokens.weight"), "tokens"), config["hidden_size"])
    for layer in range(shape.layers):
        name, key = f"l{layer}", f"model.layers.{layer}"
        heads_of = [f"{key}.self_attn.{kind}_proj" for kind in "qkv"]
        qkv = project(norm(x, f"{name}.n1", f"{key}.input_layernorm"), f"{name}.qkv", *heads_of)
        attention = graph.attention(qkv, name, layer, shape, rotary)
        x = graph.op("Add", [x, project(attention, f"{name}.o", f"{key}.self_attn.o_proj")], f"{name}.mid")
        normed = norm(x, f"{name}.n2", f"{key}.post_attention_layernorm")
        both = project(normed, f"{name}.up", f"{key}.mlp.gate_proj", f"{key}.mlp.up_proj")
        x = graph.op(
            "Add", [x, project(_gated(graph, both, name), f"{name}.down", f"{key}.mlp.down_proj")], f"{name}.end"
        )
    head = graph.weight("lm_head.weight" if graph.has("lm_head.weight") else "model.embed_tokens.weight").T
    return graph.finish(norm(x, "final", "model.norm"), head, shape)


def _gated(graph: _Graph, both: str, name: str) -> str:
    """silu(gate) * up, from gate and up side by side."""
    gate, up = graph.ops("Split", [both], [f"{name}.gate", f"{name}.open"], axis=-1, num_outputs=2)
    silu = graph.op("Mul", [gate, graph.op("Sigmoid", [gate], f"{name}.sigmoid")], f"{name}.silu")
    return graph.op("Mul", [silu, up], f"{name}.gated")


def _rotary_tables(config: dict[str, Any], shape: _Shape) -> dict[str, npt.NDArray[np.float32]]:
    """Cosines and sines (positions, head size / 2): Su et al. 2021, arXiv 2104.09864."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if rope.get("rope_type", "default") != "default":
        raise BaseUnavailable(
            f"The base scales its rotary positions ({rope['rope_type']}), which is not built yet. Choose another base."
        )
    theta = rope.get("rope_theta") or config.get("rope_theta", 10_000.0)
    frequencies = theta ** -(np.arange(0, shape.head_size, 2) / shape.head_size)
    angles = np.outer(np.arange(shape.positions), frequencies)
    return {"cos": np.cos(angles).astype(np.float32), "sin": np.sin(angles).astype(np.float32)}


_DIALECTS: dict[str, Callable[[_Graph, dict[str, Any]], GraphDescription]] = {"gpt2": _gpt2, "llama": _llama}


def main(arguments: list[str]) -> int:
    """`python -m bot.generation.graph CHECKPOINT FOLDER WEIGHTS`: in a process of its own, since onnx is large."""
    checkpoint, folder, weights = arguments
    try:
        build_graph(Path(checkpoint), Path(folder), TypeAdapter(Weights).validate_python(weights))
    except MockingbirdError as error:
        return say_why(error)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return say_why(DiskFull("The disk is too full for the base's graph. Free some space and start again."))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
