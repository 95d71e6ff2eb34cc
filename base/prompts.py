"""What the teacher is asked: prompts from a grid of voices, forms and topics, chosen by a seed. Pure.

A model of this size follows examples better than instructions. So a prompt is a few texts of our own, and the teacher
goes on in the same manner. All rows of a piece share the examples (`Prompt.beginning`); each text begins with a topic
or a word of its own (`Prompt.start`), which keeps them apart.
"""

from __future__ import annotations

import random
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

Kind = Literal["posts", "dialogue", "paragraphs"]
KINDS: tuple[Kind, ...] = ("posts", "dialogue", "paragraphs")
SHARES = (0.5, 0.25, 0.25)  # of the pieces
_TEMPERATURES = {"posts": (0.7, 0.8, 0.9), "dialogue": (0.7, 0.8, 0.9), "paragraphs": (0.6, 0.7, 0.8)}
_SYSTEM = "<|im_start|>system\nYou write short, lively texts in plain English.<|im_end|>\n"
_ANSWER = "<|im_end|>\n<|im_start|>assistant\n"

_OPENINGS = """I|My|The|A|When|Why|How|If|This|That|It's|We|You|So|Just|Today|Tonight|Yesterday|Nobody|Everyone|Some
There|What|Who|One|Please|Thank you|Happy|Good|Never|Always|Still|Finally|Somebody|People|Every|No|Not|Because|After
Before|Once|Can|Don't|Let's|Imagine|Hot take:|Update:|Reminder:|Unpopular opinion:|Note to self:|Question:|Fun fact:
Confession:|i|my|the|when|why|it's|ok so|honestly|me:|nothing|somebody|just|also|can't believe|i think|still thinking
OH|WHO|Breaking:|Day 12:|Anyone else|In my|Last night|This morning|On the way|For the first time|Our|He|She|They"""
_WISHES = """Write a diary entry about {0}.|Write one paragraph about {0}.|Tell a short story about {0} and {1}.
Write a funny blog post about {0}. Keep it short.|Write a letter to a friend about {0}.|What is special about {0}?
Describe {0} in a few sentences.|Write a short scene in which two people talk about {0}.|Explain {0} to a child.
Write about a memory of {0}.|Write a short fable about {0} and {1}.|Write a review of {0}.|Why do people like {0}?
Write a short speech about {0}.|Write in the voice of an old sailor about {0}.|Tell me something about {0} and {1}.
Write in the voice of a tired nurse about {0}.|Write in the voice of a cheerful baker about {0}.
Write in the voice of a student about {0}.|Write a local news report about {0}.
Complain about {0} in a few sentences."""
_TITLES = """Diary: {0}|Blog: {0}|How {0} works|Why {0} matters|A letter about {0}|A story about {0}|{0}|The {0}
My first {0}|What I learned from {0}|{0} and {1}
The history of {0}|A day of {0}|Notes on {0}|The trouble with {0}|In praise of {0}
The story of the {0} and the {1}|Advice: {0}|Review: {0}|The man who loved {0}|The woman and the {0}|Facts about {0}"""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What one piece of sampling is to continue."""

    kind: Kind
    beginning: str  # the examples; shared by all texts of the piece
    lead: str  # how each text's start is written
    close: str  # what stands behind the start
    stop: str  # where a text ends
    slots: int  # tokens in a row, in which one text follows the other
    temperature: float
    top_p: float
    keeps_start: bool  # whether the start is part of the text

    def start(self, chance: random.Random) -> str:
        """The beginning of one more text."""
        return {"posts": _post_start, "dialogue": _message_start, "paragraphs": _title}[self.kind](self, chance)


def prompt(seed: int, piece: int) -> Prompt:
    """The prompt of that piece; the kinds take turns as `SHARES` says."""
    chance = random.Random(f"{seed}/{piece}")
    kind = chance.choices(KINDS, SHARES)[0]
    heat = {"temperature": chance.choice(_TEMPERATURES[kind]), "top_p": chance.choice([0.9, 0.95])}
    if kind == "paragraphs" and chance.random() < 0.6:
        return Prompt(kind, _SYSTEM, "<|im_start|>user\n", _ANSWER, "\n\n\n", 256, keeps_start=False, **heat)
    if kind == "dialogue":
        pairs = chance.sample(dialogues(), 6)
        beginning = "".join(f"A: {asked}\nB: {answer}\n\n" for asked, answer in pairs)
        return Prompt(kind, beginning, "A:", "", "\n\n", 112, keeps_start=True, **heat)
    if kind == "paragraphs":
        beginning = "".join(f"{title}\n{text}\n\n" for title, text in chance.sample(paragraphs(), 2))
        return Prompt(kind, beginning, "", "\n", "\n\n", 224, keeps_start=False, **heat)
    posts = _shown(chance)
    if chance.random() < 0.5:
        beginning = "".join(f"{topic} | {post}\n" for topic, post in posts)
        return Prompt(kind, beginning, "", " |", "\n", 96, keeps_start=False, **heat)
    return Prompt(kind, "".join(f"- {post}\n" for _, post in posts), "-", "", "\n", 96, keeps_start=True, **heat)


def _shown(chance: random.Random) -> list[tuple[str, str]]:
    """Examples of one voice, or now and then of many."""
    everybody = voices()
    if chance.random() < 0.25:
        return chance.sample([post for voice in everybody.values() for post in voice], 8)
    return chance.sample(everybody[chance.choice(list(everybody))], 6)


def _post_start(prompt: Prompt, chance: random.Random) -> str:
    if prompt.keeps_start:
        return prompt.lead + _word(chance)
    return _topic(chance) + prompt.close


def _message_start(prompt: Prompt, chance: random.Random) -> str:
    return prompt.lead + _word(chance)


def _title(prompt: Prompt, chance: random.Random) -> str:
    titles = _WISHES if prompt.lead else _TITLES
    title = prompt.lead + chance.choice(titles.replace("\n", "|").split("|")).format(*chance.sample(topics(), 2))
    return title[0].upper() + title[1:] + prompt.close


def _word(chance: random.Random) -> str:
    """A word to begin with, or none."""
    return " " + chance.choice(_OPENINGS.replace("\n", "|").split("|")) if chance.random() < 0.7 else ""


def _topic(chance: random.Random) -> str:
    """One topic, or two."""
    return " and ".join(chance.sample(topics(), 1 if chance.random() < 0.7 else 2))


@cache
def voices() -> dict[str, list[tuple[str, str]]]:
    """For each voice its posts with their topics."""
    read = tomllib.loads(_read("voices.toml"))
    return {name: [_pair(line, " | ") for line in voice["posts"].strip().splitlines()] for name, voice in read.items()}


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


def _pair(text: str, between: str) -> tuple[str, str]:
    first, second = text.split(between, 1)
    return first, second


def _read(name: str) -> str:
    return (resources.files("base") / name).read_text(encoding="utf-8")
