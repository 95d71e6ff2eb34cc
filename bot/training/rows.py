"""Tweets as rows of tokens, in batches of about the same length, with what the lower half of the model makes of them.

A tweet is one row. Rows are filled up on the right, where causal attention never looks, so that no tweet sees another
one and no mask is needed. A reply whose prompt is known is two rows: alone, and behind what it answers.

Shapes: b rows, t tokens of the longest, h wide.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import PreTrainedModel

from bot.training.dataset import MAX_TOKENS, text_bytes, tokenise
from bot.training.halves import Halves, Whole, autocast
from bot.training.job import Asking
from bot.training.orphans import Stop

WIDTHS = 4  # batches are a multiple of this wide: a product of a new shape costs a quarter more, and so few are new
READ_TOKENS = 2_048  # in a batch that is only read, not learned


@dataclass(frozen=True)
class Rows:
    """Tweets as token ids, each between two end tokens, and once computed what the lower half makes of them."""

    ids: list[Tensor]  # (t,) each
    states: list[Tensor] = field(default_factory=list)  # (t, h) each; empty when there is no room for them
    accounts: tuple[int, ...] = ()  # how many of the tweets are each account's, in their order
    asked: tuple[int, ...] = ()  # tokens of each row, after its first one, that are only read: its prompt; () is none
    answering: dict[int, int] = field(default_factory=dict)  # a tweet's row to that in which it follows its prompt

    def batch(self, picked: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Ids (b, t), shorter rows filled up on the right, and where a token follows that is to be learned (b, t)."""
        chosen = [self.ids[index] for index in picked]
        lengths = torch.tensor([len(row) for row in chosen], device=chosen[0].device)
        asked = torch.tensor([self.asked[index] if self.asked else 0 for index in picked], device=lengths.device)
        places = torch.arange(width(max(len(row) for row in chosen)), device=lengths.device)[None, :]
        return filled(chosen, places.shape[1]), (places >= asked[:, None]) & (places < lengths[:, None] - 1)

    def kept(self, picked: Sequence[int]) -> Tensor:
        """States (b, t, h) that were computed before."""
        chosen = [self.states[index] for index in picked]
        return filled(chosen, width(max(len(row) for row in chosen)))

    def predicted(self, picked: Sequence[int]) -> int:
        """Tokens of these rows that are predicted: all but the first of each, and but its prompt."""
        return sum(len(self.ids[index]) - 1 - (self.asked[index] if self.asked else 0) for index in picked)

    @property
    def tweets(self) -> int:
        """How many tweets there are; their rows come first, those in which they follow their prompts after them."""
        return len(self.ids) - len(self.answering)

    @property
    def tokens(self) -> int:
        """Tokens that are predicted when each tweet is taken once."""
        return self.predicted(range(self.tweets))

    def with_prompts(self, pairs: dict[int, tuple[list[int], int]]) -> Rows:
        """These tweets, and some of them once more behind their prompts, as `behind_prompts` gives them."""
        behind = [torch.tensor(ids, device=self.ids[0].device) for ids, _ in pairs.values()]
        asked = (*(0 for _ in self.ids), *(tokens for _, tokens in pairs.values()))
        rows = {tweet: len(self.ids) + place for place, tweet in enumerate(pairs)}
        return replace(self, ids=[*self.ids, *behind], asked=asked, answering=rows)

    def alone(self, pairs: Iterable[int]) -> Rows:
        """Of these rows some, with what was made of them."""
        picked = list(pairs)
        return Rows([self.ids[index] for index in picked], [self.states[index] for index in picked if self.states])


def rows_of(ids: Sequence[Sequence[int]], model: PreTrainedModel, accounts: tuple[int, ...] = ()) -> Rows:
    """Those tweets, where the model is."""
    return Rows([torch.tensor(row, device=model.device) for row in ids], accounts=accounts)


def read(model: PreTrainedModel, tokenizer: Tokenizer, end_id: int, texts: Sequence[str]) -> tuple[Rows, int]:
    """The texts as that model reads them, and their bytes."""
    ids = tokenise(tokenizer, texts, end_id, min(MAX_TOKENS, model.config.max_position_embeddings))
    return rows_of(ids, model), text_bytes(tokenizer, texts, ids)


def batches(
    rows: Rows, tokens: int, order: random.Random | None = None, among: Sequence[int] | None = None
) -> list[list[int]]:
    """Row numbers in batches of up to `tokens` tokens, rows of the same width together.

    With `order` each call gives every row other company, and the batches another order. `among` picks some rows.
    """
    widths = [width(len(ids)) for ids in rows.ids]
    ranks = [order.random() if order else 0.0 for _ in widths]
    made: list[list[int]] = [[]]
    picked = range(len(widths)) if among is None else among
    for index in sorted(picked, key=lambda index: (widths[index], ranks[index])):
        if made[-1] and widths[index] * (len(made[-1]) + 1) > tokens:
            made.append([])
        made[-1].append(index)
    if order:
        order.shuffle(made)
    return made


def filled(rows: Sequence[Tensor], wide: int) -> Tensor:
    """The rows (t, ...) as one tensor (b, wide, ...) with zeros on the right."""
    whole = rows[0].new_zeros((len(rows), wide, *rows[0].shape[1:]))
    for place, row in zip(whole, rows, strict=True):
        place[: len(row)] = row
    return whole


def width(tokens: int) -> int:
    """The width of the batch that a row of so many tokens stands in."""
    return math.ceil(tokens / WIDTHS) * WIDTHS


def keep_states(rows: Rows, halves: Halves | Whole, job: Asking, stop: Stop) -> Rows:
    """The rows with what the lower layers make of them, computed once for all epochs, if there is room for it."""
    if halves.head is None or not halves.depth:
        return rows
    tokens = sum(len(ids) for ids in rows.ids)
    if tokens * halves.head.shape[1] * halves.head.element_size() > job.keep_bytes:
        return rows
    states: list[Tensor] = [torch.empty(0)] * len(rows.ids)
    for picked in batches(rows, READ_TOKENS):
        stop.check()
        with autocast(halves):
            made = states_of(halves, rows, picked)  # (b, t, h)
        for index, row in zip(picked, made, strict=True):
            states[index] = row[: len(rows.ids[index])].clone()
    return replace(rows, states=states)


@torch.no_grad()
def states_of(halves: Halves | Whole, rows: Rows, picked: Sequence[int]) -> Tensor:
    """What the lower half makes of the picked tweets, kept or computed now; nothing in it learns."""
    return rows.kept(picked) if rows.states else halves.lower(rows.batch(picked)[0])
