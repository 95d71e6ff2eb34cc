"""discord.py's own state: where it connects, and what it may log."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import discord
import pytest
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot.config import Discord
from bot.frontends.discord.library import prepare_library


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Give the library its own addresses back."""
    base, gateway = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    yield
    Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = base, gateway


def test_the_settings_decide_where_discord_is() -> None:
    prepare_library(Discord(api_base="http://127.0.0.1:1/api/v10/", gateway_url="ws://127.0.0.1:2/gateway"))
    assert Route("GET", "/users/@me").url == "http://127.0.0.1:1/api/v10/users/@me"
    assert str(DiscordWebSocket.DEFAULT_GATEWAY) == "ws://127.0.0.1:2/gateway"


def test_the_shipped_settings_are_the_librarys_own_addresses() -> None:
    base, gateway = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    prepare_library(Discord())
    assert (base, gateway) == (Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY)


def test_requests_and_events_are_never_logged() -> None:
    prepare_library(Discord())
    for name in ("discord.http", "discord.gateway", "discord.webhook.async_"):
        assert not logging.getLogger(name).isEnabledFor(logging.DEBUG)


@pytest.mark.parametrize(
    ("trouble", "traceback"),
    [(ConnectionRefusedError("no"), False), (discord.DiscordException("no"), False), (KeyError(), True)],
)
def test_trouble_of_the_connection_is_one_line_and_a_bug_is_not(
    caplog: pytest.LogCaptureFixture, trouble: Exception, traceback: bool
) -> None:
    prepare_library(Discord())
    prepare_library(Discord())
    logging.getLogger("discord.shard").error("Attempting a reconnect in %.2fs", 1, exc_info=trouble)
    [record] = caplog.records
    assert bool(record.exc_info) is traceback
    assert record.getMessage().startswith("Attempting a reconnect in 1.00s")
    assert record.getMessage().count(type(trouble).__name__) == (0 if traceback else 1)
