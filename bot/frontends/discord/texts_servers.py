"""How a server's settings are put in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from bot.frontends.discord.texts import plain
from bot.replies.channels import Channel
from bot.replies.quota import Quota
from bot.replies.servers import Action, ServerSettings
from bot.tweets.costs import dollars

WORDS_CHANGED = "The list of words that are not said was changed."
NOT_SERVED = "The bot's operator has not let it answer on this server. Ask the operator, or use it on another server."
WELCOME = (
    "Hello! I speak in the voices of accounts that I have learned from, always marked as AI.\n"
    "1. Mention me and ask something, or try `/tweet`; `/personas` lists the voices.\n"
    "2. `/channel persona` chooses who answers in a channel, `/channel off` keeps me out of one.\n"
    "3. `/settings show` is for whoever manages this server; `/help` lists everything, `/privacy` says what is kept."
)

_DOES = {
    Action.TRAIN: "train and blend",
    Action.ROLL_BACK: "roll back",
    Action.POST: "decide about posts",
    Action.FORGET: "have accounts forgotten",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """What `/settings show` is made of."""

    settings: ServerSettings
    channels: Mapping[str, Channel]  # by id
    words: int
    in_costume: bool  # the operator's default
    quota: Quota


def settings(shown: Shown) -> str:
    """Everything that holds on a server."""
    chosen, quota = shown.settings, shown.quota
    roles = [role_limit(f"<@&{role}>", quota.for_person(chosen, (role,))) for role in chosen.role_requests_per_hour]
    lines = [
        "**What holds on this server**",
        costume(chosen.in_costume, shown.in_costume),
        person_limit(quota.for_person(chosen, ())),
        *roles,
        server_limit(quota.for_server(chosen)),
        cooldown(quota.cooldown(chosen)),
        *(may(action, chosen) for action in Action),
        f"{shown.words:,} words are not said here. `/settings words list` shows them.",
        log_channel(chosen.log_channel),
        *(f"<#{channel}>: {_channel(kept)}" for channel, kept in shown.channels.items()),
    ]
    return "\n".join(lines)


def _channel(kept: Channel) -> str:
    persona = f"{plain(kept.persona)} answers" if kept.persona else "the default persona answers"
    parts = ["nobody is answered" if kept.is_off else persona]
    if kept.in_costume is not None:
        parts.append("as the persona" if kept.in_costume else "as plain replies")
    return ", ".join(parts) + "."


def answers_here(persona: str) -> str:
    """What `/channel persona` says."""
    return f"From now on **{plain(persona)}** answers in this channel."


def switched(persona: str | None) -> str:
    """What `/channel on` and `/channel off` say; `persona` answers from now on, None: nobody does."""
    if persona is None:
        return "From now on nobody is answered in this channel. `/channel on` changes that."
    return f"People are answered in this channel again, by **{plain(persona)}**."


def costume_here(in_costume: bool | None) -> str:
    """What `/channel webhook` says."""
    if in_costume is None:
        return "From now on this channel does as the server does."
    return f"From now on {_how(in_costume)} in this channel."


def costume(in_costume: bool | None, default: bool) -> str:
    """How answers look on the server; `default` where it has not chosen."""
    if in_costume is None:
        return f"As the operator has it, {_how(default)}."
    return f"{_how(in_costume)[0].upper()}{_how(in_costume)[1:]}."


def _how(in_costume: bool) -> str:
    if in_costume:
        return "answers bear the persona's name and face, where I may manage webhooks"
    return "answers are plain replies"


def may(action: Action, chosen: ServerSettings) -> str:
    """Who may do that."""
    who = "Only the bot's owner" if action is Action.FORGET else "Whoever manages this server"
    roles = chosen.roles.get(action, ())
    others = f", and people with {', '.join(f'<@&{role}>' for role in roles)}," if roles else ""
    return f"{who}{others} may {_DOES[action]}."


def person_limit(limit: int) -> str:
    """How often one person may ask."""
    return f"One person may ask {limit:,} times an hour."


def role_limit(role: str, limit: int) -> str:
    """How often people with that role may ask; `role` as Discord writes it."""
    return f"People with {role} may ask {limit:,} times an hour."


def server_limit(limit: int) -> str:
    """How often all people of a server may ask."""
    return f"All people of this server together may ask {limit:,} times an hour."


def cooldown(seconds: float) -> str:
    """The pause between two requests."""
    if not seconds:
        return "Nobody has to wait between two requests."
    return f"Between two requests of one person {seconds:g} s pass."


def log_channel(channel: str) -> str:
    """Where the bot tells what it did; empty is nowhere."""
    if not channel:
        return "There is no log channel. `/settings log` chooses one."
    return f"Trainings, new versions, changed settings and waiting posts are told in <#{channel}>."


def word_added(word: str) -> str:
    """What `/settings words add` says."""
    return f"**{plain(word)}** is neither said nor answered on this server from now on."


def word_removed(word: str) -> str:
    """What `/settings words remove` says."""
    return f"**{plain(word)}** may be said on this server again."


def words(found: Sequence[str]) -> str:
    """The server's list."""
    if not found:
        return "This server has no words of its own. `/settings words add` adds one."
    return f"Neither said nor answered on this server ({len(found):,}): {', '.join(map(plain, found))}"


def changed(who: str, what: str, where: str = "") -> str:
    """A line of the log: who, as Discord writes a mention, changed a setting to what."""
    place = f" in {where}" if where else ""
    return f"{who} changed a setting{place}: {what}"


def trained(persona: str, version: str | None, state: str) -> str:
    """A line of the log: a training has ended."""
    made = f", with {plain(version)}" if version else ""
    return f"Learning **{plain(persona)}** has ended: {state}{made}."


def posts_wait(waiting: int) -> str:
    """A line of the log: there are new drafts for X."""
    count = f"{waiting:,} posts wait" if waiting != 1 else "1 post waits"
    return f"{count} for approval before they go to X. `/queue` shows them."


def share_spent(share: float, spent: Decimal, cap: Decimal) -> str:
    """What the log channel is told once a share of the month's cap for X is spent."""
    stops = " Nothing more is read or posted before the next month." if share >= 1 else ""
    head = f"{share:.0%} of this month's cap for X is spent: {dollars(spent)} of {dollars(cap)}."
    return f"{head}{stops} `/costs` shows for what."
