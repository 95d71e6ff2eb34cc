"""What the servers' log channels are told of a retraining. Pure."""

from __future__ import annotations

from bot.frontends.discord.texts import LONGEST, pieces, plain
from bot.replies.changes import Change

_MARGIN = 20  # code units beside each sample: what marks it, and that it was cut


def changed(change: Change) -> str:
    """What it learned, how good it is, and who speaks from now on."""
    decision = change.decision
    who = f"**{plain(decision.persona)}** was taught anew"
    speaks = (
        f"It speaks as {decision.to_version} from now on, instead of {decision.from_version}."
        if change.is_adopted
        else f"{decision.to_version} is kept, but {decision.from_version} goes on speaking."
    )
    return pieces(f"{who}. {change.told} {speaks}\n-# {plain(decision.why)}")[0]


def with_samples(change: Change) -> str:
    """The same, and below what both versions say with the same seeds, one above the other; a model has written it.

    Where not everything fits into one message, all samples have the same room.
    """
    head = f"{changed(change)}\n-# What both say with the same seeds, written by a language model:"
    room = (LONGEST - len(head.encode("utf-16-le")) // 2) // (2 * len(change.pairs)) - _MARGIN
    before, after = change.decision.from_version, change.decision.to_version
    lines = [
        f"> **{version}** {_cut(text, room)}"
        for pair in change.pairs
        for version, text in ((before, pair.before), (after, pair.after))
    ]
    for number in range(len(change.pairs) - 1, 0, -1):
        lines.insert(2 * number, "")
    return "\n".join([head, *lines])


def _cut(text: str, room: int) -> str:
    first, *more = pieces(plain(" ".join(text.split())), room)
    return f"{first} …" if more else first
