"""What the teacher is asked: prompts from a grid of voices, forms and topics, chosen by a seed. Pure.

A model of this size follows examples better than instructions. So most prompts are a few texts of our own, and the
teacher goes on in the same manner; the others are wishes, answered in plainer English. All rows of a piece share the
examples (`Prompt.beginning`); each text begins with a topic or a word of its own, which keeps them apart.
"""

from __future__ import annotations

import random
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

Kind = Literal["posts", "dialogue", "paragraphs"]

_SYSTEM = "<|im_start|>system\nYou write short, lively texts in plain English.<|im_end|>\n"
_ASKED = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
_GOLDEN = (5**0.5 - 1) / 2
_WITHOUT_WORD = 0.3  # share of texts that begin with no given word


@dataclass(frozen=True, slots=True)
class Prompt:
    """What one piece of sampling is to continue."""

    kind: Kind
    beginning: str  # shared by all texts of the piece
    starts: Sequence[str]  # how its texts may begin; {0} and {1} are topics
    stop: str  # where a text ends
    slots: int  # tokens in a row, in which one text follows the other
    temperature: float
    top_p: float
    lead: str | None = None  # where the start belongs to the text: what of it does not

    def start(self, chance: random.Random) -> str:
        """The beginning of one more text."""
        return chance.choice(self.starts).format(*chance.sample(topics(), 2))


def prompt(seed: int, piece: int) -> Prompt:
    """The prompt of that piece, by one of the forms, which take turns as their shares say."""
    chance = random.Random(f"{seed}/{piece}")
    turn = piece * _GOLDEN % 1  # in any run of pieces every form has about its share
    form = next(form for form, until in _FORMS if turn < until)
    return form(chance, chance.choice([0.7, 0.8, 0.9]), chance.choice([0.9, 0.95]))


def _listed_posts(chance: random.Random, temperature: float, top_p: float) -> Prompt:
    beginning = "".join(f"- {post}\n" for _, post in _some_posts(chance))
    starts = [f"- {word}" for word in phrases("posts")]
    starts += ["-"] * round(len(starts) * _WITHOUT_WORD / (1 - _WITHOUT_WORD))
    return Prompt("posts", beginning, starts, "\n", 96, temperature, top_p, lead="-")


def _posts_by_topic(chance: random.Random, temperature: float, top_p: float) -> Prompt:
    beginning = "".join(f"{topic} | {post}\n" for topic, post in _some_posts(chance))
    return Prompt("posts", beginning, ["{0} |", "{0} |", "{0} and {1} |"], "\n", 96, temperature, top_p)


def _posts_asked(chance: random.Random, temperature: float, top_p: float) -> Prompt:
    starts = [_ASKED.format(wish) for wish in phrases("posts_asked")]
    return Prompt("posts", _SYSTEM, starts, "\n", 128, temperature, top_p)


def _dialogues(chance: random.Random, temperature: float, top_p: float) -> Prompt:
    starts = [f"A: {word}" for word in phrases("posts")]
    return Prompt("dialogue", _some_dialogues(chance), starts, "\n\n", 112, temperature, top_p, lead="A:")


def _answers(chance: random.Random, temperature: float, top_p: float) -> Prompt:
    starts = [f"A: {message}\nB:" for message in phrases("messages")]
    return Prompt("dialogue", _some_dialogues(chance), starts, "\n\n", 112, temperature, top_p, lead="A:")


def _paragraphs(chance: random.Random, temperature: float, top_p: float) -> Prompt:
    beginning = "".join(f"{title}\n{text}\n\n" for title, text in chance.sample(paragraphs(), 2))
    starts = [f"{title}\n" for title in phrases("titles")]
    return Prompt("paragraphs", beginning, starts, "\n\n", 192, temperature, top_p)


def _paragraphs_asked(chance: random.Random, temperature: float, top_p: float) -> Prompt:
    starts = [_ASKED.format(wish) for wish in phrases("paragraphs_asked")]
    return Prompt("paragraphs", _SYSTEM, starts, "\n\n\n", 192, temperature, top_p)


# Shares of the pieces, each up to where the next begins: 58% posts, 25% dialogue, 17% paragraphs.
_FORMS: tuple[tuple[Callable[[random.Random, float, float], Prompt], float], ...] = (
    (_listed_posts, 0.25),
    (_posts_by_topic, 0.46),
    (_posts_asked, 0.58),
    (_dialogues, 0.68),
    (_answers, 0.83),
    (_paragraphs, 0.91),
    (_paragraphs_asked, 1.0),
)


def _some_posts(chance: random.Random) -> list[tuple[str, str]]:
    """Examples of one voice, or now and then of many."""
    everybody = voices()
    if chance.random() < 0.25:
        return chance.sample([post for voice in everybody.values() for post in voice], 8)
    return chance.sample(everybody[chance.choice(list(everybody))], 6)


def _some_dialogues(chance: random.Random) -> str:
    return "".join(f"A: {asked}\nB: {answer}\n\n" for asked, answer in chance.sample(dialogues(), 6))


@cache
def voices() -> dict[str, list[tuple[str, str]]]:
    """For each voice its posts with their topics."""
    read = tomllib.loads(_read("voices.toml"))
    return {name: [_pair(line, " | ") for line in _lines(voice["posts"])] for name, voice in read.items()}


@cache
def dialogues() -> list[tuple[str, str]]:
    """A message and its answer."""
    return [_pair(each, "\n") for each in _read("dialogues.txt").strip().split("\n\n")]


@cache
def paragraphs() -> list[tuple[str, str]]:
    """A title and its text."""
    return [_pair(each, "\n") for each in _read("paragraphs.txt").strip().split("\n\n")]


@cache
def topics() -> list[str]:
    """Each once."""
    return list(dict.fromkeys(word.replace("-", " ") for word in _read("topics.txt").split()))


@cache
def phrases(name: str) -> list[str]:
    """The lines of one list in phrases.toml."""
    return _lines(tomllib.loads(_read("phrases.toml"))[name])


def _lines(text: str) -> list[str]:
    return text.strip().splitlines()


def _pair(text: str, between: str) -> tuple[str, str]:
    first, second = text.split(between, 1)
    return first, second


def _read(name: str) -> str:
    return (resources.files("base") / name).read_text(encoding="utf-8")
