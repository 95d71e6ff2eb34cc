"""Text from the teacher: `python -m base.sample --work FOLDER [--pieces N] [--rows N] [--device cuda]`.

Outcome: `FOLDER/sampled/00000.jsonl` and so on, one for each piece: lines of {"text", "kind", "ended"}. A piece is one
prompt and one batch, done in a minute or two on a core; it appears whole, by a rename, or not at all. What is there is
not made again, so that the same command goes on where it was cut off. A piece depends on the seed, its number and the
rows alone (and on the device, whose rounding differs).
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from base.prompts import Prompt, prompt
from base.shards import missing, write_shard
from base.teacher import Teacher

TOP_K = 64  # of 49,152 tokens; what lies below is noise in so small a model
AGAIN = 0.35  # logits that a token loses for each time it was said in the text, up to three times


@dataclass(frozen=True, slots=True)
class Sampled:
    """One text of the teacher's."""

    text: str
    ended: bool  # by the teacher itself, not by the end of the piece


class Row:
    """One text after the other."""

    def __init__(self, teacher: Teacher, asked: Prompt, chance: random.Random) -> None:
        self._teacher, self._asked, self._chance = teacher, asked, chance
        self.done: list[Sampled] = []
        self.spoken = 0  # tokens that the teacher chose itself
        self.first = self._begin(0)  # token of the piece

    def _begin(self, slot: int) -> int:
        """Another text, from this slot on; its first token."""
        self.begins = slot
        self._start = self._teacher.ids(self._asked.start(self._chance))
        self._ids: list[int] = []
        return self._start[0]

    def take(self, chosen: int, slot: int) -> int:
        """The token for the next slot, when the teacher has chosen one in this slot."""
        place = slot + 1 - self.begins
        if place < len(self._start):
            return self._start[place]
        self.spoken += 1
        if self._ends(chosen):
            self.close(ended=True)
            return self._begin(slot + 1)
        self._ids.append(chosen)
        return chosen

    def close(self, ended: bool) -> None:
        """Keep the text as far as it goes."""
        lead = self._asked.lead
        ids = self._ids if lead is None else self._start + self._ids
        text = self._teacher.tokenizer.decode(ids).removeprefix(lead or "")
        self.done.append(Sampled(text.split(self._asked.stop)[0].strip(), ended))

    def _ends(self, chosen: int) -> bool:
        if chosen in self._teacher.ends:
            return True
        if chosen not in self._teacher.breaks:
            return False
        tail = [*self._ids[-2:], chosen]
        return self._asked.stop in self._teacher.tokenizer.decode(tail)


def sample(teacher: Teacher, asked: Prompt, rows: int, seed: str) -> list[Row]:
    """One piece."""
    chance = random.Random(seed)
    noise = torch.Generator(teacher.device).manual_seed(chance.getrandbits(63))
    prefix = teacher.read(teacher.ids(asked.beginning))
    cache = teacher.room(rows, asked.slots)
    batch = [Row(teacher, asked, chance) for _ in range(rows)]
    tokens = [row.first for row in batch]
    said = teacher.counts(rows)
    for slot in range(asked.slots):
        begins = torch.tensor([row.begins for row in batch], device=teacher.device)
        now = torch.tensor(tokens, device=teacher.device)
        logits = teacher.step(prefix, cache, now, begins, slot)
        said[begins == slot] = 0
        said.scatter_add_(1, now[:, None], torch.ones_like(now[:, None], dtype=said.dtype))
        chosen: list[int] = choose(logits, said, asked.temperature, asked.top_p, noise).tolist()
        tokens = [row.take(each, slot) for row, each in zip(batch, chosen, strict=True)]
    for row in batch:
        row.close(ended=False)
    return batch


def choose(logits: Tensor, said: Tensor, temperature: float, top_p: float, noise: torch.Generator) -> Tensor:
    """One token for each row: of the `TOP_K` likeliest those that make up `top_p`, by their probabilities.

    What the text has `said` before is a little less likely: the teacher would say it over and over.
    """
    best = logits.topk(TOP_K, 1)
    again = said.gather(1, best.indices).clamp(max=3).float() * AGAIN
    likely, order = ((best.values.float() - again) / temperature).softmax(1).sort(1, descending=True)
    likely[likely.cumsum(1) - likely >= top_p] = 0
    chosen = order.gather(1, likely.multinomial(1, generator=noise))
    return best.indices.gather(1, chosen).squeeze(1)


def texts(asked: Prompt, batch: Sequence[Row]) -> Iterator[dict[str, object]]:
    """The lines of a piece's shard."""
    for row in batch:
        for each in row.done:
            if each.text:
                yield {"text": each.text, "kind": asked.kind, "ended": each.ended}


def main(arguments: Sequence[str]) -> int:
    """Pieces that are not there yet, one after the other."""
    reader = argparse.ArgumentParser(prog="python -m base.sample", description="Samples text from the teacher.")
    reader.add_argument("--work", type=Path, required=True)
    reader.add_argument("--pieces", type=int, default=100_000)
    reader.add_argument("--rows", type=int, default=256)
    reader.add_argument("--teacher", default="smollm2", help="a base by name or folder, in Llama's dialect")
    reader.add_argument("--device", default="cpu")
    reader.add_argument("--seed", type=int, default=1)
    options = reader.parse_args(arguments)
    teacher = Teacher.load(options.teacher, options.device)
    spoken, began = 0, time.monotonic()
    for piece, file in missing(options.work / "sampled", range(options.pieces)):
        asked = prompt(options.seed, piece)
        with torch.inference_mode():
            batch = sample(teacher, asked, options.rows, f"{options.seed}/{piece}/{options.rows}")
        write_shard(file, texts(asked, batch))
        spoken += sum(row.spoken for row in batch)
        speed = spoken / (time.monotonic() - began)
        sys.stderr.write(f"{file.name} {asked.kind}: {spoken:,} tokens in all, {speed:.0f} tokens/s\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
