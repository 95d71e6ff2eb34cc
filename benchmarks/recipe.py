"""The recipe to beat, as huggingtweets' notebook 0.6 trains: `python benchmarks/recipe.py < job.json`.

GPT-2 or any other causal model, every weight of it, with the Trainer of transformers: all tweets of four epochs in one
text, each followed by the end token, reshuffled for each epoch, smaller accounts filled up by repeating some of their
tweets; blocks of 1,024 tokens, batch 1, AdamW, learning rate 1.372e-4, cosine to zero, no warm-up, one pass.

What is ours is the judging alone: after every so many steps the held-out tweets are scored as
`bot.training.finetune` scores them, outside the time that is counted. Events are JSON lines on standard output.
"""

from __future__ import annotations

import json
import os
import random
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel
from tokenizers import Tokenizer
from torch import Tensor
from transformers import AutoModelForCausalLM, Trainer, TrainerCallback, TrainingArguments
from transformers.utils import logging

from bot.training.dataset import MAX_TOKENS, text_bytes, tokenise
from bot.training.halves import Whole
from bot.training.job import Job
from bot.training.loss import score
from bot.training.orphans import Stop
from bot.training.rows import Rows

EPOCHS = 4  # written into one text
BLOCK = 1_024  # tokens
LEARNING_RATE = 1.372e-4

OUT = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)  # what libraries print is not an event


class Recipe(BaseModel):
    """One run."""

    base: Path  # transformers folder
    end_id: int
    end: str = "<|endoftext|>"
    train: dict[str, list[str]]  # by account
    held_out: list[str]
    seed: int
    threads: int
    judgings: int = 8  # over the run
    bfloat16: bool = False  # the ancestor had a GPU and float32; on two cores the largest accounts take hours so
    save: Path | None = None  # folder for what was learned, in float16
    cut: int | None = None  # learn no more than so many blocks, for the sake of speed and memory alone


def text_of(train: dict[str, list[str]], seed: int, end: str) -> str:
    """The whole training text: accounts balanced by repetition, as the ancestor does it."""
    order = random.Random(seed)
    longest = max(len(tweets) for tweets in train.values())
    balanced: list[str] = []
    for tweets in train.values():
        filled = list(tweets)
        while len(filled) < longest:
            filled += tweets[: longest - len(filled)]
        balanced += filled
    parts = []
    for _ in range(EPOCHS):
        order.shuffle(balanced)
        parts += [tweet + end for tweet in balanced]
    return "".join(parts)


def blocks(tokenizer: Tokenizer, text: str, end: str, end_id: int) -> list[dict[str, Tensor]]:
    """The text in blocks of 1,024 tokens; what is left over at the end is dropped, unless it is all there is."""
    ids: list[int] = []
    tokenizer.encode_special_tokens = True
    for encoding in tokenizer.encode_batch(text.split(end)[:-1], add_special_tokens=False):
        ids += [*encoding.ids, end_id]
    whole = [ids[start : start + BLOCK] for start in range(0, len(ids) - BLOCK + 1, BLOCK)] or [ids]
    return [{"input_ids": torch.tensor(block), "labels": torch.tensor(block)} for block in whole]


class Judge(TrainerCallback):
    """Scores the held-out tweets now and then; the clock stands meanwhile."""

    def __init__(self, recipe: Recipe, rows: Rows, size: int, every: int) -> None:
        self.rows, self.size, self.every = rows, size, every
        self.job = Job(
            base=recipe.base, base_name="", end_id=recipe.end_id, folder=recipe.base, fingerprint="", rank=1, layers=0,
            epochs=1, learning_rate=1.0, batch_tokens=512, patience=1, seed=0,
        )  # fmt: skip
        self.seconds = 0.0
        self.began = time.process_time()

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.began = time.process_time()

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        if state.global_step % self.every == 0 or state.global_step == state.max_steps:
            self.seconds += time.process_time() - self.began
            model.eval()
            judged = score(Whole(model), self.rows, self.size, self.job, Stop())
            model.train()
            say(step=state.global_step, steps=state.max_steps, seconds=self.seconds, **judged.model_dump())
            self.began = time.process_time()


def say(**event: Any) -> None:
    OUT.write(json.dumps(event) + "\n")
    OUT.flush()


def main() -> None:
    recipe = Recipe.model_validate_json(sys.stdin.read())
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    torch.set_num_threads(recipe.threads)
    torch.manual_seed(recipe.seed)
    tokenizer = Tokenizer.from_file(str(recipe.base / "tokenizer.json"))
    model = AutoModelForCausalLM.from_pretrained(recipe.base, dtype=torch.float32, local_files_only=True)
    train = blocks(tokenizer, text_of(recipe.train, recipe.seed, recipe.end), recipe.end, recipe.end_id)
    whole_tokens = sum(len(block["input_ids"]) for block in train)
    train = train[: recipe.cut]
    held_out_ids = tokenise(tokenizer, recipe.held_out, recipe.end_id, MAX_TOKENS)
    rows = Rows([torch.tensor(ids) for ids in held_out_ids])
    judge = Judge(
        recipe, rows, text_bytes(tokenizer, recipe.held_out, held_out_ids), max(1, len(train) // recipe.judgings)
    )
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder, per_device_train_batch_size=1, num_train_epochs=1, learning_rate=LEARNING_RATE,
            lr_scheduler_type="cosine", warmup_steps=0, seed=recipe.seed, save_strategy="no", report_to=[],
            logging_strategy="no", disable_tqdm=True, use_cpu=not torch.cuda.is_available(),
            bf16=recipe.bfloat16,
        )  # fmt: skip
        Trainer(model=model, args=arguments, train_dataset=train, callbacks=[judge]).train()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if recipe.save is not None:
        model.half().save_pretrained(recipe.save)  # type: ignore[no-untyped-call]
        tokenizer.save(str(recipe.save / "tokenizer.json"))
    say(
        done=True,
        seconds=judge.seconds,
        tokens=sum(len(block["input_ids"]) for block in train),
        whole_tokens=whole_tokens,
        peak_mb=round(peak / 1024),
        size_mb=round(sum(weight.numel() * 4 for weight in model.parameters()) / 1e6),
    )


if __name__ == "__main__":
    main()
