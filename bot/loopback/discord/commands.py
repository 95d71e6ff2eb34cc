"""A person's use of a command as Discord writes it, and who may use which command where."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

from bot.loopback.discord.messages import Attachment, Message, UploadedFile
from bot.loopback.discord.people import EVERYTHING, Permission, Role, User
from bot.loopback.discord.places import Channel
from bot.loopback.discord.world import World

_SUBCOMMAND, _SUBCOMMAND_GROUP = 1, 2  # types of an option that leads to a command rather than to a value
_IN_GUILDS, _DIRECTLY = 0, 1  # contexts in which a command can be used


class CommandType(IntEnum):
    """Kinds of commands, with Discord's numbers."""

    SLASH = 1
    ON_MESSAGE = 3  # in the menu of a message


def command_data(
    world: World, channel: Channel, user: User, name: str, options: Mapping[str, Any], *, complete: bool = True
) -> dict[str, Any]:
    """A use of the command `name` ("tweet", or "queue approve" for a subcommand) as Discord writes it.

    With `complete` every required option has to be there. Raises LookupError when the bot has registered no such
    command, or no such option, and PermissionError when the user may not use it: a person could not choose it.
    """
    first, *rest = name.split()
    command = _usable(world, channel, user, first, CommandType.SLASH)
    node, chosen = command, list[dict[str, Any]]()
    data = _start(command, chosen)
    for part in rest:
        node = _named(node.get("options", []), part, f"subcommand of /{first}")
        deeper = list[dict[str, Any]]()
        chosen.append({"name": part, "type": node["type"], "options": deeper})
        chosen = deeper
    for expected in node.get("options", []):
        if complete and expected.get("required") and expected["name"] not in options:
            raise LookupError(f"/{name} needs the option {expected['name']!r}")
    for option, value in options.items():
        kind = _named(node.get("options", []), option, f"option of /{name}")["type"]
        chosen.append({"name": option, "type": kind, "value": _value(world, channel, data, value)})
    return data


def typing_data(world: World, channel: Channel, user: User, name: str, option: str, typed: str) -> dict[str, Any]:
    """An option of the command `name` that is still being typed. Raises as `command_data` does."""
    data = command_data(world, channel, user, name, {option: typed}, complete=False)
    node = data
    while node["options"][0]["type"] in (_SUBCOMMAND, _SUBCOMMAND_GROUP):
        node = node["options"][0]
    node["options"][0]["focused"] = True
    return data


def target_data(world: World, message: Message, user: User, name: str) -> dict[str, Any]:
    """A use of a command in the menu of a message, which the bot may read then. Raises as `command_data` does."""
    data = _start(_usable(world, message.channel, user, name, CommandType.ON_MESSAGE), None)
    resolved = {"messages": {str(message.id): world.message_payload(message)}}
    return data | {"target_id": str(message.id), "resolved": resolved}


def _start(command: Mapping[str, Any], options: list[dict[str, Any]] | None) -> dict[str, Any]:
    data: dict[str, Any] = {"id": command["id"], "name": command["name"], "type": command.get("type", 1)}
    if options is not None:
        data["options"] = options
    if "guild_id" in command:
        data["guild_id"] = command["guild_id"]
    return data


def _usable(world: World, channel: Channel, user: User, name: str, kind: CommandType) -> dict[str, Any]:
    """The command with this name and type, if the user may use it in the channel."""
    guild = world.guild_of(channel)
    scopes = [None] if guild is None else [None, guild.id]
    if guild is not None and world.bot.id not in guild.members:
        scopes = []
    registered = [command for scope in scopes for command in world.commands.get(scope, [])]
    command = _named([each for each in registered if each.get("type", 1) == kind], name, "command")
    if (_DIRECTLY if guild is None else _IN_GUILDS) not in _contexts(command):
        raise LookupError(f"{name!r} cannot be used {'directly' if guild is None else 'in a guild'}")
    needed = command.get("default_member_permissions")
    if guild is not None and needed is not None:
        held = guild.permissions_of(user.id, channel, world.bot.id)
        # A command that asks for no permission at all in this way is for administrators only.
        if held != EVERYTHING and (int(needed) == 0 or Permission(int(needed)) not in held):
            raise PermissionError(f"{user.username} may not use {name!r} there")
    return command


def _contexts(command: Mapping[str, Any]) -> tuple[int, ...]:
    if "guild_id" in command:
        return (_IN_GUILDS,)
    if command.get("contexts") is not None:
        return tuple(command["contexts"])
    return (_IN_GUILDS,) if command.get("dm_permission") is False else (_IN_GUILDS, _DIRECTLY)


def _value(world: World, channel: Channel, data: dict[str, Any], value: Any) -> Any:
    """The value of an option: of a file or of somebody or something of a guild its id, and the rest of it under
    "resolved".
    """
    if isinstance(value, UploadedFile):
        attachment = Attachment(world.snowflakes.next(), channel.id, value)
        world.archive.attach(attachment)
        _resolve(data, "attachments", attachment.id, attachment.payload(world.media_base) | {"ephemeral": True})
        return str(attachment.id)
    if isinstance(value, User):
        _resolve(data, "users", value.id, value.payload())
        guild = world.guild_of(channel)
        if guild is not None and value.id in guild.members:
            held = guild.permissions_of(value.id, channel, world.bot.id)
            member = guild.members[value.id].payload(with_user=False) | {"permissions": str(int(held))}
            _resolve(data, "members", value.id, member)
        return str(value.id)
    if isinstance(value, Role):
        _resolve(data, "roles", value.id, value.payload())
        return str(value.id)
    if isinstance(value, Channel):
        _resolve(data, "channels", value.id, {**value.payload(world.bot), "permissions": str(int(EVERYTHING))})
        return str(value.id)
    return value


def _resolve(data: dict[str, Any], kind: str, thing_id: int, payload: dict[str, Any]) -> None:
    data.setdefault("resolved", {}).setdefault(kind, {})[str(thing_id)] = payload


def _named(candidates: list[dict[str, Any]], name: str, what: str) -> dict[str, Any]:
    for candidate in candidates:
        if candidate["name"] == name:
            return candidate
    names = ", ".join(candidate["name"] for candidate in candidates) or "none"
    raise LookupError(f"there is no {what} named {name!r}; there are: {names}")
