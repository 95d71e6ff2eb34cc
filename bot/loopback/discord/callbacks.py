"""The route for the first answer to a command, a button, a menu or a form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

from bot.loopback.discord.errors import invalid_form, unknown
from bot.loopback.discord.interactions import InteractionType, LoopbackInteraction
from bot.loopback.discord.journal import Kind
from bot.loopback.discord.messages import Message, MessageFlag, UploadedFile
from bot.loopback.discord.modals import checked_modal
from bot.loopback.discord.posting import rewrite, store, write
from bot.loopback.discord.rest import Call, Handler
from bot.loopback.discord.stage import Stage


class Callback(IntEnum):
    """Kinds of first answers, with Discord's numbers."""

    MESSAGE = 4
    DEFERRED_MESSAGE = 5
    DEFERRED_UPDATE = 6
    UPDATE = 7
    CHOICES = 8
    MODAL = 9


_NEW_MESSAGE = (Callback.MESSAGE, Callback.DEFERRED_MESSAGE)
_OLD_MESSAGE = (Callback.DEFERRED_UPDATE, Callback.UPDATE)
_MOST_CHOICES, _LONGEST_CHOICE = 25, 100  # suggestions; characters of each


class CallbackRoutes:
    """Answering interactions for the first time."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._world = stage.world

    def routes(self) -> Mapping[str, Handler]:
        """The table of routes."""
        return {"POST /interactions/{interaction_id}/{interaction_token}/callback": self.callback}

    async def callback(self, call: Call) -> object | None:
        interaction = self._stage.interactions.get(call.values["interaction_token"])
        if interaction is None or interaction.id != call.id("interaction_id"):
            raise unknown("Interaction")
        interaction.check_answerable()
        kind, data = _checked_kind(interaction, call.form.get("type")), call.form.get("data") or {}
        message = self._answer(interaction, kind, data, call.files)
        interaction.acknowledge(message)
        self._stage.journal.record(Kind.ACKNOWLEDGED, interaction_id=interaction.id, detail=f"/{interaction.command}")
        if kind in _NEW_MESSAGE and message is not None:
            await self._stage.created(message)
        if kind is Callback.UPDATE and message is not None:
            await self._stage.changed(message)
        return self._result(interaction, message) if call.flag("with_response") else None

    def _answer(
        self, interaction: LoopbackInteraction, kind: Callback, data: dict[str, Any], files: Sequence[UploadedFile]
    ) -> Message | None:
        """Do what the bot answers; the message that is its answer from now on. Raises DiscordError."""
        if kind is Callback.CHOICES:
            interaction.choices = _checked_choices(data.get("choices") or [])
            return None
        if kind is Callback.MODAL:
            interaction.modal = checked_modal(data)
            return None
        if kind is Callback.UPDATE and interaction.pressed is not None:
            rewrite(self._world, interaction.pressed, data, self._stage.clock(), files=files)
        return interaction.pressed if kind in _OLD_MESSAGE else self._new_message(interaction, kind, data, files)

    def _new_message(
        self, interaction: LoopbackInteraction, kind: Callback, data: dict[str, Any], files: Sequence[UploadedFile]
    ) -> Message:
        if kind is Callback.DEFERRED_MESSAGE:
            ephemeral = bool((data.get("flags") or 0) & MessageFlag.EPHEMERAL)
            message = interaction.deferred_message(self._world, ephemeral=ephemeral)
            store(self._world, message)
        else:
            place, now = interaction.channel, self._stage.clock()
            message = write(self._world, place, self._world.bot, data, now, files=files, place="data.")
        interaction.sign(message)
        return message

    def _result(self, interaction: LoopbackInteraction, message: Message | None) -> dict[str, Any]:
        if message is None or message is interaction.pressed:
            return {"interaction": {"id": str(interaction.id), "type": int(interaction.type)}}
        about = {
            "id": str(interaction.id),
            "type": int(interaction.type),
            "response_message_id": str(message.id),
            "response_message_loading": message.loading,
            "response_message_ephemeral": MessageFlag.EPHEMERAL in message.flags,
            "channel_id": str(message.channel.id),
        }
        if message.loading:
            return {"interaction": about}
        return {
            "interaction": about,
            "resource": {"type": int(Callback.MESSAGE), "message": self._world.message_payload(message)},
        }


def _possible(interaction: LoopbackInteraction) -> tuple[Callback, ...]:
    """The kinds of first answers that an interaction takes: what stands under no message has none to change."""
    if interaction.type is InteractionType.AUTOCOMPLETE:
        return (Callback.CHOICES,)
    old = () if interaction.pressed is None else _OLD_MESSAGE
    modal = () if interaction.type is InteractionType.MODAL else (Callback.MODAL,)
    return (*_NEW_MESSAGE, *old, *modal)


def _checked_kind(interaction: LoopbackInteraction, kind: object) -> Callback:
    possible = _possible(interaction)
    if kind not in possible:
        numbers = ", ".join(str(int(each)) for each in possible)
        raise invalid_form("type", "BASE_TYPE_CHOICES", f"One of ({numbers}) is the answer here.")
    return next(each for each in possible if each == kind)


def _checked_choices(choices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Suggestions for an option: not too many, not too long. Raises DiscordError."""
    if len(choices) > _MOST_CHOICES or any(len(str(choice.get("name"))) > _LONGEST_CHOICE for choice in choices):
        raise invalid_form("data.choices", "BASE_TYPE_BAD_LENGTH", f"Must be {_MOST_CHOICES} or fewer in length.")
    return choices
