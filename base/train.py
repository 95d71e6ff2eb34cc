"""Trains the base: `python -m base.train --work FOLDER [--preset cpu] [--minutes M] [--decay M]`.

Read it from top to bottom. The learning rate rises, stays, and falls to zero at the end (warm-up, stable, decay: Hu et
al. 2024, arXiv 2404.06395). The stable part has no end: whoever has another hour goes on from its checkpoint. The decay
branches off it, with a mixture of text that is closer to what the service speaks, and gives the model that is used.

    --minutes M          goes on with the stable part for so long, from its checkpoint if there is one
    --decay M            branches off the newest stable checkpoint and decays in about M minutes, or goes on with that

A checkpoint holds everything that decides what comes next: weights, the optimisers' state, the step, the schedule and
how much of each kind of text was taken. It replaces the one before by a rename, so that a killed run loses what it did
since and nothing else, and goes on to the very same figures. Progress is a line of JSON on standard output for each
report; the held-out bits per byte of each kind stand in some of them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import random
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn
from transformers import GPT2LMHeadModel

from base.distill import softened
from base.model import new_model, optimizers, parameters, set_rates, summed_loss
from base.presets import KINDS, PRESETS, Preset
from base.rows import IGNORED, Batch, Rows, Stream, write_rows
from base.tokenizer import texts
from bot.shelf.bases import END_TOKEN
from bot.shelf.shelf import file_sha256
from bot.training.learner import multiplies_bfloat16

GRADIENT_NORM = 1.0  # larger gradients are scaled down to it
REPORT_S = 30.0  # at least between two reports
EVALUATE_EVERY = 250  # steps between two looks at the held-out text
SAVE_S = 120.0  # at least between two checkpoints
MOST_OFTEN, MOST_OFTEN_IN_DECAY = 10.0, 30.0  # times that a kind is read for each time that it would be by chance
SOFTNESS = 0.8  # of a target that is the teacher's, where it was asked
HELD_OUT_TOKENS = 16_384  # of each kind that are looked at


# --- 1. The text -----------------------------------------------------------------------------------------------------


def tokenised(work: Path, positions: int) -> Mapping[str, tuple[Rows, Rows]]:
    """Training and held-out rows of each kind of which there is text, made anew where the text is another."""
    tokenizer_file = work / "tokenizer" / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    found = {}
    for kind in KINDS:
        sides = []
        for side in ("train", "heldout"):
            source, file = work / "clean" / kind / f"{side}.jsonl", work / "rows" / f"{kind}-{side}"
            note = file.with_suffix(".made_of")
            soft = sorted(each.name for each in (work / "soft").glob(f"{kind}-*.npy")) if side == "train" else []
            made_of = "\n".join([*(file_sha256(each) for each in (source, tokenizer_file) if each.is_file()), *soft])
            if not note.is_file() or note.read_text() != made_of:
                write_rows(tokenizer, 0, texts(source), file, positions, partial(softened, work, kind))
                note.write_text(made_of)
            sides.append(Rows.open(file))
        if all(map(len, sides)):
            found[kind] = (sides[0], sides[1])
    return found


def token_bytes(tokenizer: Tokenizer) -> np.ndarray[Any, np.dtype[np.int64]]:
    """How many bytes each token stands for: in a byte-level vocabulary a letter is a byte. The end token is none."""
    names = (tokenizer.id_to_token(number) for number in range(tokenizer.get_vocab_size()))
    return np.array([0 if name == END_TOKEN else len(name or "") for name in names], np.int64)


def held_out(rows: Rows, kind: str, tokens: int) -> list[Batch]:
    """The same few batches every time."""
    chosen, seen = [], 0
    for picked in rows.order(0, kind, 0, 2_048):
        chosen.append(rows.batch(picked))
        seen += chosen[-1].tokens
        if seen >= tokens:
            break
    return chosen


# --- 2. The schedule -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Decay:
    """From which step the learning rate falls, and over how many."""

    first: int
    steps: int


def share(step: int, warm_up: int, decay: Decay | None) -> float:
    """Of the peak learning rate: up in a straight line, level, and down to zero in a straight line."""
    if decay is not None and step >= decay.first:
        return max(0.0, 1 - (step - decay.first) / decay.steps)
    return min(1.0, (step + 1) / warm_up)


def kinds_of(step: int, seed: int, count: int, weights: Mapping[str, float]) -> list[str]:
    """Of which kind each batch of a step is."""
    return random.Random(f"{seed} {step}").choices(list(weights), list(weights.values()), k=count)


def mixture(weights: Mapping[str, float], sizes: Mapping[str, int], most_often: float) -> dict[str, float]:
    """The weights of the kinds that there are, none above `most_often` times its share of all tokens.

    Of a kind of which there is little the same few texts would come again and again, and be learned by heart.
    """
    total = sum(sizes.values())
    return {kind: min(weights[kind], most_often * size / total) for kind, size in sizes.items()}


# --- 3. The run ------------------------------------------------------------------------------------------------------


class Run:
    """A training that can be cut off anywhere after a checkpoint."""

    def __init__(self, work: Path, preset: Preset, seed: int, device: str, muon: bool = True) -> None:
        self.preset, self.seed = preset, seed
        self.tokenizer = Tokenizer.from_file(str(work / "tokenizer" / "tokenizer.json"))
        self.model: GPT2LMHeadModel = new_model(preset, np.load(work / "tokenizer" / "embeddings.npy"), seed, device)
        self.model.train()
        self.optimizers = optimizers(self.model, preset, muon)
        self.half = multiplies_bfloat16(device)
        rows = tokenised(work, preset.positions)
        self.streams = {kind: Stream(train, kind, seed, preset.batch_tokens) for kind, (train, _) in rows.items()}
        self.held_out = {kind: held_out(aside, kind, HELD_OUT_TOKENS) for kind, (_, aside) in rows.items()}
        sizes = {kind: len(train.ids) for kind, (train, _) in rows.items()}
        self.stable = mixture(preset.stable, sizes, MOST_OFTEN)
        self.decaying = mixture(preset.decay, sizes, MOST_OFTEN_IN_DECAY)
        self.bytes = token_bytes(self.tokenizer)
        self.step, self.tokens, self.seconds = 0, 0, 0.0
        self.decay: Decay | None = None

    # --- A step ---

    def learn(self) -> float:
        """One step; the mean loss of its batches, in nats per token."""
        preset = self.preset
        decaying = self.decay is not None and self.step >= self.decay.first
        count = max(1, preset.step_tokens // preset.batch_tokens)
        weights = self.decaying if decaying else self.stable
        batches = [self.streams[kind].next() for kind in kinds_of(self.step, self.seed, count, weights)]
        tokens = sum(batch.tokens for batch in batches)
        total = 0.0
        for batch in batches:
            loss = summed_loss(self.model, batch, self.half, SOFTNESS) / tokens
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        nn.utils.clip_grad_norm_(self.model.parameters(), GRADIENT_NORM)
        set_rates(self.optimizers, share(self.step, preset.warm_up, self.decay))
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        self.step += 1
        self.tokens += tokens
        return total

    @torch.no_grad()
    def bits_per_byte(self) -> dict[str, float]:
        """Of the held-out text of each kind, the closing end tokens included."""
        found = {}
        for kind, batches in self.held_out.items():
            nats = sum(float(summed_loss(self.model, batch, self.half)) for batch in batches)
            size = sum(int(self.bytes[batch.targets[batch.targets != IGNORED]].sum()) for batch in batches)
            found[kind] = nats / math.log(2) / size
        return found

    # --- Its checkpoint ---

    def save(self, file: Path) -> None:
        """Write it; the one before stays until this one is whole."""
        state = {
            "preset": repr(self.preset), "seed": self.seed, "step": self.step, "tokens": self.tokens,
            "seconds": self.seconds, "taken": {kind: stream.taken for kind, stream in self.streams.items()},
            "decay": None if self.decay is None else [self.decay.first, self.decay.steps],
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }  # fmt: skip
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_suffix(f".{os.getpid()}")
        with fresh.open("wb") as out:
            torch.save(state, out)
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(file)

    def load(self, file: Path) -> None:
        """Go on from there. Kinds of which there was no text then begin at their beginning."""
        state = torch.load(file, weights_only=True, map_location=self.model.device)
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            peaks = [group["peak"] for group in optimizer.param_groups]
            optimizer.load_state_dict(saved)
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["peak"] = peak
        for kind, stream in self.streams.items():
            stream.taken = state["taken"].get(kind, 0)
        self.step, self.tokens, self.seconds = state["step"], state["tokens"], state["seconds"]
        self.decay = Decay(*state["decay"]) if state["decay"] else None

    # --- What is kept ---

    def write_model(self, folder: Path) -> None:
        """A transformers folder, and beside the weights what they cost."""
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save_pretrained(folder)
        self.tokenizer.save(str(folder / "tokenizer.json"))
        facts = {
            "parameters": parameters(self.model), "steps": self.step, "tokens": self.tokens,
            "hours": round(self.seconds / 3600, 2), "seed": self.seed, "threads": torch.get_num_threads(),
            "device": self.model.device.type, "bits_per_byte": self.bits_per_byte(),
            "epochs": {kind: round(stream.epochs, 2) for kind, stream in self.streams.items()},
            "decay_steps": self.decay.steps if self.decay else 0,
        }  # fmt: skip
        (folder / "training.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


# --- 4. The process --------------------------------------------------------------------------------------------------


class Told:
    """Set by SIGTERM and SIGINT: the run writes its checkpoint and ends."""

    def __init__(self) -> None:
        self.to_stop = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: setattr(self, "to_stop", True))


def go_on(run: Run, checkpoint: Path, until: float, last_step: int | None, told: Told) -> None:
    """Learn until that time, or that step, or being told to stop; the checkpoint is written on the way and then."""
    reported = saved = time.monotonic()
    nats, steps, tokens = 0.0, 0, run.tokens
    while time.monotonic() < until and run.step != last_step and not told.to_stop:
        began = time.monotonic()
        nats, steps = nats + run.learn(), steps + 1
        now = time.monotonic()
        run.seconds += now - began
        evaluated = run.step % EVALUATE_EVERY == 0
        if evaluated or now - reported >= REPORT_S:
            line: dict[str, Any] = {
                "step": run.step, "tokens": run.tokens, "loss": round(nats / steps, 4),
                "tokens_per_second": round((run.tokens - tokens) / (now - reported)),
                "processor_seconds": round(time.process_time()), "share": round(share(run.step, 1, run.decay), 3),
            }  # fmt: skip
            if evaluated:
                line["bits_per_byte"] = {kind: round(bits, 4) for kind, bits in run.bits_per_byte().items()}
                line["epochs"] = {kind: round(stream.epochs, 2) for kind, stream in run.streams.items()}
            print(json.dumps(line), flush=True)
            reported, nats, steps, tokens = time.monotonic(), 0.0, 0, run.tokens
        if now - saved >= SAVE_S:
            run.save(checkpoint)
            saved = time.monotonic()
    run.save(checkpoint)


def identity(preset: Preset, tokenizer_file: Path, seed: int) -> str:
    """Of a run: another model, tokenizer or seed has another folder."""
    shape = replace(preset, stable={}, decay={})
    text = f"{shape} {hashlib.sha256(tokenizer_file.read_bytes()).hexdigest()} {seed}"
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--preset", choices=PRESETS, default="cpu")
    parser.add_argument("--minutes", type=float, default=0.0, help="of the stable part")
    parser.add_argument("--decay", type=float, default=0.0, help="minutes of the decay")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    asked = parser.parse_args()
    preset = PRESETS[asked.preset]
    told = Told()
    name = identity(preset, asked.work / "tokenizer" / "tokenizer.json", asked.seed)
    folder = asked.work / "runs" / f"{asked.preset}-{name}"
    stable, decaying = folder / "stable.pt", folder / "decay.pt"
    run = Run(asked.work, preset, asked.seed, asked.device)
    facts = {"run": folder.name, "parameters": parameters(run.model), "half": run.half}
    print(json.dumps({**facts, "stable": run.stable, "decay": run.decaying}), flush=True)
    if asked.minutes:
        if stable.is_file():
            run.load(stable)
        go_on(run, stable, time.monotonic() + asked.minutes * 60, None, told)
    if asked.decay and not told.to_stop:
        run.load(decaying if decaying.is_file() else stable)
        if run.decay is None:
            run.decay = Decay(run.step, max(1, round(asked.decay * 60 / (run.seconds / run.step))))
        go_on(run, decaying, math.inf, run.decay.first + run.decay.steps, told)
        if not told.to_stop:
            run.write_model(folder / "model")
            decaying.rename(folder / "decayed.pt")  # the next decay branches off anew


if __name__ == "__main__":
    main()
