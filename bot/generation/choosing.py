"""Which of several fit drafts is the best: a score from 0 to 1. Pure.

Four parts, each from 0 to 1, weighed and divided by the weights that took part:

- *voice*: how much likelier the text is under the persona than under the bare base, in nats a token. What the base
  would have said as well is nobody's voice.
- *novelty*: 1 less what it shares with the nearest real tweet. It holds the first part back, which a tweet learned by
  heart would win.
- *length*: how near it is to what is usual for the persona, as the ratio of the shorter to the longer.
- *answer*: how many of the longer words of the message it takes up; only where there is a message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from bot.generation.draft import Draft
from bot.generation.novelty import words
from bot.tweets.languages import UNKNOWN

VOICE = 0.5  # the weights; the voice is what a persona is there for
NOVELTY = 0.3
LENGTH = 0.2
ANSWER = 1.0  # an answer to the point is worth more than all else together
FULL_GAIN = 2.0  # nats a token; a trained persona gains about one on held-out tweets of its own
TAKEN_UP = 2  # words of the message that make a full answer
_LONGER = 3  # letters; shorter words tell nothing of what is asked


def ranked(drafts: Sequence[Draft], about: str, usual_length: int) -> tuple[Draft, ...]:
    """The drafts with their scores, the best first, equals in the order they came. `usual_length` is in characters."""
    asked = {word for word in words(about) if len(word) > _LONGER}
    scored = [replace(draft, score=round(score(draft, asked, usual_length), 4)) for draft in drafts]
    return tuple(sorted(scored, key=lambda draft: -draft.score))


def in_language_of(about: str, drafts: Sequence[Draft], language: Callable[[str], str]) -> Draft:
    """The first draft in the language of the message, as `language` tells it; the first of all where there is none."""
    asked = language(about)
    return next((each for each in drafts if asked != UNKNOWN and language(each.text) == asked), drafts[0])


def score(draft: Draft, asked: set[str], usual_length: int) -> float:
    """From 0 to 1; what is not known (no gain, no usual length, nothing asked) takes no part."""
    parts = [(NOVELTY, draft.novelty)]
    if draft.likelihood_gain is not None:
        parts.append((VOICE, min(max(draft.likelihood_gain / FULL_GAIN, 0.0), 1.0)))
    if usual_length > 0:
        shorter, longer = sorted((len(draft.text), usual_length))
        parts.append((LENGTH, shorter / longer))
    if asked:
        parts.append((ANSWER, min(len(asked & set(words(draft.text))) / TAKEN_UP, 1.0)))
    return sum(weight * value for weight, value in parts) / sum(weight for weight, _ in parts)
