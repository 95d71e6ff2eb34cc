"""What the teacher would say at each place: `python -m base.distill --work FOLDER --teacher MODEL_FOLDER [KIND…]`.

Outcome: `FOLDER/soft/KIND-….npy` for every few thousand training texts: for each token that is predicted the likeliest
of our tokens and their shares (soft targets: Hinton et al. 2015, arXiv 1503.02531). A text that is read thirty times
teaches more so: not only which word came, but which others might have. What is there is not made again.

Our tokenizer is the beginning of the teacher's, so that each of the teacher's tokens is one or more of ours. Where one
of the teacher's ends, its next one is known, and so is ours: the first piece of that. Inside one of the teacher's
there is nothing to learn from it, and the text's own token stands alone. The teacher reads texts of a kind one after
the other, shuffled, so that it knows their manner from those before.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import AutoModelForCausalLM

from base.presets import KINDS
from base.rows import SOFT, Soft, hard, together, write_array
from base.tokenizer import texts

LOOKED_AT = 64  # of the teacher's tokens, before they are counted together as ours
END = 0  # our end token
NEW_LINE = "Ċ"  # as a byte-level vocabulary writes it
SEPARATORS = {"posts": "\n"}  # between two texts; others have an empty line
TEMPERATURE = {"general": 1.0}  # of the shares; what the teacher said itself it said at about 0.85
SAID_AT = 0.85
DOCUMENT = 512  # tokens that the teacher reads as one
DOCUMENTS = 8  # at a time

Ids = list[int]


def soft_file(work: Path, kind: str, some: Sequence[str]) -> Path:
    """Where the soft targets of a group of texts stand, or will: of these texts, cut into these tokens."""
    digest = blake2b((work / "tokenizer" / "tokenizer.json").read_bytes(), digest_size=8)
    digest.update("\n\n".join(some).encode())
    return work / "soft" / f"{kind}-{digest.hexdigest()}.npy"


def softened(work: Path, kind: str, some: Sequence[str]) -> Soft | None:
    """What stands there."""
    file = soft_file(work, kind, some)
    found: Soft | None = np.load(file) if file.is_file() else None
    return found


class Translation:
    """Between the teacher's tokens and ours."""

    def __init__(self, teachers: Tokenizer, ours: Tokenizer) -> None:
        self.teachers, self.ours = teachers, ours
        names = [teachers.id_to_token(number) or "" for number in range(teachers.get_vocab_size())]
        special = set(teachers.get_added_tokens_decoder())
        first = [END if number in special else ours.model.tokenize(name)[0].id for number, name in enumerate(names)]
        self.first = torch.tensor(first)
        """(teacher's vocabulary): the first of our tokens in each of the teacher's."""
        ends = [name.startswith(NEW_LINE) for name in names]
        self.first_at_end = torch.where(torch.tensor(ends), END, self.first)
        """The same where a line that ends is the end of the text."""

    @staticmethod
    def places(theirs: Sequence[str], ours: Sequence[str]) -> npt.NDArray[np.int64]:
        """For each number of our tokens, none to all, how many of the teacher's are as long; -1 inside of one."""
        lengths = {size: number for number, size in enumerate(_ends(theirs))}
        return np.array([lengths.get(size, -1) for size in _ends(ours)])


def _ends(names: Sequence[str]) -> Iterator[int]:
    """Bytes before the first token, after it, after the second, and so on: a letter of a name is a byte."""
    size = 0
    yield size
    for name in names:
        size += len(name)
        yield size


def documents(lengths: Sequence[int], chance: random.Random) -> Iterator[list[int]]:
    """Texts in an order by chance, in groups that are `DOCUMENT` tokens long together, or one text that is longer."""
    order = list(range(len(lengths)))
    chance.shuffle(order)
    group: list[int] = []
    for number in order:
        if group and sum(lengths[each] for each in group) + lengths[number] > DOCUMENT:
            yield group
            group = []
        group.append(number)
    if group:
        yield group


def soften(model: Any, translation: Translation, kind: str, some: Sequence[str]) -> Soft:
    """The soft targets of these texts."""
    separator = SEPARATORS.get(kind, "\n\n")
    between = translation.teachers.encode(separator + "A", add_special_tokens=False).ids[:-1]
    theirs = translation.teachers.encode_batch(list(some), add_special_tokens=False)
    ours = translation.ours.encode_batch(list(some), add_special_tokens=False)
    found: list[Soft | None] = [None] * len(some)
    lengths = [len(between) + len(each.ids) for each in theirs]
    groups = iter(documents(lengths, random.Random(kind)))
    while batch := list(islice(groups, DOCUMENTS)):
        rows = [[token for number in group for token in between + theirs[number].ids] for group in batch]
        logits = read(model, rows)
        for group, row in zip(batch, logits, strict=True):
            start = 0
            for number in group:
                begins, start = start + len(between) - 1, start + lengths[number]
                places = translation.places(theirs[number].tokens, ours[number].tokens)
                found[number] = one(row[begins:start], places, ours[number].ids, translation, kind, some[number])
    return np.concatenate([each for each in found if each is not None])


@torch.inference_mode()
def read(model: Any, rows: Sequence[Ids]) -> Tensor:
    """Logits (rows, tokens, teacher's vocabulary) in bfloat16 of rows that are filled up on the right."""
    wide = max(map(len, rows))
    filled = torch.tensor([row + [0] * (wide - len(row)) for row in rows], device=model.device)
    logits: Tensor = model(input_ids=filled, use_cache=False).logits
    return logits


@torch.inference_mode()
def one(
    logits: Tensor, places: npt.NDArray[np.int64], ids: Ids, translation: Translation, kind: str, text: str
) -> Soft:
    """Of one text, from the teacher's logits before it and after each of its tokens."""
    found = hard(np.array([*ids, END]))
    known = np.flatnonzero(places >= 0)
    likely = (logits[places[known]].float() / TEMPERATURE.get(kind, SAID_AT)).softmax(1).topk(LOOKED_AT, 1)
    # A dialogue is a message and an answer: the end of its first line is not the end of it.
    first_line = len(translation.ours.encode(text.split("\n")[0]).ids) if "\n" in text else -1
    at_end = torch.from_numpy(known > first_line).to(logits.device)[:, None]
    ours = torch.where(at_end, translation.first_at_end[likely.indices], translation.first[likely.indices])
    every = torch.zeros(len(known), translation.ours.get_vocab_size(), device=logits.device)
    best = every.scatter_add_(1, ours, likely.values).topk(SOFT["ids"].shape[0], 1)
    found["ids"][known] = best.indices.cpu().numpy()
    found["shares"][known] = (best.values / best.values.sum(1, keepdim=True)).cpu().numpy()
    return found


def main(arguments: Sequence[str]) -> int:
    """Files that are not there yet, one after the other."""
    reader = argparse.ArgumentParser(prog="python -m base.distill", description="Soft targets from the teacher.")
    reader.add_argument("kinds", nargs="*", default=KINDS)
    reader.add_argument("--work", type=Path, required=True)
    reader.add_argument("--teacher", type=Path, required=True, help="data/bases/…/model")
    reader.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = reader.parse_args(arguments)
    model = AutoModelForCausalLM.from_pretrained(options.teacher, dtype=torch.bfloat16).to(options.device).eval()
    translation = Translation(
        Tokenizer.from_file(str(options.teacher / "tokenizer.json")),
        Tokenizer.from_file(str(options.work / "tokenizer" / "tokenizer.json")),
    )
    tokens, began = 0, time.monotonic()
    for kind in options.kinds:
        for some in together(texts(options.work / "clean" / kind / "train.jsonl")):
            file = soft_file(options.work, kind, some)
            if file.exists():
                continue
            soft = soften(model, translation, kind, some)
            write_array(file, soft)
            tokens += len(soft)
            speed = tokens / (time.monotonic() - began)
            sys.stderr.write(f"{file.name}: {tokens:,} tokens in all, {speed:.0f} tokens/s\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
