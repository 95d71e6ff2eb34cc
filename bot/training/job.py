"""What the service and its training process say to each other: one job in, one event per line out, files in a folder.

The process gets `Job` as the first line of its standard input, which stays open as long as the service lives, and
writes `Event`s to its standard output. Tweets travel in a file, never in arguments or in events.
"""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bot.errors import DiskFull, MockingbirdError
from bot.shelf.forms import ADAPTER_FILES
from bot.shelf.manifest import Answering, Prediction

TEXTS = "tweets.json"  # `Texts`
CHECKPOINT = "checkpoint.pt"
ADAPTER, ADAPTER_CONFIG = ADAPTER_FILES
RESULT = "result.json"  # `Result`

DISK_FULL = errno.ENOSPC  # exit code of a child of this room that found no room; other errors keep their own


def say_why(error: MockingbirdError) -> int:
    """The exit code with which a child ends, its sentence being the last line on stderr; the parent reads both."""
    sys.stderr.write(f"{error}\n")
    return DISK_FULL if isinstance(error, DiskFull) else error.exit_code


class Value(BaseModel):
    """Frozen, and with no room for a key that means nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Texts(Value):
    """What is learned and what is judged with."""

    train: tuple[str, ...]
    held_out: tuple[str, ...]
    accounts: tuple[int, ...] = ()  # how many of the training tweets are each account's, in their order; () is one
    prompts: tuple[str | None, ...] = ()  # what each training tweet answers, where that is known; () is nothing
    held_out_prompts: tuple[str | None, ...] = ()  # likewise of each held-out tweet


class Asking(Value):
    """How a base is loaded and asked about tweets, be it for learning or for judging alone."""

    base: Path  # transformers folder of the base
    end_id: int  # token before and after each tweet
    threads: int = Field(default=0, ge=0)  # 0 leaves one core to everything else
    device: Literal["auto", "cpu", "cuda"] = "auto"  # auto: a CUDA device where there is one
    precision: Literal["auto", "bfloat16", "float32"] = "auto"  # auto: bfloat16 where the device multiplies it
    keep_bytes: int = 2**30  # states of the untrained layers are kept up to this size, else computed again each time


class Job(Asking):
    """One run of `bot.training.finetune`."""

    base_name: str  # as people know it; stands in the adapter's configuration
    folder: Path  # holds TEXTS; the checkpoint, the adapter and RESULT are written into it
    fingerprint: str  # of the data set and all settings; a checkpoint of another one is ignored
    previous: Path | None = None  # folder of the adapter in use, judged on the same held-out tweets
    method: Literal["lora", "full"] = "lora"  # an adapter beside the layers, or every weight of them
    rank: int = Field(ge=1)  # of the adapter
    layers: int = Field(ge=0)  # upper layers that learn; 0 is all
    epochs: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    batch_tokens: int = Field(ge=1)  # learned in one step
    balance: float = Field(default=1.0, ge=0, le=1)  # see `bot.training.dataset.of_an_epoch`
    prompted: float = Field(default=0.5, ge=0, le=1)  # how often a reply is learned behind what it answers
    patience: int = Field(ge=1)  # evaluations without improvement before learning stops
    seed: int
    parts: int = Field(default=1, ge=1)  # passes in which a batch is taken: more of them need less memory
    report_seconds: float = 1.0  # at least this long between two "step" events


class Merge(Value):
    """What `bot.training.merging` merges, and where to."""

    base: Path  # transformers folder of the base
    adapter: Path  # folder of the adapter, in peft's format
    folder: Path  # is there and empty


class Event(Value):
    """One line on standard output; figures as in `bot.training.record.TrainingPoint`."""

    event: Literal["loading", "preparing", "step", "evaluation", "stopped", "done"]
    step: int = 0
    steps: int = 0
    loss: float | None = None
    held_out_loss: float | None = None
    tokens_per_second: float | None = None
    seconds_left: float | None = None


class Score(Value):
    """A model on the held-out tweets."""

    loss: float  # nats per token
    bits_per_byte: float  # over the UTF-8 bytes of the tweets


class Evaluation(Score):
    """The adapter on the held-out tweets after so many steps."""

    step: int


class Result(Value):
    """What a run leaves behind in RESULT."""

    best: Evaluation  # the weights that were written
    base: Score
    previous: Score | None
    held_out_tweets: int
    evaluations: tuple[Evaluation, ...]
    ended: Literal["finished", "no longer better", "diverged"]
    steps: int  # done
    planned_steps: int
    trained_tokens: int
    seconds: float  # of learning and evaluating, over all the process's lives
    predictions: tuple[Prediction, ...] = ()  # what it says when asked
    languages: tuple[str, ...] = ()  # of the tweets that it learned from, the commonest first
    answering: Answering | None = None  # on the held-out replies of which it is known what they answer
    run: dict[str, Any]  # what else it takes to repeat it: precision, threads, versions, sizes
