"""The model, which is a plain GPT-2, its loss, and its two optimisers.

Shapes: b rows, t tokens, h wide, v tokens of the vocabulary, n positions at which a token is predicted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import GPT2Config, GPT2LMHeadModel

from base.presets import Preset
from base.rows import IGNORED, Batch

CHUNK = {"cpu": 512, "cuda": 8_192}  # positions whose logits are in memory at a time: as many as the caches hold


def new_model(preset: Preset, embeddings: npt.NDArray[np.float32], seed: int, device: str) -> GPT2LMHeadModel:
    """With random weights but for the embeddings (v, h), which are the head as well; token 0 ends a text."""
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=len(embeddings),
        n_positions=preset.positions,
        n_embd=preset.width,
        n_layer=preset.layers,
        n_head=preset.heads,
        activation_function="gelu_pytorch_tanh",  # GPT-2's own, in one operation where "gelu_new" takes seven
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=0,
        eos_token_id=0,
    )
    # On a processor the fused attention's backward pass takes a third of a step of rows as short as posts.
    config._attn_implementation = "eager" if device == "cpu" else "sdpa"
    model = GPT2LMHeadModel(config)
    with torch.no_grad():
        model.transformer.wte.weight.copy_(torch.from_numpy(embeddings))
    model.to(device)  # type: ignore[arg-type]
    return model


def parameters(model: nn.Module) -> int:
    """How many numbers are learned."""
    return sum(each.numel() for each in model.parameters())


class SummedLoss(torch.autograd.Function):
    """Cross entropy of tied embeddings, summed, whose gradients are computed with it, a chunk at a time.

    Logits of all positions would be the largest thing in memory by far, and be read and written five times over.
    """

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx, states: Tensor, head: Tensor, wanted: Tensor, shares: Tensor
    ) -> Tensor:
        """`states` (n, h) and `head` (v, h) in the precision of the products; the sum in float32.

        `wanted` (n, k) are the tokens of the target, and `shares` (n, k) how much of it each is: one in each row.
        """
        total = torch.zeros((), device=states.device)
        to_states, to_head = torch.empty_like(states), torch.zeros_like(head, dtype=torch.float32)
        size = CHUNK[states.device.type]
        for start in range(0, len(states), size):
            part, ids, weight = (each[start : start + size] for each in (states, wanted, shares))
            logits = functional.linear(part, head).float()  # (c, v)
            highest = logits.amax(1, keepdim=True)
            said = (logits.gather(1, ids) * weight).sum(1, keepdim=True)
            weights = logits.sub_(highest).exp_()  # in place: this loop is bound by memory
            mass = weights.sum(1, keepdim=True)
            total += (mass.log() + highest - said).sum()
            rounded = weights.div_(mass).scatter_add_(1, ids, -weight).to(head.dtype)
            to_states[start : start + size] = rounded @ head
            to_head += rounded.T @ part
        ctx.save_for_backward(to_states, to_head)
        return total

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        to_states, to_head = ctx.saved_tensors  # type: ignore[attr-defined]
        return slopes[0].to(to_states.dtype) * to_states, slopes[0] * to_head, None, None


def summed_loss(model: GPT2LMHeadModel, batch: Batch, half: bool, softness: float = 0.0) -> Tensor:
    """Nats of all tokens that the batch predicts, the products in bfloat16 when `half`.

    Where the teacher was asked, its shares count for `softness` of each target, the text's own token for the rest.
    """
    device = model.device
    inputs, targets = (torch.from_numpy(each).to(device) for each in (batch.inputs, batch.targets))
    with torch.autocast(device.type, torch.bfloat16, enabled=half):
        states = model.transformer(input_ids=inputs, use_cache=False).last_hidden_state  # (b, t, h)
    real = targets != IGNORED
    wanted = targets[real][:, None]
    shares = torch.ones(wanted.shape, device=device)
    if batch.soft is not None and softness:
        soft = batch.soft[batch.targets != IGNORED]
        ids, others = (torch.from_numpy(np.ascontiguousarray(soft[name])).to(device) for name in ("ids", "shares"))
        wanted = torch.cat([wanted, ids.long()], 1)
        shares = torch.cat([shares * (1 - softness), others.float() * softness], 1)
    head = model.lm_head.weight
    dtype = torch.bfloat16 if half else torch.float32
    total: Tensor = SummedLoss.apply(states[real].to(dtype), head.to(dtype), wanted, shares)  # type: ignore[no-untyped-call]
    return total


def optimizers(model: GPT2LMHeadModel, preset: Preset, muon: bool) -> Sequence[torch.optim.Optimizer]:
    """Muon (Jordan et al. 2024) for the hidden matrices, AdamW for the rest; or AdamW for everything.

    Each group knows its own peak rate, as `peak`.
    """
    matrices = [each for name, each in model.transformer.h.named_parameters() if each.ndim == 2]
    inside = {id(each) for each in matrices}
    others = [each for each in model.parameters() if id(each) not in inside]
    groups = [
        {"params": others, "lr": preset.vector_rate, "peak": preset.vector_rate, "weight_decay": 0.0},
    ]
    if not muon:
        groups.append({"params": matrices, "lr": preset.vector_rate, "peak": preset.vector_rate, "weight_decay": 0.1})
    adam = torch.optim.AdamW(groups, betas=(0.9, 0.95), fused=True)
    if not muon:
        return (adam,)
    of_matrices = torch.optim.Muon(
        [{"params": matrices, "peak": preset.matrix_rate}],
        lr=preset.matrix_rate,
        weight_decay=preset.weight_decay,
        adjust_lr_fn="match_rms_adamw",  # a rate means the same for a matrix of any shape
    )
    return (adam, of_matrices)


def set_rates(every: Iterable[torch.optim.Optimizer], share: float) -> None:
    """Each group learns at this share of its peak rate."""
    for optimizer in every:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * share
