"""What the buttons under an answer say, and /digest. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from bot.frontends.discord.texts import plain, quoted
from bot.replies.answers import Kept

UNKNOWN = (
    "Nothing is known about this message any more: it is too old, or what it said was forgotten. "
    "`/tweet` gives a new one."
)
NOT_YOURS = "Only whoever this answers, or may manage messages here, deletes it."
NOTHING_LIKED = "Nobody has voted yet. A reaction such as 👍 or 👎 under something I said is a vote."


def original(kept: Kept, is_reply: bool) -> str:
    """Where a text comes from, and how to get it again."""
    said = kept.said
    name = plain(said.persona)
    nearest = f"The real tweet that it resembles most has the id `{said.nearest}`." if said.nearest else ""
    lines = [
        f"**Not a real tweet.** {name} {said.version} (AI) wrote it with seed {said.seed}.",
        f"Novelty {said.novelty:.0%}: 100% shares nothing with any real tweet, a copy would have 0%.",
        nearest or "It resembles no real tweet.",
        "It answers a message, and messages aren't stored: it can't be written again." if is_reply else _again(kept),
    ]
    return "\n".join(lines)


def _again(kept: Kept) -> str:
    said = kept.said
    options = [f"persona:{said.persona}", f"version:{said.version}", f"seed:{said.seed}"]
    options += [f"start:{said.start}"] if said.start else []
    options += [f"temperature:{said.temperature:g}"] if said.temperature is not None else []
    options += [f"top_p:{said.top_p:g}"] if said.top_p is not None else []
    return f"To write it again: `/replay {' '.join(options).replace('`', '')}`"


def submitted(number: int) -> str:
    """What whoever sent a text to X is told."""
    return f"Post {number} waits for approval. `/queue` shows what waits."


def digest(best: Sequence[Kept], days: int) -> str:
    """What a server liked best."""
    if not best:
        return f"{NOTHING_LIKED} In the last {_days(days)} there was none in favour."
    lines = [f"**What people here liked best in the last {_days(days)}**"]
    for place, kept in enumerate(best, start=1):
        link = f"https://discord.com/channels/{kept.server_id}/{kept.channel_id}/{kept.said.answer_id}"
        votes = "1 vote" if kept.votes == 1 else f"{kept.votes} votes"
        lines.append(f"**{place}.** {plain(kept.said.persona)} {kept.said.version} (AI) · {votes} · {link}")
        lines.append(quoted(kept.said.text))
    return "\n".join(lines)


def _days(days: int) -> str:
    return "day" if days == 1 else f"{days} days"
