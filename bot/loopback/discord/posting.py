"""What a message may be, and who it pings: the rules for writing and editing one.

The official document lets a message have 4,000 characters, which is true of people who pay. A bot gets 2,000.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import count
from typing import Any

from bot.loopback.discord.errors import empty_message, invalid_form
from bot.loopback.discord.world import Channel, Message, MessageFlag, User, World

LONGEST_CONTENT = 2000  # characters
LONGEST_EMBED_DESCRIPTION = 4096  # characters
_SETTABLE_FLAGS = MessageFlag.EPHEMERAL


def write(
    world: World,
    channel: Channel,
    author: User,
    form: Mapping[str, Any],
    now: float,
    *,
    files: tuple[str, ...] = (),
    place: str = "",
) -> Message:
    """The message that `form` (the JSON body of a request) asks for, stored in `world` but not yet announced.

    `place` is where the form stands in the body ("data." in an interaction's callback), for error messages.
    Raises DiscordError for a form that Discord refuses.
    """
    _check(form, place)
    content = (form.get("content") or "").strip()
    if not (content or form.get("embeds") or form.get("components") or files):
        raise empty_message()
    replied = _replied_message(world, channel, form)
    message = Message(
        id=world.snowflakes.next(),
        channel=channel,
        author=author,
        content=content,
        created=now,
        mentions=_pinged(world, content, form.get("allowed_mentions"), replied),
        replies_to=None if replied is None else replied.id,
        flags=MessageFlag(form.get("flags") or 0) & _SETTABLE_FLAGS,
        embeds=list(form.get("embeds") or []),
        components=_numbered(form.get("components") or []),
        files=files,
        nonce=form.get("nonce"),
    )
    store(world, message)
    return message


def store(world: World, message: Message) -> None:
    """Make a message part of its channel."""
    world.messages[message.id] = message
    message.channel.last_message_id = message.id


def rewrite(
    world: World, message: Message, form: Mapping[str, Any], now: float, *, files: tuple[str, ...] = ()
) -> None:
    """Change a message as `form` says; what it doesn't name stays. The old content goes to the message's history.

    A deferred answer stops loading, and counts as written rather than edited. Raises DiscordError as `write` does.
    """
    _check(form, "")
    content = message.content if "content" not in form else (form["content"] or "").strip()
    embeds = message.embeds if "embeds" not in form else list(form["embeds"] or [])
    components = message.components if "components" not in form else _numbered(form["components"] or [])
    if not (content or embeds or components or message.files or files):
        raise empty_message()
    if message.loading:
        message.flags &= ~MessageFlag.LOADING
    else:
        message.history.append(message.content)
        message.edited = now
    message.content, message.embeds, message.components = content, embeds, components
    message.files += files
    replied = None if message.replies_to is None else world.messages[message.replies_to]
    message.mentions = _pinged(world, content, form.get("allowed_mentions"), replied)


def same_nonce(world: World, channel: Channel, author: User, form: Mapping[str, Any]) -> Message | None:
    """The message that was sent before with the same nonce, when the form asks for each nonce to be used once."""
    if not form.get("enforce_nonce") or form.get("nonce") is None:
        return None
    for message in world.messages.values():
        if (message.channel, message.author.id, message.nonce) == (channel, author.id, form["nonce"]):
            return message
    return None


def _numbered(components: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The components with the ids that Discord gives them: 1, 2, 3, … in the order in which they stand."""
    numbers = count(1)

    def numbered(node: dict[str, Any]) -> dict[str, Any]:
        given = {"id": next(numbers)} | node
        if "components" in node:
            given["components"] = [numbered(child) for child in node["components"]]
        return given

    return [numbered(component) for component in components]


def _check(form: Mapping[str, Any], place: str) -> None:
    content = form.get("content")
    if content is not None and not isinstance(content, str):
        raise invalid_form(f"{place}content", "STRING_TYPE_CONVERT", "Could not interpret value as string.")
    if content is not None and len(content) > LONGEST_CONTENT:
        raise _too_long(f"{place}content", LONGEST_CONTENT)
    for index, embed in enumerate(form.get("embeds") or []):
        if len(embed.get("description") or "") > LONGEST_EMBED_DESCRIPTION:
            raise _too_long(f"{place}embeds.{index}.description", LONGEST_EMBED_DESCRIPTION)


def _too_long(place: str, limit: int) -> Exception:
    return invalid_form(place, "BASE_TYPE_MAX_LENGTH", f"Must be {limit} or fewer in length.")


def _replied_message(world: World, channel: Channel, form: Mapping[str, Any]) -> Message | None:
    reference = form.get("message_reference")
    if not reference:
        return None
    replied = world.messages.get(int(reference["message_id"]))
    if replied is not None and replied.channel is channel and not replied.deleted:
        return replied
    if reference.get("fail_if_not_exists", True):
        raise invalid_form("message_reference", "REPLIES_UNKNOWN_MESSAGE", "Unknown message")
    return None


def _pinged(world: World, content: str, allowed: Mapping[str, Any] | None, replied: Message | None) -> tuple[User, ...]:
    """Who a message pings: those named in it and the author replied to, as far as `allowed_mentions` lets it."""
    named = [int(digits) for digits in re.findall(r"<@!?(\d+)>", content)]
    if allowed is not None and "users" not in (allowed.get("parse") or []):
        listed = {int(user_id) for user_id in allowed.get("users") or []}
        named = [user_id for user_id in named if user_id in listed]
    if replied is not None and (allowed is None or allowed.get("replied_user")):
        named.append(replied.author.id)
    return tuple(world.users[user_id] for user_id in dict.fromkeys(named) if user_id in world.users)
