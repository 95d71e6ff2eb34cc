"""Learning step by step through a plan of batches, judging now and then, with a checkpoint to go on from."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from bot.training.epochs import plan
from bot.training.halves import Halves, Vocabulary, Whole
from bot.training.job import CHECKPOINT, Evaluation, Event, Job, Score
from bot.training.loss import choose, nats
from bot.training.orphans import Stop, Stopped
from bot.training.report import Report
from bot.training.rows import Rows

EVALUATE_EVERY = 150  # steps at most between two evaluations, or an epoch where that is shorter
JUDGED_PER_LEARNED = 4  # but at least so many tokens are learned for one that is judged, so that judging stays cheap
WARM_UP = 0.05  # share of the steps over which the learning rate rises
GRADIENT_NORM = 1.0  # larger gradients are scaled down to it

Ended = Literal["finished", "no longer better", "diverged"]


@dataclass
class Progress:
    """Where a run stands; together with the job and the data set it determines everything that follows."""

    step: int = 0  # steps done
    evaluations: list[Evaluation] = field(default_factory=list)
    best: Evaluation | None = None
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    trained_tokens: int = 0
    seconds: float = 0.0  # spent learning and evaluating, in all lives of the run

    def judged(self, score: Score, weights: dict[str, Tensor]) -> None:
        """Take note of an evaluation, and of the weights if none was better."""
        evaluation = Evaluation(step=self.step, **score.model_dump())
        self.evaluations.append(evaluation)
        if self.best is None or evaluation.loss < self.best.loss:
            self.best = evaluation
            self.best_weights = {name: weight.detach().clone() for name, weight in weights.items()}

    @property
    def since_best(self) -> int:
        """Evaluations since the best one."""
        return sum(1 for each in self.evaluations if self.best is not None and each.step > self.best.step)


class Run:
    """One adapter learning from one data set."""

    def __init__(
        self, job: Job, halves: Halves | Whole, weights: dict[str, Tensor], train: Rows, held_out: Rows
    ) -> None:
        self.job = job
        self.halves = halves
        self.weights = weights  # what learns, by name
        self.train = train
        self.held_out = held_out
        self.plan = plan(train, job)
        self.choice = choose(halves, train, job)
        self.progress = Progress()
        self.parts = job.parts  # passes in which a batch is taken
        self.optimizer = torch.optim.AdamW(
            weights.values(), lr=job.learning_rate, betas=(0.9, 0.99), weight_decay=0.0, fused=True
        )

    def learn(self, judge: Callable[[], Score], report: Report, stop: Stop) -> Ended:
        """Step by step through the plan, judging now and then, until it ends or nothing gets better.

        Told to stop it writes a checkpoint and raises `Stopped`.
        """
        done, steps = self.progress, len(self.plan)
        began, first, before = time.monotonic(), done.step, done.seconds
        left = 0.0
        report.begin()
        try:
            while True:
                if self.is_to_be_judged():
                    judged = judge()
                    if not math.isfinite(judged.loss):
                        return "diverged"
                    done.judged(judged, self.weights)
                    self.save()
                    report(evaluation_event(done.evaluations[-1], steps, left))
                    report.begin()
                if done.since_best >= self.job.patience:
                    return "no longer better"
                if done.step == steps:
                    return "finished"
                stop.check()
                total, tokens = self.take_step()
                if not math.isfinite(total):
                    return "diverged"
                done.step += 1
                done.trained_tokens += tokens
                done.seconds = before + time.monotonic() - began
                left = (done.seconds - before) / (done.step - first) * (steps - done.step)
                report.step(done.step, steps, total, tokens, left)
        except Stopped:
            self.save()
            raise

    def is_to_be_judged(self) -> bool:
        """Whether an evaluation is due at this step and was not made yet, perhaps in an earlier life."""
        step, steps = self.progress.step, len(self.plan)
        worth_it = JUDGED_PER_LEARNED * self.held_out.tokens / self.job.batch_tokens
        every = min(math.ceil(steps / self.job.epochs), max(EVALUATE_EVERY, math.ceil(worth_it)))
        judged = {evaluation.step for evaluation in self.progress.evaluations}
        return step > 0 and step not in judged and (step % every == 0 or step == steps)

    def take_step(self) -> tuple[float, int]:
        """Learn from the next batch; its loss before that, summed in nats, and its number of tokens.

        Where memory runs out the batch is taken in two parts, from then on; their gradients add up to the same.
        """
        step = self.progress.step
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(step, len(self.plan), self.job.learning_rate)
        vocabulary = None
        if self.choice is not None and self.halves.head is not None:
            vocabulary = self.choice.in_step(self.halves.head, self.job.seed + step)
        while True:
            try:
                total, tokens = self.add_gradients(self.plan[step], vocabulary)
                break
            except (MemoryError, RuntimeError) as error:
                if not ran_out_of_memory(error) or self.parts >= len(self.plan[step]):
                    raise
                self.parts *= 2
        nn.utils.clip_grad_norm_(self.weights.values(), GRADIENT_NORM)
        self.optimizer.step()
        return total, tokens

    def add_gradients(self, picked: Sequence[int], vocabulary: Vocabulary | None) -> tuple[float, int]:
        """The gradient of the mean loss over the picked tweets, in `parts` passes; the summed loss, and its tokens."""
        self.optimizer.zero_grad()
        size = math.ceil(len(picked) / self.parts)
        tokens = self.train.predicted(picked)
        loss = 0.0
        for start in range(0, len(picked), size):
            total, _ = nats(self.halves, self.train, picked[start : start + size], vocabulary)
            (total / tokens).backward()  # type: ignore[no-untyped-call]
            loss += float(total.detach())
        return loss, tokens

    # --- Its checkpoint: all of `Progress`, the weights as they are, and the optimiser's state ---

    def save(self) -> None:
        """Write the checkpoint; the one before stays until this one is whole."""
        done = self.progress
        file = self.job.folder / CHECKPOINT
        fresh = file.with_suffix(f".{os.getpid()}")  # a predecessor may still be writing its own
        state = {
            "fingerprint": self.job.fingerprint,
            "weights": {name: weight.detach() for name, weight in self.weights.items()},
            "optimizer": self.optimizer.state_dict(),
            "progress": {
                "step": done.step,
                "evaluations": [each.model_dump() for each in done.evaluations],
                "best": done.best.model_dump() if done.best else None,
                "best_weights": done.best_weights,
                "trained_tokens": done.trained_tokens,
                "seconds": done.seconds,
            },
        }
        with fresh.open("wb") as out:
            torch.save(state, out)
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(file)

    def resume(self) -> None:
        """Go on from the checkpoint, if there is one of this very run."""
        file = self.job.folder / CHECKPOINT
        if not file.is_file():
            return
        state = torch.load(file, weights_only=True, map_location="cpu")
        if state["fingerprint"] != self.job.fingerprint:
            return
        with torch.no_grad():
            for name, weight in self.weights.items():
                weight.copy_(state["weights"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        saved = state["progress"]
        evaluations = [Evaluation(**each) for each in saved["evaluations"]]
        best = Evaluation(**saved["best"]) if saved["best"] else None
        self.progress = Progress(**{**saved, "evaluations": evaluations, "best": best})


def ran_out_of_memory(error: Exception) -> bool:
    """Whether that is what torch, or Python, means."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Up in a straight line, then down to zero along half a cosine."""
    rise = max(1, round(steps * WARM_UP))
    if step < rise:
        return peak * (step + 1) / rise
    return peak * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def evaluation_event(evaluation: Evaluation, steps: int, seconds_left: float) -> Event:
    return Event(
        event="evaluation",
        step=evaluation.step,
        steps=steps,
        held_out_loss=evaluation.loss,
        seconds_left=seconds_left,
    )
