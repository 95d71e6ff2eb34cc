"""A Discord on 127.0.0.1: start it, point a bot at it, and be the people who talk to the bot."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from aiohttp import web

from bot.loopback.discord.applications import ApplicationRoutes
from bot.loopback.discord.channels import ChannelRoutes
from bot.loopback.discord.gateway import Gateway, Intent
from bot.loopback.discord.interactions import (
    InteractionType,
    LoopbackInteraction,
    button_data,
    command_data,
    typing_data,
)
from bot.loopback.discord.journal import Happening, Journal, Kind, Request
from bot.loopback.discord.posting import write
from bot.loopback.discord.rest import BASE_PATH, PlannedAnswer, RestServer
from bot.loopback.discord.stage import Stage
from bot.loopback.discord.webhooks import WebhookRoutes
from bot.loopback.discord.world import Channel, Message, User, World, aviary, new_token
from bot.loopback.openapi import OpenAPIContract


class LoopbackDiscord:
    """An async context manager that listens while it is open.

    `api_base` and `gateway_url` are where a bot has to connect, with `token`. `world` is who and what there is,
    `journal` what happened, `violations` what the official document has against the bot's requests.
    """

    def __init__(
        self,
        contract: OpenAPIContract | None = None,
        *,
        token: str = "loopback-bot-token",
        privileged: Intent = Intent.NONE,
        heartbeat_interval: float = 41.25,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`contract` checks every request. `privileged` are the privileged intents switched on for the application.

        The heartbeat interval is in seconds; `clock` gives seconds since the epoch and decides about the 3 seconds
        and 15 minutes of an interaction.
        """
        self.token = token
        self.world: World = aviary(clock)
        self.journal = Journal(clock)
        self._gateway = Gateway(
            self.world, self.journal, token, privileged=privileged, heartbeat_interval=heartbeat_interval
        )
        self._stage = Stage(self.world, self.journal, self._gateway, clock)
        groups = (ApplicationRoutes(self._stage, privileged), ChannelRoutes(self._stage), WebhookRoutes(self._stage))
        routes = {name: handler for group in groups for name, handler in group.routes().items()}
        self._rest = RestServer(routes, token, self.journal, contract)
        self._runner: web.AppRunner | None = None
        self.api_base = ""  # known once it listens
        self.gateway_url = ""

    async def __aenter__(self) -> LoopbackDiscord:
        app = web.Application(client_max_size=32 * 1024 * 1024)
        app.router.add_get("/gateway", self._gateway.accept)
        app.router.add_get("/gateway/", self._gateway.accept)
        self._rest.install(app)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.api_base = f"http://{host}:{port}{BASE_PATH}"
        self.gateway_url = self._gateway.url = f"ws://{host}:{port}/gateway"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._gateway.drop_connections()
        if self._runner is not None:
            await self._runner.cleanup()

    # Looking

    @property
    def requests(self) -> list[Request]:
        """Every REST request so far, in the order of their answers."""
        return [entry.request for entry in self.journal.entries if entry.request is not None]

    @property
    def violations(self) -> list[str]:
        """What the official document has against the bot's requests; empty without a document."""
        return self._rest.violations

    @property
    def own_violations(self) -> list[str]:
        """What the official document has against the answers given here: a defect of this server, not of the bot."""
        return self._rest.own_violations

    def message(self, message_id: int) -> Message:
        """The message with this id; LookupError if there is none."""
        return self.world.messages[message_id]

    def messages_in(self, channel: Channel) -> list[Message]:
        """What stands in a channel now, oldest first, answers that only one person sees included."""
        return [m for m in self.world.messages.values() if m.channel is channel and not m.deleted and not m.loading]

    # Waiting: each raises TimeoutError, with the last happenings in its message, when it takes longer than `within` s

    async def until(
        self, condition: Callable[[], bool], within: float = 10.0, awaited: str = "what was awaited"
    ) -> None:
        """Wait until `condition` holds; it is asked now and after everything that happens."""
        await self.journal.until(lambda: condition() or None, within, awaited)

    async def wait_for(
        self, predicate: Callable[[Happening], bool], within: float = 10.0, awaited: str = "what was awaited"
    ) -> Happening:
        """Wait for the first happening, past or to come, that `predicate` accepts, and return it."""
        entries = self.journal.entries
        return await self.journal.until(lambda: next(filter(predicate, entries), None), within, awaited)

    async def bot_ready(self, within: float = 10.0) -> None:
        """Wait until a bot is connected and has been told about its guilds."""
        await self.until(lambda: self._gateway.has_listener, within, "a bot's connection")

    async def reply_to(self, message_id: int, within: float = 10.0) -> Message:
        """Wait for the bot's first reply to a message, and return it."""

        def reply() -> Message | None:
            created = (h.message for h in self.journal.entries if h.kind is Kind.CREATED)
            return next((m for m in created if m is not None and m.is_reply_by(self.world.bot, message_id)), None)

        return await self.journal.until(reply, within, "a reply by the bot")

    # Being the people

    async def say(
        self,
        channel: Channel,
        author: User,
        content: str,
        *,
        mentions_bot: bool = True,
        reply_to: int | None = None,
        ping: bool = True,
    ) -> int:
        """Write a message as a person; its id.

        In a guild the text starts with a mention of the bot unless `mentions_bot` is false. `reply_to` makes it a
        reply to the message with that id, which pings that message's author unless `ping` is false.
        """
        if mentions_bot and channel.guild_id is not None:
            content = f"{self.world.bot.mention} {content}"
        form: dict[str, Any] = {"content": content}
        form["allowed_mentions"] = {"parse": ["users"], "replied_user": ping}
        if reply_to is not None:
            form["message_reference"] = {"message_id": str(reply_to)}
        message = write(self.world, channel, author, form, self._stage.clock())
        await self._stage.created(message)
        return message.id

    async def redeliver(self, message_id: int) -> None:
        """Tell the bot about a message once more, as happens after a reconnect at a bad moment."""
        await self._gateway.publish_message("MESSAGE_CREATE", self.message(message_id))

    async def slash(
        self, channel: Channel, user: User, command: str, options: Mapping[str, Any] | None = None
    ) -> LoopbackInteraction:
        """Use a command as a person: "tweet", or "queue approve" for a subcommand, with its options by name.

        Raises LookupError when the bot hasn't registered the command, or not with these options.
        """
        data = command_data(self.world, channel, command, options or {})
        return await self._invoke(channel, user, command, data, InteractionType.COMMAND)

    async def press(self, message: Message, user: User, label: str) -> LoopbackInteraction:
        """Press the button with that label under a message. Raises LookupError when there is none."""
        data = button_data(message, label)
        custom_id = str(data["custom_id"])
        return await self._invoke(message.channel, user, custom_id, data, InteractionType.COMPONENT, message)

    async def type_option(
        self, channel: Channel, user: User, command: str, option: str, typed: str, within: float = 10.0
    ) -> list[str]:
        """Type the beginning of a command's option; the values that the bot suggests. Raises TimeoutError."""
        data = typing_data(self.world, channel, command, option, typed)
        interaction = await self._invoke(channel, user, command, data, InteractionType.AUTOCOMPLETE)
        await interaction.acknowledged(within)
        return [str(choice["value"]) for choice in interaction.choices or []]

    async def _invoke(
        self,
        channel: Channel,
        user: User,
        command: str,
        data: dict[str, Any],
        kind: InteractionType,
        pressed: Message | None = None,
    ) -> LoopbackInteraction:
        clock = self._stage.clock
        interaction = LoopbackInteraction(
            self.world.snowflakes.next(),
            new_token(),
            user,
            channel,
            command,
            data,
            clock(),
            clock,
            self.journal,
            type=kind,
            pressed=pressed,
        )
        self._stage.interactions[interaction.token] = interaction
        self.journal.record(Kind.INVOKED, interaction_id=interaction.id, detail=f"/{command} by {user.username}")
        await self._gateway.publish(
            "INTERACTION_CREATE", interaction.event(self.world), intent=Intent.NONE, guild_id=channel.guild_id
        )
        return interaction

    # Being the weather

    def refuse_next(
        self, route: str, status: int, *, retry_after: float = 0.05, everywhere: bool = False, times: int = 1
    ) -> None:
        """Refuse the next requests to a route such as "POST /channels/{channel_id}/messages".

        `status` is 429 (with `retry_after` seconds; `everywhere` makes it a global limit) or a server error.
        """
        for _ in range(times):
            self._rest.plan(PlannedAnswer(route, status, retry_after, everywhere))

    def drop_connections(self) -> None:
        """Cut every gateway socket without a word, so that the bot must resume."""
        self._gateway.drop_connections()

    async def ask_to_reconnect(self) -> None:
        """Ask the bot to reconnect and resume, as Discord does every few hours."""
        await self._gateway.ask_to_reconnect()

    async def invalidate_sessions(self) -> None:
        """Make the bot identify anew; what it misses meanwhile is lost to it."""
        await self._gateway.invalidate_sessions()
