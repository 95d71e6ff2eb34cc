"""From a generated row to a draft that is fit to be sent, or to the reason why it is not. Pure.

In this order: what it says is normalised and freed of handles and links, empty and looping rows are out, a row that ran
out of tokens ends with its last whole sentence, what is too long for X is cut, and what is left is asked about words,
offence and novelty.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass

from bot.generation.draft import Draft, Reason, Spoken
from bot.generation.length import fit, whole_sentences
from bot.generation.mentions_and_links import Handles, without_handles, without_links
from bot.generation.novelty import NoveltyIndex, words
from bot.generation.safety import Safety

_SPACE = re.compile(r"\s+")
HIDDEN = "…"  # stands for a partial text that may not be shown
_TIMES = 3  # that the same three words may not come


@dataclass(frozen=True, slots=True)
class Filters:
    """What a draft has to pass."""

    index: NoveltyIndex  # of the persona's real tweets
    min_novelty: float
    safety: Safety | None = None
    banned: tuple[str, ...] = ()  # further words that are not said, of the server or the request
    handles: Handles = "none"
    links: bool = False  # whether made-up links stay

    def draft(self, spoken: Spoken, start: str, cut_at_words: bool = True) -> Draft | Reason:
        """The draft that a row makes, or why it makes none; with `cut_at_words` a sentence may end early."""
        text = self._normalised(spoken.text, start)
        if len(words(text)) < 2 or text == start.strip():
            return Reason.EMPTY
        if loops(text):
            return Reason.LOOPING
        if not spoken.ended:
            whole = whole_sentences(text)
            if not cut_at_words and not text.startswith(whole):  # else an ellipsis stands where a sentence broke off
                return Reason.CUT_OFF
            text = whole
        text = fit(text)
        unsafe = self.safety.in_draft(text, self.banned) if self.safety else None
        if unsafe is not None:
            return unsafe
        novelty = self.index.check(text)
        if novelty.score < self.min_novelty:
            return Reason.COPIED
        gain = None if spoken.base_likelihood is None else spoken.likelihood - spoken.base_likelihood
        return Draft(text, spoken.seed, novelty.score, novelty.nearest, novelty.similarity, gain)

    def partial(self, said: str, start: str) -> str:
        """What may be shown of a row that is still being spoken: as in a draft, or "…" for a copy and what is not said.

        Half a sentence is judged as it stands, so what follows may still put the row out.
        """
        text = fit(self._normalised(said, start))
        unsafe = self.safety.in_draft(text, self.banned) if self.safety else None
        return HIDDEN if unsafe is not None or self.index.check(text).score == 0 else text

    def _normalised(self, spoken: str, start: str) -> str:
        """What is said in one line; only what the model made up loses its handles and links, not the beginning."""
        said = in_one_line(spoken)
        text = without_handles(said, self.handles)
        text = text if self.links else without_links(text)
        goes_on = said[:1] == text[:1]  # else a blank, a handle or a link stood between: the words must not touch
        return in_one_line(f"{start}{'' if goes_on else ' '}{text}").strip()


def judged(spoken: Spoken, start: str, index: NoveltyIndex, min_novelty: float) -> Draft | Reason:
    """The draft that a row makes by form and novelty alone, or why it makes none."""
    return Filters(index, min_novelty).draft(spoken, start)


def in_one_line(text: str) -> str:
    """Composed (NFC), each run of blanks one blank, without control characters and halves of characters."""
    text = unicodedata.normalize("NFC", text.replace("\N{REPLACEMENT CHARACTER}", ""))
    text = _SPACE.sub(" ", text)
    return text if text.isprintable() else "".join(char for char in text if unicodedata.category(char) != "Cc")


def loops(text: str) -> bool:
    """Whether one and the same three words come three times."""
    found = words(text)
    triples = Counter(zip(found, found[1:], found[2:], strict=False))
    return any(times >= _TIMES for times in triples.values())
