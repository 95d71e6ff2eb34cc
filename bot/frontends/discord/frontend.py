"""Connecting to Discord, waiting out its trouble, and stopping."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import discord
import structlog

from bot.config import Discord
from bot.errors import DiscordError
from bot.frontends.discord import texts
from bot.frontends.discord.answers import AnswerDesk
from bot.frontends.discord.approvals import ApprovalDesk
from bot.frontends.discord.archives import Archives
from bot.frontends.discord.blends import BlendDesk
from bot.frontends.discord.catalogue import Catalogue
from bot.frontends.discord.change_log import ChangeLog
from bot.frontends.discord.channels import ChannelDesk
from bot.frontends.discord.client import Client
from bot.frontends.discord.commands import add_commands
from bot.frontends.discord.commands.tree import Tree
from bot.frontends.discord.completion import Completion
from bot.frontends.discord.costume import Costumes
from bot.frontends.discord.desks import Desks
from bot.frontends.discord.duels import DuelDesk
from bot.frontends.discord.failures import Failures
from bot.frontends.discord.forgetting import ForgetDesk
from bot.frontends.discord.guessing import GuessDesk
from bot.frontends.discord.guilds import Guilds
from bot.frontends.discord.house import HouseDesk
from bot.frontends.discord.lasting import TROUBLE
from bot.frontends.discord.library import intents_refused, prepare_library, token_refused
from bot.frontends.discord.marks import Marks
from bot.frontends.discord.notices import Notices
from bot.frontends.discord.privacy import PrivacyDesk
from bot.frontends.discord.purchases import PurchaseDesk
from bot.frontends.discord.replying import ReplyDesk
from bot.frontends.discord.rights import Rights
from bot.frontends.discord.server_log import ServerLog
from bot.frontends.discord.services import Services
from bot.frontends.discord.settings import SettingsDesk
from bot.frontends.discord.steady import PATIENCE_S
from bot.frontends.discord.sync import sync_if_changed
from bot.frontends.discord.talk import Talk
from bot.frontends.discord.training_end import TrainingEnd
from bot.frontends.discord.trainings import TrainingDesk
from bot.frontends.discord.versions import VersionDesk
from bot.replies.changes import Change
from bot.replies.incoming import Platform
from bot.training.decisions import Decision

_AUTHENTICATION_FAILED = 4004  # the gateway's close code
_LONGEST_WAIT = 300.0  # seconds between two attempts to connect
_STEADY_AFTER = 60.0  # seconds; a connection that held so long was a good one, and waiting starts from the bottom again

log = structlog.get_logger(__name__)


def _error_id() -> str:
    return secrets.token_hex(4)


@dataclass(slots=True)
class Announcement:
    """What is to be said of a version, and where it was."""

    decision: Decision
    change: Change | None = None  # what a retraining has changed
    told: set[str] = field(default_factory=set)  # ids of channels
    logged: bool = False  # whether the servers' log channels were told, too


class DiscordFrontend:
    """The bot on Discord; `await run()` in a task of its own, cancel it to stop."""

    def __init__(
        self,
        settings: Discord,
        token: str,
        services: Services,
        drain_seconds: float,
        *,
        edit_every_seconds: float = 4.0,
        duel_pause_seconds: float = 6.0,
        first_wait_seconds: float = 1.0,
        look_every_seconds: float = 10.0,
        patience_seconds: float = PATIENCE_S,
        heartbeat_timeout_seconds: float = 60.0,
        new_id: Callable[[], str] = _error_id,
    ) -> None:
        """`edit_every_seconds`: the message of a training or a fetch changes at most so often. `duel_pause_seconds`:
        between two turns of a duel. `first_wait_seconds`: the pause after the first failure to connect; it doubles each
        time. `look_every_seconds`: so often it looks for what log channels are told. `patience_seconds`: for so long an
        answer is sent again while Discord fails. `heartbeat_timeout_seconds`: a gateway connection that says nothing
        for so long is begun anew. `new_id` names the errors that people are told about.
        """
        failures = Failures(new_id)
        self._patience = patience_seconds
        self._heartbeat_timeout = heartbeat_timeout_seconds
        self._settings = settings
        self._token = token
        self._marks = Marks(services.database)
        self._failures = failures
        self._conversation = services.conversation
        self._untold: deque[Announcement] = deque()
        self._untold_grew = asyncio.Event()
        self._look_every = look_every_seconds
        self._server_log = ServerLog(services.conversation.servers)
        ledger = services.ledger if services.purchases.is_on else None
        self._notices = Notices(services.posts, ledger, self._marks, self._server_log)
        self._change_log = ChangeLog(services.conversation, self._server_log)
        rights = Rights(services.conversation.servers, settings.deciding_servers)
        self._answers = AnswerDesk(
            services.conversation, services.shelf, services.posts, rights, failures, services.purchases.is_on
        )
        end = TrainingEnd(services.conversation, services.shelf, self._answers.buttons)
        self._training = TrainingDesk(
            services.trainings,
            end,
            self._marks,
            rights,
            failures,
            self._server_log,
            edit_every_seconds,
            first_wait_seconds,
        )
        archives = Archives(services.store)
        self._purchases = PurchaseDesk(
            services.purchases, self._training, archives, self._marks, rights, failures, edit_every_seconds
        )
        self._costumes = Costumes(services.conversation, settings)
        self._duels = DuelDesk(services.duels, services.conversation, self._costumes, failures, duel_pause_seconds)
        self._desks = self._opened(services, rights, failures)
        self._drain_seconds = drain_seconds
        self._first_wait = first_wait_seconds

    def _opened(self, services: Services, rights: Rights, failures: Failures) -> Desks:
        ledger = services.ledger if services.purchases.is_on else None
        settings, conversation = self._settings, services.conversation
        keep_days, server_days = services.operation.keep_days, settings.forget_server_after_days
        return Desks(
            rights=rights,
            talk=Talk(services.conversation, self._answers, self._costumes, failures, self._patience),
            answers=self._answers,
            trainings=self._training,
            purchases=self._purchases,
            catalogue=Catalogue(services.shelf, services.store, services.trainings, services.conversation, failures),
            versions=VersionDesk(services.shelf, services.decisions, rights, failures),
            completion=Completion(services.shelf, services.store),
            blends=BlendDesk(services.blends, rights),
            approvals=ApprovalDesk(services.posts, ledger, rights, failures),
            forgetting=ForgetDesk(services.takedowns, services.ledger, rights, failures),
            guessing=GuessDesk(services.guessing, services.conversation, failures),
            replying=ReplyDesk(services.conversation, services.shelf, self._answers, failures),
            duels=self._duels,
            guilds=Guilds(settings, conversation, self._server_log),
            channels=ChannelDesk(conversation, self._server_log),
            settings=SettingsDesk(conversation, settings.in_costume, self._server_log),
            house=HouseDesk(services, ledger, rights),
            privacy=PrivacyDesk(conversation.opt_outs, keep_days, server_days, failures),
        )

    async def run(self) -> None:
        """Answer until cancelled; what is under way then is still answered, within the time limit.

        No trouble of Discord's ends this or the service: it is logged in a line and waited out. Only a wrong token
        and an intent that isn't switched on can't be waited out: it is logged once, and this returns.
        """
        prepare_library(self._settings)
        loop, wait = asyncio.get_running_loop(), self._first_wait
        while True:
            began = loop.time()
            try:
                await self._connection()
                trouble = "the connection was closed"
            except DiscordError as error:
                log.error(str(error))
                return
            except Exception as error:  # noqa: BLE001 - neither an outage nor a bug of the library may end the service
                trouble = f"{type(error).__name__}: {error}"
            if loop.time() - began > _STEADY_AFTER:
                wait = self._first_wait
            log.warning("discord is out of reach; trying again", seconds=wait, trouble=trouble)
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    async def announce(self, decision: Decision, change: Change | None = None) -> None:
        """Have it said in the channels in which that persona was chosen, and in the servers' log channels, that it
        speaks as another version from now on: at once, or when there is a connection again. `change` is what a
        retraining has changed, which the log channels are told, also where it led to no other version.
        """
        self._untold.append(Announcement(decision, change))
        self._untold_grew.set()

    @asynccontextmanager
    async def _announcing(self, client: Client) -> AsyncIterator[None]:
        """While the body runs, what is to be announced is; the rest is left to the next connection."""
        tasks = [
            asyncio.create_task(self._announce_all(client), name="discord announcements"),
            asyncio.create_task(self._tell_what_came_up(client), name="discord notices"),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _tell_what_came_up(self, client: Client) -> None:
        """Tell the servers' log channels what came up, again and again."""
        while True:
            try:
                await self._notices.look(client)
            except Exception:  # the edge of a task that nobody waits for
                if client.is_closed():
                    return
                log.exception("discord log channels were not told what came up")
            await asyncio.sleep(self._look_every)

    async def _announce_all(self, client: Client) -> None:
        while True:
            self._untold_grew.clear()
            while self._untold:
                try:
                    await self._tell_channels(client, self._untold[0])
                except Exception:  # the edge: an announcement is not worth a service
                    if client.is_closed():  # aiohttp's session does not take anything any more
                        return
                    log.exception("a version was not announced on discord")
                self._untold.popleft()
            await self._untold_grew.wait()

    async def _tell_channels(self, client: Client, announcement: Announcement) -> None:
        decision = announcement.decision
        chosen = await self._conversation.channels.with_persona(Platform.DISCORD, decision.persona)
        is_told = self._settings.announce_versions and decision.is_switch
        for channel in chosen if is_told else ():
            if channel in announcement.told:
                continue
            try:
                await client.get_partial_messageable(int(channel)).send(texts.another_version(decision))
            except TROUBLE as trouble:
                log.info("discord channel was not told of a version", channel=channel, trouble=str(trouble))
            announcement.told.add(channel)
        if not announcement.logged:
            announcement.logged = True
            if announcement.change is not None:
                await self._change_log.tell(client, announcement.change)
            else:
                await self._server_log.tell_all(client, texts.another_version(decision), announcement.told)

    async def _connection(self) -> None:
        """One connection, from login to close. Raises `DiscordError` when the token is wrong or an intent isn't on."""
        if not self._token.isprintable() or " " in self._token:  # could not even be sent
            raise token_refused(self._settings)
        client = Client(
            self._desks,
            self._drain_seconds,
            message_content=self._settings.message_content,
            heartbeat_timeout=self._heartbeat_timeout,
        )
        tree = Tree(client, self._failures)
        add_commands(tree)
        try:
            async with client:
                await client.login(self._token)
                await sync_if_changed(tree, self._marks, self._settings.development_server)
                async with (
                    self._training.following(client),
                    self._purchases.following(client),
                    self._duels.following(client),
                    self._announcing(client),
                ):
                    await client.connect()
        except discord.LoginFailure as error:
            raise token_refused(self._settings) from error
        except discord.PrivilegedIntentsRequired as error:
            raise intents_refused() from error
        except discord.ConnectionClosed as error:
            if error.code == _AUTHENTICATION_FAILED:
                raise token_refused(self._settings) from error
            raise
