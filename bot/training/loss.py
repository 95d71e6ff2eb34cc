"""How well a model foretells tweets, and which tokens are weighed for that.

While learning, the head weighs the tokens that the tweets hold, those that the base would say, and a sample of all
others that stands for them: with 49,152 tokens it costs more than eight layers. While judging, it weighs them all.

Judged is what will be done: each held-out tweet alone after the end token, up to and including its closing end token.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from bot.training.halves import CHUNK, Halves, Vocabulary, Whole, autocast
from bot.training.job import Asking, Job, Score
from bot.training.orphans import Stop
from bot.training.rows import READ_TOKENS, Rows, batches, states_of

LIKELY_TOKENS = 2_048  # tokens that no tweet holds and that are always weighed, the base's likeliest
SAMPLED_TOKENS = 2_048  # of all others, which stand for them in one step
LIKELY_FROM = 2_048  # positions from which the base's likeliest are taken


def nats(
    halves: Halves | Whole, rows: Rows, picked: Sequence[int], vocabulary: Vocabulary | None = None
) -> tuple[Tensor, int]:
    """Minus log likelihood of the picked tweets, summed, and the number of tokens it sums over."""
    ids, real = rows.batch(picked)
    targets = ids[:, 1:][real[:, :-1]]  # (n,)
    if vocabulary is not None:
        targets = vocabulary.place[targets]
    total = torch.zeros((), device=ids.device)
    with autocast(halves):
        chunks = halves.logits(states_of(halves, rows, picked), real, vocabulary)
        for logits, wanted in zip(chunks, torch.split(targets, CHUNK), strict=True):
            total = total + functional.cross_entropy(logits.float(), wanted, reduction="sum")
    return total, len(targets)


@torch.no_grad()
def score(halves: Halves | Whole, rows: Rows, size: int, job: Asking, stop: Stop) -> Score:
    """The model on the held-out tweets, `size` being their bytes; the whole vocabulary is weighed."""
    total = 0.0
    for picked in batches(rows, READ_TOKENS):
        stop.check()
        total += float(nats(halves, rows, picked)[0])
    return Score(loss=total / rows.tokens, bits_per_byte=total / math.log(2) / size)


@dataclass(frozen=True)
class Choice:
    """Which tokens are weighed: these always, and of the rest others in each step."""

    always: Tensor  # (a,) token ids: what the tweets hold, and what the base would most likely say in its place
    rest: Tensor  # (r,) all other token ids

    def in_step(self, head: Tensor, seed: int, sample: int = SAMPLED_TOKENS) -> Vocabulary:
        """Those that are always weighed, and a sample that stands for the rest: on average it weighs as much."""
        drawn = torch.randperm(len(self.rest), generator=torch.Generator().manual_seed(seed))[:sample].to(head.device)
        share = len(self.rest) / max(1, len(drawn))
        shift = torch.zeros(len(self.always) + len(drawn), device=head.device)
        shift[len(self.always) :] = math.log(max(1.0, share))
        place = torch.full((len(head),), -1, device=head.device)
        place[self.always] = torch.arange(len(self.always), device=head.device)
        return Vocabulary(head[torch.cat([self.always, self.rest[drawn]])], shift.to(head.dtype), place)


@torch.no_grad()
def choose(halves: Halves | Whole, rows: Rows, job: Job) -> Choice | None:
    """Which tokens to weigh while learning; None for all of them.

    A whole head takes more than half of a step's time. Leaving out what is seldom said would leave out a tenth of the
    base's probability; a sample for it makes the loss the same but for a little noise.
    """
    if not isinstance(halves, Halves):
        return None
    likely = torch.zeros(len(halves.head), device=halves.head.device)
    seen = 0
    for picked in batches(rows, job.batch_tokens, random.Random(job.seed)):
        _, real = rows.batch(picked)
        with autocast(halves):
            for logits in halves.logits(states_of(halves, rows, picked), real):
                likely += logits.float().softmax(-1).sum(0)
        seen += int(real.sum())
        if seen >= LIKELY_FROM:
            break
    said = torch.unique(torch.cat(rows.ids[: rows.tweets]))  # prompts are not said
    likely[said] = torch.inf
    order = likely.argsort(descending=True, stable=True)
    count = len(said) + LIKELY_TOKENS
    return Choice(always=order[:count].sort().values, rest=order[count:].sort().values)
