"""Teaches a base one voice: `python -m bot.training.finetune`, a `Job` on standard input, progress on standard output.

`fine_tune` goes from a job to an adapter. What it stands on is best read in this order: `learner` (the base, and the
adapter beside its upper layers), `halves` (what is computed once, and what learns), `rows` (tweets in batches), `loss`
(which tokens are weighed), `epochs` and `run` (learning step by step).

The process is a good child. It ends when its parent does, and when told to stop it writes a checkpoint. A run that
finds a checkpoint goes on from it to the very same figures.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.metadata
import math
import os
import resource
import sys
from collections.abc import Mapping, Sequence
from io import FileIO
from pathlib import Path
from typing import Any

import peft
import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import PreTrainedModel

from bot.errors import DiskFull, MockingbirdError, TrainingFailed
from bot.shelf.forms import TOKENIZER, form_of, whole_model
from bot.shelf.manifest import Answering
from bot.training.dataset import MAX_TOKENS, behind_prompts, text_bytes, tokenise
from bot.training.halves import Halves, Whole, autocast, cut
from bot.training.job import RESULT, TEXTS, Evaluation, Event, Job, Result, Score, Texts, say_why
from bot.training.learner import attach, load_base, lowest_layer, open_upper, write
from bot.training.loss import score
from bot.training.orphans import Stop, Stopped
from bot.training.predicting import languages, predictions
from bot.training.report import Report
from bot.training.rows import Rows, keep_states, read, rows_of
from bot.training.run import GRADIENT_NORM, WARM_UP, Progress, Run, ran_out_of_memory


def fine_tune(job: Job, report: Report, stop: Stop) -> None:
    """Do the job: an adapter or a model, and `Result`, are in its folder at the end.

    Raises `Stopped`, `TrainingFailed`.
    """
    report(Event(event="loading"))
    texts = Texts.model_validate_json((job.folder / TEXTS).read_bytes())
    tokenizer = Tokenizer.from_file(str(job.base / "tokenizer.json"))
    model = load_base(job)
    limit = min(MAX_TOKENS, model.config.max_position_embeddings)
    train_ids = tokenise(tokenizer, texts.train, job.end_id, limit)
    held_out_ids = tokenise(tokenizer, texts.held_out, job.end_id, limit)
    size = text_bytes(tokenizer, texts.held_out, held_out_ids)

    report(Event(event="preparing"))
    tweets = rows_of(train_ids, model, texts.accounts)
    tweets = tweets.with_prompts(behind_prompts(tokenizer, texts.prompts, train_ids, limit))
    kept_aside = rows_of(held_out_ids, model)
    previous = score_of_previous(model, kept_aside, texts.held_out, size, job, stop)

    learner = attach(model, job) if job.method == "lora" else open_upper(model, job)
    halves = cut(model, lowest_layer(model, job))
    train = keep_states(tweets, halves, job, stop)
    held_out = keep_states(kept_aside, halves, job, stop)
    base = score(halves, held_out, size, job, stop)  # nothing has changed yet

    weights = {name: weight for name, weight in learner.named_parameters() if weight.requires_grad}
    run = Run(job, halves, weights, train, held_out)
    run.resume()
    if run.progress.step == 0:
        report(Event(event="evaluation", step=0, steps=len(run.plan), held_out_loss=base.loss))
    ended = run.learn(lambda: score(halves, held_out, size, job, stop), report, stop)
    best = take_best(run.progress, weights)
    run_as = circumstances(run, model)
    pairs = behind_prompts(tokenizer, texts.held_out_prompts, held_out_ids, limit)
    answering = score_answering(halves, held_out, pairs, job, stop)
    with autocast(halves):
        said = predictions(learner, tokenizer, job, texts, stop.check)
    write(learner, job)
    result = Result(
        best=best,
        base=base,
        previous=previous,
        held_out_tweets=len(held_out.ids),
        evaluations=tuple(run.progress.evaluations),
        ended=ended,
        steps=run.progress.step,
        planned_steps=len(run.plan),
        trained_tokens=run.progress.trained_tokens,
        seconds=run.progress.seconds,
        predictions=said,
        languages=languages(texts.train),
        answering=answering,
        run=run_as,
    )
    (job.folder / RESULT).write_text(result.model_dump_json(indent=2) + "\n", encoding="utf-8")
    report(Event(event="done", step=best.step, steps=len(run.plan), held_out_loss=best.loss))


def take_best(progress: Progress, weights: Mapping[str, Tensor]) -> Evaluation:
    """The best evaluation; the weights are as they were then. Raises `TrainingFailed`."""
    if progress.best is None:
        raise TrainingFailed("The loss became infinite before anything was learned. Lower [training] learning_rate.")
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(progress.best_weights[name])
    return progress.best


def score_of_previous(
    model: PreTrainedModel, held_out: Rows, texts: Sequence[str], size: int, job: Job, stop: Stop
) -> Score | None:
    """The version in use on the same tweets; it may reach deeper than ours, so the whole model is asked."""
    if job.previous is None:
        return None
    if form_of(job.previous) == "whole":
        return score_of_whole(job.previous, held_out, texts, size, job, stop)
    adapted = peft.PeftModel.from_pretrained(model, job.previous)
    result = score(Whole(model), held_out, size, job, stop)
    adapted.unload()
    return result


def score_of_whole(folder: Path, held_out: Rows, texts: Sequence[str], size: int, job: Job, stop: Stop) -> Score:
    """A whole model on these texts; its loss for each of the base's tokens, since its own may be others."""
    own = load_base(job.model_copy(update={"base": folder}))
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    rows, own_size = read(own, tokenizer, whole_model(folder).record.end_id, texts)
    found = score(Whole(own), rows, own_size, job, stop)
    return found.model_copy(update={"loss": found.bits_per_byte * math.log(2) * size / held_out.tokens})


def score_answering(
    halves: Halves | Whole, held_out: Rows, pairs: dict[int, tuple[list[int], int]], job: Job, stop: Stop
) -> Answering | None:
    """The held-out replies behind what they answer, and the same ones alone: whether the model makes use of it."""
    if not pairs:
        return None
    device = held_out.ids[0].device
    behind = Rows(
        [torch.tensor(ids, device=device) for ids, _ in pairs.values()],
        asked=tuple(tokens for _, tokens in pairs.values()),
    )
    loss, alone = (score(halves, rows, 1, job, stop).loss for rows in (behind, held_out.alone(pairs)))
    return Answering(held_out=len(pairs), loss=loss, loss_alone=alone)


def circumstances(run: Run, model: PreTrainedModel) -> dict[str, Any]:
    """What else it takes to repeat a run, and what it cost."""
    adam = run.optimizer.param_groups[0]
    return {
        "betas": list(adam["betas"]),
        "weight_decay": adam["weight_decay"],
        "warm_up": WARM_UP,
        "gradient_norm": GRADIENT_NORM,
        "device": torch.cuda.get_device_name() if model.device.type == "cuda" else "cpu",
        "precision": str(model.get_input_embeddings().weight.dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "parts": run.parts,
        "learned_parameters": sum(weight.numel() for weight in run.weights.values()),
        "always_weighed_tokens": len(run.choice.always) if run.choice else model.config.vocab_size,
        "train_tweets": run.train.tweets,
        "train_tokens": run.train.tokens,
        **({"peak_device_memory_bytes": torch.cuda.max_memory_allocated()} if model.device.type == "cuda" else {}),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        **{name: importlib.metadata.version(name) for name in ("torch", "transformers", "peft")},
    }


def main() -> int:
    """Exit code 0 when done or stopped; else the error's own, with its sentence as the last line on stderr."""
    standard_input = FileIO(0, closefd=False)
    job = Job.model_validate_json(standard_input.readline())
    stop = Stop()
    stop.listen(standard_input)
    nobody_reads = contextlib.suppress(BrokenPipeError)  # on closing, when the parent is dead
    with nobody_reads, os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)  # what libraries print is not an event
        report = Report(out, job.report_seconds)
        try:
            fine_tune(job, report, stop)
        except Stopped:
            with contextlib.suppress(Stopped):
                report(Event(event="stopped"))
        except (MockingbirdError, OSError, MemoryError, RuntimeError) as error:
            return fail(error)
    return 0


def fail(error: Exception) -> int:
    """Say in one sentence on stderr what went wrong; the exit code. What is not understood is raised again."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        error = DiskFull("The disk is full, so learning stopped. Free some space and train again; nothing was lost.")
    elif ran_out_of_memory(error):
        error = TrainingFailed("Memory ran out while learning. Lower [training] batch_tokens or use a smaller base.")
    if not isinstance(error, MockingbirdError):
        raise error
    return say_why(error)


if __name__ == "__main__":
    sys.exit(main())
