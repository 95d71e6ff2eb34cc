"""What a message may be, and who it pings: the rules for writing and editing one.

The official document lets a message have 4,000 characters, which is true of people who pay. A bot gets 2,000.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bot.loopback.discord.components import check_custom_ids, numbered
from bot.loopback.discord.errors import empty_message, invalid_form, locked_thread
from bot.loopback.discord.messages import Attachment, Message, MessageFlag, UploadedFile
from bot.loopback.discord.people import Permission, User
from bot.loopback.discord.places import Channel
from bot.loopback.discord.world import World

LONGEST_CONTENT = 2000  # characters
LONGEST_EMBED_DESCRIPTION = 4096  # characters
_FLAGS_OF_EDITS = MessageFlag.SUPPRESS_EMBEDS | MessageFlag.IS_COMPONENTS_V2
_SETTABLE_FLAGS = _FLAGS_OF_EDITS | MessageFlag.EPHEMERAL | MessageFlag.SUPPRESS_NOTIFICATIONS


def write(
    world: World,
    channel: Channel,
    author: User,
    form: Mapping[str, Any],
    now: float,
    *,
    files: Sequence[UploadedFile] = (),
    place: str = "",
) -> Message:
    """The message that `form` (the JSON body of a request) asks for, stored in `world` but not yet announced.

    `place` is where the form stands in the body ("data." in an interaction's callback), for error messages.
    Raises DiscordError for a form that Discord refuses.
    """
    _check(form, place)
    if channel.thread is not None and channel.thread.archived and channel.thread.locked:
        raise locked_thread()
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
        pings_everyone=_pings_everyone(world, channel, author, content, form.get("allowed_mentions")),
        replies_to=None if replied is None else replied.id,
        flags=MessageFlag(form.get("flags") or 0) & _SETTABLE_FLAGS,
        embeds=list(form.get("embeds") or []),
        components=numbered(form.get("components") or []),
        attachments=_attached(world, channel, form, files),
        nonce=form.get("nonce"),
    )
    store(world, message)
    return message


def store(world: World, message: Message) -> None:
    """Make a message part of its channel."""
    world.archive.add(message)
    for attachment in message.attachments:
        world.archive.attach(attachment)
    message.channel.last_message_id = message.id
    if message.channel.thread is not None:
        message.channel.thread.message_count += 1


def rewrite(
    world: World, message: Message, form: Mapping[str, Any], now: float, *, files: Sequence[UploadedFile] = ()
) -> None:
    """Change a message as `form` says; what it doesn't name stays. The old content goes to the message's history.

    A deferred answer stops loading, and counts as written rather than edited. Raises DiscordError as `write` does.
    """
    _check(form, "")
    content = message.content if "content" not in form else (form["content"] or "").strip()
    embeds = message.embeds if "embeds" not in form else list(form["embeds"] or [])
    components = message.components if "components" not in form else numbered(form["components"] or [])
    attachments = _kept(message, form) + _attached(world, message.channel, form, files)
    if not (content or embeds or components or attachments):
        raise empty_message()
    if message.loading:
        message.flags &= ~MessageFlag.LOADING
    else:
        message.history.append(message.content)
        message.edited = now
    if form.get("flags") is not None:
        message.flags = message.flags & ~MessageFlag.SUPPRESS_EMBEDS | MessageFlag(form["flags"]) & _FLAGS_OF_EDITS
    message.content, message.embeds, message.components = content, embeds, components
    message.attachments = attachments
    for attachment in attachments:
        world.archive.attach(attachment)
    replied = None if message.replies_to is None else world.messages.get(message.replies_to)
    message.mentions = _pinged(world, content, form.get("allowed_mentions"), replied)


def same_nonce(world: World, channel: Channel, author: User, form: Mapping[str, Any]) -> Message | None:
    """The message that was sent before with the same nonce, when the form asks for each nonce to be used once."""
    if not form.get("enforce_nonce") or form.get("nonce") is None:
        return None
    return world.archive.with_nonce(channel.id, author.id, form["nonce"])


def _kept(message: Message, form: Mapping[str, Any]) -> tuple[Attachment, ...]:
    """The files that stay at a message when it is edited: all, or those that the edit lists."""
    if "attachments" not in form:
        return message.attachments
    listed = {str(entry.get("id")) for entry in form["attachments"] or []}
    return tuple(attachment for attachment in message.attachments if str(attachment.id) in listed)


def _attached(
    world: World, channel: Channel, form: Mapping[str, Any], files: Sequence[UploadedFile]
) -> tuple[Attachment, ...]:
    """The files that were sent with a form, each with the description that the form has for it by its number."""
    told = {str(entry.get("id")): entry.get("description") for entry in form.get("attachments") or []}
    described = [replace(file, description=told.get(str(index))) for index, file in enumerate(files)]
    return tuple(Attachment(world.snowflakes.next(), channel.id, file) for file in described)


def _check(form: Mapping[str, Any], place: str) -> None:
    content = form.get("content")
    check_custom_ids(form.get("components") or [], f"{place}components")
    if content is not None and not isinstance(content, str):
        raise invalid_form(f"{place}content", "STRING_TYPE_CONVERT", "Could not interpret value as string.")
    if content is not None and len(content) > LONGEST_CONTENT:
        raise _too_long(f"{place}content", LONGEST_CONTENT)
    if (form.get("flags") or 0) & MessageFlag.IS_COMPONENTS_V2 and (content or form.get("embeds")):
        code = "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2"
        raise invalid_form(f"{place}content", code, "The 'content' field cannot be used with components V2.")
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


def _pings_everyone(
    world: World, channel: Channel, author: User, content: str, allowed: Mapping[str, Any] | None
) -> bool:
    """Whether a message pings all: who is no member, as a webhook, needs no permission for that."""
    if "@everyone" not in content and "@here" not in content:
        return False
    guild = world.guild_of(channel)
    if guild is None or (allowed is not None and "everyone" not in (allowed.get("parse") or [])):
        return False
    held = guild.permissions_of(author.id, channel, world.bot.id)
    return author.id not in guild.members or Permission.MENTION_EVERYONE in held
