"""The model in two halves, cut below its lowest learning layer: what is computed once, and what learns.

Where only the upper layers learn, those below give the same numbers in every epoch.

Shapes: b rows (tweets), t tokens of the longest, h wide, n positions at which a token is predicted, v tokens.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from bot.training.learner import LAST_NORM, layers_of

CHUNK = 128  # positions whose logits over the whole vocabulary are in memory at a time: 25 MB with 49,152 tokens


@dataclass(frozen=True)
class Vocabulary:
    """The tokens that are weighed in one step."""

    head: Tensor  # (w, h) rows of the head
    shift: Tensor  # (w,) added to the logits: a token that stands for 20 others as well counts 20 times
    place: Tensor  # (v,) where each token of the tweets stands among them


@dataclass(frozen=True)
class Halves:
    """A model cut below its lowest learning layer."""

    lower: Callable[[Tensor], Tensor]  # (b, t) ids -> (b, t, h) states that enter the upper layers
    upper: Callable[[Tensor], Tensor]  # (b, t, h) -> (b, t, h) states that enter the head
    head: Tensor  # (v, h)
    depth: int  # layers in the lower half; with 0 it looks up embeddings, which is not worth keeping

    def logits(self, states: Tensor, real: Tensor, vocabulary: Vocabulary | None = None) -> Iterator[Tensor]:
        """The (n, v) logits at the positions where `real` (b, t) is set, a chunk of n at a time."""
        for chunk in torch.split(self.upper(states)[real], CHUNK):
            if vocabulary is None:
                yield functional.linear(chunk, self.head)
            else:
                yield functional.linear(chunk, vocabulary.head, vocabulary.shift)


@dataclass(frozen=True)
class Whole:
    """Any other causal model, which nobody here knows how to cut: nothing is kept, the head weighs everything."""

    model: PreTrainedModel
    head: None = None
    depth: int = 0

    def lower(self, ids: Tensor) -> Tensor:
        return ids

    def logits(self, states: Tensor, real: Tensor, vocabulary: Vocabulary | None = None) -> Iterator[Tensor]:
        """As `Halves.logits`."""
        yield from torch.split(self.model(input_ids=states, use_cache=False).logits[real], CHUNK)


class NoPositions(nn.Module):
    """Stands in for GPT-2's position embeddings in the upper half: they were added below."""

    def forward(self, positions: Tensor) -> Tensor:
        return torch.zeros(())


def cut(model: PreTrainedModel, first: int) -> Halves | Whole:
    """The model in two halves, the upper one beginning with layer `first`, where its kind is known."""
    last_norm = LAST_NORM.get(model.config.model_type)
    if last_norm is None:
        return Whole(model)
    name, layers = layers_of(model)
    lower = body_with(model.base_model, {name: layers[:first], last_norm: nn.Identity()})
    upper = body_with(model.base_model, {name: layers[first:]})
    if model.config.model_type == "gpt2":
        upper = body_with(upper, {"wpe": NoPositions()})
    return Halves(
        lower=lambda ids: lower(input_ids=ids, use_cache=False).last_hidden_state,
        upper=lambda states: upper(inputs_embeds=states, use_cache=False).last_hidden_state,
        head=model.get_output_embeddings().weight,  # type: ignore[no-untyped-call]
        depth=first,
    )


def body_with(body: nn.Module, parts: dict[str, nn.Module]) -> nn.Module:
    """The same body with some modules replaced; weights are shared, not copied."""
    other = copy.copy(body)
    other._modules = {**body._modules, **parts}
    return other


def autocast(halves: Halves | Whole) -> contextlib.AbstractContextManager[None]:
    """Products in bfloat16 when the base is in bfloat16; the adapter's own numbers stay in float32."""
    weight = halves.head if isinstance(halves, Halves) else next(halves.model.parameters())
    half = weight.dtype is torch.bfloat16
    return torch.autocast(weight.device.type, torch.bfloat16) if half else contextlib.nullcontext()
