"""Requests as rows of a batch: what is sampled for each of them, and when it has ended. Used by one thread.

Outcome: `join` puts a request's rows into the batch, each `step` gives every row one token more and says which requests
are finished. Slot and row have the same number, here and in the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from tokenizers import Tokenizer

from bot.errors import Refused
from bot.generation.adapters import Adapter, Adapters
from bot.generation.batch import Floats, log_mass
from bot.generation.draft import Request, Spoken
from bot.generation.sampling import Banned, by_second_to_last, draw, forbidden, weaken_repetition
from bot.shelf.answering import asking_ids

NO_ROOM = "The base has room for fewer tokens than [generation] max_tokens asks for. Lower it."
SPELLED = 10_000  # words whose tokens are kept in mind
TOO_LONG = "That beginning is too long to go on from. Give a few words or a sentence."


@dataclass(slots=True, eq=False)
class Job:
    """A request on its way."""

    request: Request
    tell: Callable[[int, str], object] | None = None  # `on_text`, as the thread may call it
    spoken: dict[int, Spoken] = field(default_factory=dict)  # by the row's number in the request
    error: Exception | None = None  # why there will be no more
    gone: bool = False  # nobody waits any more

    @property
    def finished(self) -> bool:
        """Whether there is nothing more to do for it."""
        return self.gone or self.error is not None or len(self.spoken) == len(self.request.seeds)


@dataclass(slots=True, eq=False)
class _Row:
    job: Job
    number: int  # in its request
    prompt: list[int]
    banned: Banned
    generator: np.random.Generator
    said: list[int] = field(default_factory=list)
    likelihood: float = 0.0  # sum over its tokens, nats


class BackEnd(Protocol):
    """What computes: `bot.generation.batch.Batch` does it with ONNX Runtime, and says more about each of these."""

    def __len__(self) -> int: ...
    def takes(self, adapter: Adapter | None, rows: int) -> bool: ...
    def join(self, adapter: Adapter | None, prompt: Sequence[int], rows: int, room: int) -> Floats | None: ...
    def step(self, tokens: Sequence[int]) -> Floats: ...
    def leave(self, slot: int) -> None: ...
    def score(self, adapter: Adapter | None, ids: Sequence[int], after: int) -> float: ...
    def let_go(self) -> None: ...


class Rows:
    """All rows that are being spoken."""

    def __init__(self, batch: BackEnd, adapters: Adapters, tokenizer: Tokenizer, end: int, positions: int) -> None:
        """`end` is the id of the end token; a row has at most `positions` tokens."""
        self._batch = batch
        self._adapters = adapters
        self._tokenizer = tokenizer
        self._tokenizer.encode_special_tokens = True  # "<|endoftext|>" in a text is text
        self._end = end
        self._positions = positions
        added = tokenizer.get_added_tokens_decoder()
        self._unsaid = [token for token in added if added[token].special and token != end]  # other control tokens
        self._rows: list[_Row] = []
        self._next: list[int] = []  # the token that each row is to be stepped with
        self._to_end: set[Job] = set()  # who spoke when something was to be forgotten; it may be their voice
        self._spelled: dict[str, set[tuple[int, ...]]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def takes(self, job: Job) -> bool:
        """Whether its rows may join now. Raises `FileNotFoundError` when the version is no longer there."""
        return self._batch.takes(self._adapter(job), len(job.request.seeds))

    def join(self, job: Job) -> None:
        """Its rows speak from the next step on. Raises `Refused` when its start leaves no room."""
        request = job.request
        prompt = self._prompt(request)
        banned = by_second_to_last(spelling for word in request.sampling.banned for spelling in self._spellings(word))
        rows = [
            _Row(job, number, prompt, banned, np.random.default_rng(seed)) for number, seed in enumerate(request.seeds)
        ]
        logits = self._batch.join(self._adapter(job), prompt, len(rows), request.sampling.max_tokens)
        self._rows += rows
        self._next += [prompt[-1]] * len(rows)
        if logits is not None:
            first = len(self._rows) - len(request.seeds)
            self._say(first, [logits.copy() for _ in request.seeds])

    def step(self) -> None:
        """One more token for every row; those that have ended leave."""
        self._say(0, self._batch.step(self._next))

    def drop_gone(self) -> None:
        """Take out the rows that nobody waits for."""
        self._leave(lambda row: row.job.finished)

    def let_go(self) -> None:
        """Forget versions that are no longer on the shelf; who is speaking ends with what they began with."""
        self._adapters.drop_what_is_gone()
        self._batch.let_go()
        self._to_end = set(self.jobs)

    def fail(self, error: Exception) -> None:
        """Take out all rows; their requests end for that reason."""
        for job in self.jobs:
            job.error = error
        self._leave(lambda row: True)

    @property
    def jobs(self) -> list[Job]:
        """The requests that are being spoken."""
        return list(dict.fromkeys(row.job for row in self._rows))

    def _adapter(self, job: Job) -> Adapter | None:
        return self._adapters.get(job.request.adapter) if job.request.adapter else None

    def _prompt(self, request: Request) -> list[int]:
        """The end token, what is answered, the start. What is answered gives way where there is little room."""
        start = self._tokenizer.encode(request.start, add_special_tokens=False).ids
        room = self._positions - request.sampling.max_tokens - len(start) - 1
        if room < 0:
            raise Refused(TOO_LONG if start else NO_ROOM)
        return [self._end, *asking_ids(self._tokenizer, request.asked, room), *start]

    def _spellings(self, word: str) -> set[tuple[int, ...]]:
        """The tokens of a word at the beginning and inside of a sentence, in small letters, capitals, and with one."""
        if word not in self._spelled:
            if len(self._spelled) == SPELLED:
                self._spelled.clear()
            forms = {word, word.lower(), word.upper(), word.capitalize()}
            encoded = self._tokenizer.encode_batch([*forms, *(f" {form}" for form in forms)], add_special_tokens=False)
            self._spelled[word] = {tuple(each.ids) for each in encoded if each.ids}
        return self._spelled[word]

    def _say(self, first: int, logits: Sequence[Floats] | Floats) -> None:
        """A token for each row from slot `first` on."""
        for slot, of_row in enumerate(logits, first):
            row = self._rows[slot]
            token = self._draw(row, of_row)
            self._next[slot] = token
            if token != self._end:
                row.said.append(token)
            if token == self._end or len(row.said) == row.job.request.sampling.max_tokens:
                self._close(row, token == self._end)
            elif row.job.tell is not None:
                row.job.tell(row.number, self._tokenizer.decode(row.said))
        self._leave(lambda row: row.number in row.job.spoken)

    def _draw(self, row: _Row, logits: Floats) -> int:
        sampling = row.job.request.sampling
        if row.job.request.scored:
            raw = logits.copy()
        logits[self._unsaid] = -np.inf
        logits[forbidden(row.said, row.banned)] = -np.inf
        if len(row.said) < sampling.min_tokens:
            logits[self._end] = -np.inf
        weaken_repetition(logits, row.said, sampling.repetition_penalty)
        token = draw(logits, sampling, row.generator)
        if row.job.request.scored:
            row.likelihood += float(raw[token] - log_mass(raw[None])[0])
        return token

    def _close(self, row: _Row, ended: bool) -> None:
        """What became of the row, in its request."""
        request = row.job.request
        tokens = [*row.said, self._end] if ended else row.said
        likelihood, base = 0.0, None
        if request.scored:
            likelihood = row.likelihood / len(tokens)
            base = self._batch.score(None, [*row.prompt, *tokens], len(row.prompt))
        text = self._tokenizer.decode(row.said)
        row.job.spoken[row.number] = Spoken(text, request.seeds[row.number], ended, likelihood, base)

    def _leave(self, leaves: Callable[[_Row], bool]) -> None:
        for slot in reversed(range(len(self._rows))):
            if leaves(self._rows[slot]):
                self._batch.leave(slot)
                self._rows[slot], self._next[slot] = self._rows[-1], self._next[-1]
                del self._rows[-1], self._next[-1]
        ended = self._to_end.difference(self.jobs)
        if ended:
            self._to_end -= ended
            self._batch.let_go()
