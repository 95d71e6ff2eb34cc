"""A checkpoint as an ONNX graph: a quantised base whose LoRA adapters are ordinary inputs.

Outcome: `build_graph(checkpoint, folder, weights)` writes `graph.onnx`, its weights beside it, and `graph.json`, which
says how adapter files map to inputs. The graph takes one or more tokens for each row and gives logits after the last:

    tokens (rows, steps) int64        new tokens; all rows hold equally many
    positions (rows, steps) int64
    lengths (rows) int32              tokens in each row including the new ones, minus one
    total (1) int32                   the longest row, including the new tokens
    past_kI, past_vI                  (rows, kv heads, capacity, head size) float32, one buffer for past and present
    SITE.a (p, width in, r), SITE.b (p, r, width out)   float32 adapters; p is 1 (all rows alike) or rows
    -> logits (rows, vocabulary) float32, present_kI, present_vI

Two dialects come from one description: GPT-2 (LayerNorm, learned positions, tanh GELU) and Llama (RMSNorm, rotary
positions, grouped heads, gated MLP). The operators are ONNX Runtime's own. Projections that read the same input are
fused (query, key, value; gate, up), so their adapters are fused too: ranks side by side, see `Part`.

Weights are 8-bit in blocks along the input (symmetric, zero point 128), computed with 8-bit activations
(MatMulNBits, accuracy level 4); "float32" leaves them exact. Embeddings are float16 and float32 respectively.
"""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors import safe_open

from bot.errors import BaseUnavailable, DiskFull, MockingbirdError
from bot.generation.graph_description import GraphDescription, Part, Site, Weights
from bot.training.job import say_why

Array = npt.NDArray[Any]

_VENDOR = "com.microsoft"


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
    if (folder / "graph.json").is_file():
        return
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
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "graph.data").unlink(missing_ok=True)  # onnx appends to what an interrupted build left
    onnx.save(
        graph.model(),
        folder / "graph.onnx",
        save_as_external_data=True,
        location="graph.data",
        size_threshold=1024,
    )
    (folder / "graph.json").write_text(description.model_dump_json(indent=1), encoding="utf-8")  # last: now it is whole


class _Graph:
    """Collects nodes, initialisers, inputs and outputs; `x = graph.op(...)` reads like the computation."""

    def __init__(self, tensors: Any, weights: Weights) -> None:
        self._tensors = tensors  # an open safetensors file, read tensor by tensor
        self._names = {name.removeprefix("transformer."): name for name in tensors.keys()}  # noqa: SIM118
        self._quantised = weights == "int8"
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
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
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
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
        """Rows of a table; stored in float16 when quantised, which the int8 projections can't tell from float32."""
        stored = table.astype(np.float16) if self._quantised else table
        rows = self.op("Gather", [self.constant(f"{name}.table", stored), tokens], f"{name}.rows")
        return self.op("Cast", [rows], f"{name}.float", to=TensorProto.FLOAT) if self._quantised else rows

    def project(self, x: str, name: str, matrix: Array) -> str:
        """`x @ matrix`, matrix (in, out), quantised if wanted."""
        if not self._quantised:
            return self.op("MatMul", [x, self.constant(f"{name}.w", matrix)], f"{name}.mm")
        inputs, outputs = matrix.shape
        block = next(size for size in (128, 64, 32, 16) if inputs % size == 0)
        blocks = matrix.T.reshape(outputs, inputs // block, block)
        scale = np.maximum(np.abs(blocks).max(-1, keepdims=True), 1e-12).astype(np.float32) / 127
        quantised = (np.clip(np.rint(blocks / scale), -127, 127) + 128).astype(np.uint8)
        scales = self.constant(f"{name}.s", scale.reshape(outputs, inputs // block))
        return self.op(
            "MatMulNBits",
            [x, self.constant(f"{name}.q", quantised), scales],
            f"{name}.mm",
            _VENDOR,
            K=inputs,
            N=outputs,
            bits=8,
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
        a = self.input(f"{name}.a", TensorProto.FLOAT, ["p", inputs, f"{name}.r"])
        b = self.input(f"{name}.b", TensorProto.FLOAT, ["p", f"{name}.r", outputs])
        low = self.op("MatMul", [self.op("MatMul", [x, a], f"{name}.xa"), b], f"{name}.xab")
        y = self.op("Add", [self.project(x, name, fused), low], f"{name}.sum")
        return y if bias is None else self.op("Add", [y, self.constant(f"{name}.bias", bias)], f"{name}.out")

    def attention(self, qkv: str, name: str, layer: int, shape: _Shape, rotary: list[str]) -> str:
        """Causal attention over the row's own past; writes the new keys and values behind it, in place."""
        cache: list[str | int] = ["rows", shape.kv_heads, "capacity", shape.head_size]
        past = [self.input(f"past_{kind}{layer}", TensorProto.FLOAT, cache) for kind in "kv"]
        present = [self.output(f"present_{kind}{layer}", cache) for kind in "kv"]
        return self.ops(
            "GroupQueryAttention",
            [qkv, "", "", *past, "lengths", "total", *rotary],
            [f"{name}.att", *present],
            _VENDOR,
            num_heads=shape.heads,
            kv_num_heads=shape.kv_heads,
            do_rotary=int(bool(rotary)),
        )[0]

    def start(self) -> None:
        """The inputs that every dialect has."""
        self.input("tokens", TensorProto.INT64, ["rows", "steps"])
        self.input("positions", TensorProto.INT64, ["rows", "steps"])
        self.input("lengths", TensorProto.INT32, ["rows"])
        self.input("total", TensorProto.INT32, [1])

    def finish(self, x: str, head: Array, shape: _Shape) -> GraphDescription:
        """Logits after the last token, from the normalised hidden states `x`."""
        last = self.op("Gather", [x, self.constant("last", np.array(-1, np.int64))], "last.x", axis=1)
        logits = self.project(last, "head", head)
        self.op("Identity", [logits], self.output("logits", ["rows", shape.vocabulary]))
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
    x = graph.op("Add", [tokens, positions], "x0")
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
    x = graph.embed("wte", graph.weight("model.embed_tokens.weight"), "tokens")
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
        build_graph(Path(checkpoint), Path(folder), "float32" if weights == "float32" else "int8")
    except MockingbirdError as error:
        return say_why(error)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return say_why(DiskFull("The disk is too full for the base's graph. Free some space and start again."))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
