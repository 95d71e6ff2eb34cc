"""What /queue says. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import discord

from bot.config import Prices
from bot.frontends.discord.texts import LONGEST, month_so_far, pieces, plain, quoted
from bot.replies.desk import MEANINGS, OF_THE_MODEL, Shown
from bot.replies.post import Post, PostState
from bot.tweets.costs import dollars

TOO_LONG_FOR_A_FORM = "That text is longer than a form of Discord's takes. Edit it on the web page."
SURELY = "**Delete it from X?** What was read, copied or archived there stays so. It can't be undone."

_EXPLAINED = (PostState.APPROVED, PostState.UNKNOWN)  # states that a word does not explain
_FRAME = 1000  # code units, kept free for what stands around the text
_LONGEST_TYPED = 800  # code units; escaped and quoted it may take twice that
_LONGEST_LABEL = 100  # characters of an option


def queue(shown: Shown | None, waiting: int, verdict: str = "") -> str:
    """What /queue shows: the last decision, how many posts wait, and one post."""
    count = "No post waits" if not waiting else "1 post waits" if waiting == 1 else f"{waiting} posts wait"
    head = f"{count} for approval." if not waiting else f"**{count} for approval.**"
    lines = [*([verdict, ""] if verdict else []), head]
    return "\n".join(lines + ([post(shown)] if shown else []))


def post(shown: Shown) -> str:
    """One post: where it stands, how it was judged, and its text as it goes out."""
    one = shown.post
    figures = [shown.length, f"novelty {one.novelty:.0%}"]
    figures += [f"offence {one.offence:.0%}"] if one.offence is not None else []
    figures += [f"score {one.score:.0%}"] if one.score is not None else []
    figures += [f"{one.likelihood_gain:+.2f} nats a token"] if one.likelihood_gain is not None else []
    figures += [f"nearest {one.nearest}"] if one.nearest else []
    title = f"**Post {one.id}** {plain(one.persona)} {plain(one.version)} on {plain(one.account)}, {_standing(one)}"
    lines = [title, f"-# {' · '.join(figures)}"]
    lines += [f"-# {OF_THE_MODEL}"] if one.is_edited else []
    lines += [_text(shown)]
    lines += [f"-# With a picture: {plain(one.alt_text or 'without a description')[:150]}"] if one.picture else []
    lines += [f"-# {plain(one.reason)[:150]}"] if one.reason and one.state is not PostState.DRAFTED else []
    return "\n".join(lines)


def _standing(one: Post) -> str:
    if one.state is PostState.DRAFTED and one.expires_at is not None:
        return f"expires {moment(one.expires_at, 'R')}"
    if one.state is PostState.APPROVED and one.not_before is not None:
        return f"goes out from {moment(one.not_before)} on"
    if one.is_being_deleted:
        return "is taken back at the account's next turn"
    meaning = MEANINGS[one.state]
    return f"{meaning.label}. {meaning.why}" if one.state in _EXPLAINED else meaning.label


def _text(shown: Shown) -> str:
    """All of it, each part of a thread by itself; where that is too long, its beginning."""
    whole = "\n\n".join(quoted(text) for text in shown.texts)
    first, *more = pieces(whole, LONGEST - _FRAME)
    return f"{first} …\n-# This is the beginning; the file has all {len(shown.texts)} posts." if more else whole


def is_cut(shown: Shown) -> bool:
    """Whether the message has only the beginning of the text."""
    return len(pieces("\n\n".join(quoted(text) for text in shown.texts), LONGEST - _FRAME)) > 1


def in_full(shown: Shown) -> str:
    """The whole text, for a file."""
    count = len(shown.texts)
    return "\n\n".join(f"{number} of {count}\n{text}" for number, text in enumerate(shown.texts, start=1))


def price(shown: Shown, prices: Prices, month: Decimal, cap: Decimal) -> str:
    """What sending it costs, and what was spent."""
    return f"-# It costs {dollars(shown.price(prices))} when it goes out.\n{month_so_far(month, cap)}"


def option(one: Post, is_waiting: bool) -> str:
    """A post in a list to choose from."""
    state = "waits" if is_waiting else MEANINGS[one.state].label
    return f"{one.id}, {state}: {' '.join(one.text.split())}"[:_LONGEST_LABEL]


def moment(at: datetime, style: discord.utils.TimestampStyle = "f") -> str:
    """A moment, which each reader sees in their own time zone."""
    return discord.utils.format_dt(at, style)


def approved(who: str, one: Post) -> str:
    """After an approval."""
    when = f"goes out from {moment(one.not_before)} on" if one.not_before else "goes out at the next turn"
    return f"{who} approved post {one.id}; it {when}."


def refused(who: str, one: Post) -> str:
    """After a refusal."""
    return f"{who} refused post {one.id}{f': {plain(one.reason)[:150]}' if one.reason else ''}."


def edited(who: str, number: int) -> str:
    """After an edit."""
    return f"{who} edited post {number}; it still waits for a yes."


def replaced(who: str, old: int, new: int) -> str:
    """After another draft was made."""
    return f"{who} asked for another draft: post {new} has taken the place of post {old}."


def deleting(who: str, number: int) -> str:
    """After a deletion was wanted."""
    return f"{who} takes post {number} back from X, at the account's next turn."


def not_taken(problem: str, typed: Sequence[str]) -> str:
    """What somebody filled in for nothing, so that it can be filled in again."""
    kept = "\n".join(each for each in typed if each.strip())
    return f"{problem}\nYou had written:\n{quoted(pieces(kept, _LONGEST_TYPED)[0])}" if kept else problem
