"""Teaches a base one voice: `python -m bot.training.finetune`, a `Job` on standard input, progress on standard output.

Read it from top to bottom. Most of a language model knows English and the world, and is left alone. What changes are
small matrices (LoRA, Hu et al. 2021, arXiv 2106.09685) beside the projections: a few megabytes that the engine adds to
the base while it speaks. Or, where that is wanted, every weight of the layers. Four things make it quick on two
processor cores:

1. Where only the upper layers learn, those below give the same numbers in every epoch, which are computed once.
2. A tweet is one row, and rows of about the same length share a batch. Rows are filled up on the right, where causal
   attention never looks, so that no tweet sees another one and no mask is needed.
3. While learning, the head weighs the tokens that the tweets hold, those that the base would say, and a sample of all
   others that stands for them: with 49,152 tokens it costs more than eight layers. While judging, it weighs them all.
4. Products of matrices run in bfloat16 where the processor has instructions for it: about twice as fast.

Judged is what will be done: each held-out tweet alone after the end token, up to and including its closing end token.

The process is a good child. It ends when its parent does, and when told to stop it writes a checkpoint. A run that
finds a checkpoint goes on from it to the very same figures.
"""

from __future__ import annotations

import contextlib
import copy
import ctypes
import errno
import importlib.metadata
import math
import os
import random
import resource
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from io import FileIO
from pathlib import Path
from typing import Any, Literal, TextIO

import peft
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.pytorch_utils import Conv1D
from transformers.utils import logging

from bot.errors import DiskFull, MockingbirdError, TrainingFailed
from bot.shelf.forms import TOKENIZER, form_of, whole_model
from bot.shelf.manifest import Answering
from bot.training.dataset import MAX_TOKENS, behind_prompts, of_an_epoch, text_bytes, tokenise
from bot.training.disk import writing
from bot.training.job import (
    ADAPTER,
    CHECKPOINT,
    RESULT,
    TEXTS,
    Asking,
    Evaluation,
    Event,
    Job,
    Result,
    Score,
    Texts,
    say_why,
)
from bot.training.predicting import languages, predictions
from bot.training.prepare import FLOAT16_LIMIT

LIKELY_TOKENS = 2_048  # tokens that no tweet holds and that are always weighed, the base's likeliest
SAMPLED_TOKENS = 2_048  # of all others, which stand for them in one step
LIKELY_FROM = 2_048  # positions from which the base's likeliest are taken
CHUNK = 128  # positions whose logits over the whole vocabulary are in memory at a time: 25 MB with 49,152 tokens
WIDTHS = 4  # batches are a multiple of this wide: a product of a new shape costs a quarter more, and so few are new
READ_TOKENS = 2_048  # in a batch that is only read, not learned
EVALUATE_EVERY = 150  # steps at most between two evaluations, or an epoch where that is shorter
JUDGED_PER_LEARNED = 4  # but at least so many tokens are learned for one that is judged, so that judging stays cheap
LAST_NORM = {"gpt2": "ln_f", "llama": "norm"}  # kind of base to the name of the norm before its head
WARM_UP = 0.05  # share of the steps over which the learning rate rises
GRADIENT_NORM = 1.0  # larger gradients are scaled down to it

Ended = Literal["finished", "no longer better", "diverged"]


# --- 1. A good child -------------------------------------------------------------------------------------------------


class Stopped(Exception):
    """The process was told to stop."""


class Stop:
    """Set by SIGTERM, SIGINT, or the end of standard input, which is the end of the parent."""

    def __init__(self) -> None:
        # No lock: a signal handler is interrupted by the next signal (the kernel sends one for each thread of a parent
        # that dies), and an Event's lock, held by the first, would be waited for by the second for ever.
        self._told = False

    def listen(self, standard_input: FileIO) -> None:
        """From now on signals and the parent's end are noticed."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._tell())
        threading.Thread(target=self._wait_for_end, args=(standard_input,), daemon=True).start()

    def check(self) -> None:
        """Raises `Stopped` once the process was told to."""
        if self._told:
            raise Stopped

    def _wait_for_end(self, standard_input: FileIO) -> None:
        while standard_input.read(1):
            pass
        self._tell()

    def _tell(self) -> None:
        self._told = True


def end_with_parent() -> None:
    """Let the kernel send SIGTERM when the parent dies; where it can't, the end of standard input has to do."""
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)


@dataclass
class Report:
    """Events on standard output, one JSON object a line."""

    out: TextIO
    every: float  # seconds at least between two "step" events
    reported_at: float = 0.0
    nats: float = 0.0  # since the last "step" event
    tokens: int = 0  # likewise

    def __call__(self, event: Event) -> None:
        try:
            self.out.write(event.model_dump_json(exclude_none=True) + "\n")
            self.out.flush()
        except BrokenPipeError as error:  # nobody is there to read it
            raise Stopped from error

    def step(self, step: int, steps: int, nats: float, tokens: int, seconds_left: float) -> None:
        """A step's figures, reported together with those of the steps since the last report."""
        self.nats += nats
        self.tokens += tokens
        seconds = time.monotonic() - self.reported_at
        if seconds < self.every:
            return
        loss, rate = self.nats / self.tokens, self.tokens / seconds
        self(Event(event="step", step=step, steps=steps, loss=loss, tokens_per_second=rate, seconds_left=seconds_left))
        self.begin()

    def begin(self) -> None:
        """Forget what was gathered: time that is not learning has passed."""
        self.reported_at, self.nats, self.tokens = time.monotonic(), 0.0, 0


# --- 2. The base, and the adapter beside its upper layers ------------------------------------------------------------


def load(job: Asking) -> PreTrainedModel:
    """The base, frozen, on the device and in the precision that suits it."""
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    torch.set_num_threads(job.threads or max(1, len(os.sched_getaffinity(0)) - 1))
    device = job.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    elif device == "cuda" and not torch.cuda.is_available():
        raise TrainingFailed('PyTorch finds no CUDA device here. Set [training] device to "cpu" or "auto".')
    precision = job.precision
    if precision == "auto":
        precision = "bfloat16" if multiplies_bfloat16(device) else "float32"
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        job.base,
        dtype=precision,
        local_files_only=True,
        # On two cores and rows as short as tweets "eager" is a fifth faster in a step than "sdpa".
        attn_implementation="eager" if device == "cpu" else "sdpa",
    )
    model.train(False)  # no dropout: it costs the fused products, and stopping early does its work
    model.requires_grad_(False)
    model.to(device)  # type: ignore[arg-type]
    return model


def multiplies_bfloat16(device: str) -> bool:
    """Whether the device has instructions for products in bfloat16."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def layers_of(model: PreTrainedModel) -> tuple[str, nn.ModuleList]:
    """Name and list of the decoder layers."""
    for name, module in model.base_model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == model.config.num_hidden_layers:
            return name, module
    raise TrainingFailed(f"Bases of the kind {model.config.model_type} can't be learned on. Choose another base.")


def open_upper(model: PreTrainedModel, job: Job) -> PreTrainedModel:
    """The same model; every weight of its upper layers and of the norm behind them learns, and is in float32.

    The token embeddings, which are the head as well, stay as they are: what stands below is computed once for all
    epochs, and the head's sample is one of a head that does not move.
    """
    _, layers = layers_of(model)
    last = [getattr(model.base_model, name) for name in LAST_NORM.values() if hasattr(model.base_model, name)]
    for module in [*layers[lowest_layer(model, job) :], *last]:
        module.float().requires_grad_(True)
    return model


def attach(model: PreTrainedModel, job: Job) -> peft.PeftModel:
    """A LoRA beside every projection of the upper layers: peft's model around the base, and inside of it."""
    torch.manual_seed(job.seed)
    return peft.get_peft_model(model, lora(model, job.rank, 2 * job.rank, lowest_layer(model, job)))


def lora(model: PreTrainedModel, rank: int, alpha: int, first: int) -> peft.LoraConfig:
    """An adapter beside every projection of the layers from number `first` on; it counts `alpha` / `rank` times."""
    _, layers = layers_of(model)
    projections = {name: each for name, each in layers.named_modules() if isinstance(each, nn.Linear | Conv1D)}
    return peft.LoraConfig(
        task_type="CAUSAL_LM",
        r=rank,
        lora_alpha=alpha,
        lora_dropout=0.0,
        target_modules=sorted({name.rpartition(".")[2] for name in projections}),
        layers_to_transform=list(range(first, len(layers))),
        fan_in_fan_out=isinstance(next(iter(projections.values())), Conv1D),
    )


def lowest_layer(model: PreTrainedModel, job: Job) -> int:
    """Number of the lowest layer that learns."""
    _, layers = layers_of(model)
    return max(len(layers) - job.layers, 0) if job.layers else 0


# --- 3. The model in two halves: what is computed once, and what learns ----------------------------------------------
#
# Shapes: b rows (tweets), t tokens of the longest, h wide, n positions at which a token is predicted, v tokens.


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


# --- 4. Tweets as rows -----------------------------------------------------------------------------------------------
#
# A reply whose prompt is known is two rows: alone, and behind what it answers. An epoch takes one of them.


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


def autocast(halves: Halves | Whole) -> contextlib.AbstractContextManager[None]:
    """Products in bfloat16 when the base is in bfloat16; the adapter's own numbers stay in float32."""
    weight = halves.head if isinstance(halves, Halves) else next(halves.model.parameters())
    half = weight.dtype is torch.bfloat16
    return torch.autocast(weight.device.type, torch.bfloat16) if half else contextlib.nullcontext()


# --- 5. The loss -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Vocabulary:
    """The tokens that are weighed in one step."""

    head: Tensor  # (w, h) rows of the head
    shift: Tensor  # (w,) added to the logits: a token that stands for 20 others as well counts 20 times
    place: Tensor  # (v,) where each token of the tweets stands among them


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
def states_of(halves: Halves | Whole, rows: Rows, picked: Sequence[int]) -> Tensor:
    """What the lower half makes of the picked tweets, kept or computed now; nothing in it learns."""
    return rows.kept(picked) if rows.states else halves.lower(rows.batch(picked)[0])


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


# --- 6. Learning -----------------------------------------------------------------------------------------------------


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


def plan(rows: Rows, job: Job) -> list[list[int]]:
    """The batches of all epochs in their order: the same for the same seed, whenever it is asked."""
    order = random.Random(job.seed)
    epochs = [of_each(rows.accounts, job.balance, order) for _ in range(job.epochs)]
    return [
        picked
        for among in epochs
        for picked in batches(rows, job.batch_tokens, order, prompted(rows, among, job.prompted, order))
    ]


def prompted(rows: Rows, among: Sequence[int] | None, share: float, order: random.Random) -> Sequence[int]:
    """The rows that an epoch takes for these tweets (None: all): a reply is behind its prompt as often as `share`."""
    tweets = range(rows.tweets) if among is None else among
    is_behind = {tweet for tweet in tweets if tweet in rows.answering and order.random() < share}
    return [rows.answering[tweet] if tweet in is_behind else tweet for tweet in tweets]


def of_each(accounts: Sequence[int], balance: float, order: random.Random) -> list[int] | None:
    """The rows that an epoch takes of each account, see `of_an_epoch`; None for all."""
    if len(accounts) < 2:
        return None
    taken: list[int] = []
    start = 0
    for size, share in zip(accounts, of_an_epoch(accounts, balance), strict=True):
        taken += sorted(order.sample(range(start, start + size), share))
        start += size
    return taken


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


# --- 7. From a job to an adapter -------------------------------------------------------------------------------------


def fine_tune(job: Job, report: Report, stop: Stop) -> None:
    """Do the job: an adapter or a model, and `Result`, are in its folder at the end.

    Raises `Stopped`, `TrainingFailed`.
    """
    report(Event(event="loading"))
    texts = Texts.model_validate_json((job.folder / TEXTS).read_bytes())
    tokenizer = Tokenizer.from_file(str(job.base / "tokenizer.json"))
    model = load(job)
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
    best = run.progress.best
    if best is None:
        raise TrainingFailed("The loss became infinite before anything was learned. Lower [training] learning_rate.")
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(run.progress.best_weights[name])
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
    own = load(job.model_copy(update={"base": folder}))
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


def write(learner: peft.PeftModel | PreTrainedModel, job: Job) -> None:
    """What was learned, as `peft.PeftModel` or `transformers` reads it; the last thing that is done with the learner.

    In float16: half the size, and no difference that a loss could show.
    """
    with writing():
        if isinstance(learner, peft.PeftModel):
            write_adapter(learner, job.folder, job.base_name)
        else:
            learner.config._name_or_path = job.base_name  # transformers would name a folder of this machine
            fits = all(weight.abs().max() < FLOAT16_LIMIT for weight in learner.parameters())
            (learner.half() if fits else learner.float()).save_pretrained(job.folder)
            shutil.copyfile(job.base / TOKENIZER, job.folder / TOKENIZER)  # the folder is enough for whoever loads it


def write_adapter(adapted: peft.PeftModel, folder: Path, base_name: str) -> None:
    """The adapter, its layers numbered as in the whole model."""
    state = peft.get_peft_model_state_dict(adapted)
    save_file({name: weight.half().cpu().contiguous() for name, weight in state.items()}, folder / ADAPTER)
    config = adapted.peft_config["default"]
    config.inference_mode = True
    config.base_model_name_or_path = base_name  # peft would name a folder of this machine
    config.save_pretrained(folder)


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


# --- 8. The process --------------------------------------------------------------------------------------------------


def main() -> int:
    """Exit code 0 when done or stopped; else the error's own, with its sentence as the last line on stderr."""
    end_with_parent()
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
