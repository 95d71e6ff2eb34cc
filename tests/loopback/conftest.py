"""A loopback Discord and a loopback X whose every exchange is checked against the official documents at hand."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from bot.loopback.discord import LoopbackDiscord
from bot.loopback.openapi import OpenAPIContract
from bot.loopback.x import LoopbackX, XAccount
from tests.loopback.x_stage import Caller, Clock, described_in

DISCORD_DOCUMENT = "discord-api-v10_2026-07-18_MIT.json"


@pytest.fixture(scope="session")
def discord_contract() -> OpenAPIContract | None:
    """The contract of Discord's official document; None where it is not at hand."""
    folder = os.environ.get("MOCKINGBIRD_TEST_SPECS")
    return None if folder is None else OpenAPIContract.load(Path(folder) / DISCORD_DOCUMENT)


@pytest.fixture
async def discord_server(discord_contract: OpenAPIContract | None) -> AsyncIterator[LoopbackDiscord]:
    """A listening loopback Discord; at the end neither side may have broken the contract."""
    async with LoopbackDiscord(discord_contract) as server:
        yield server
        assert server.violations == [], "\n".join(server.violations)
        assert server.own_violations == [], "\n".join(server.own_violations)


@pytest.fixture(scope="session")
def x_contracts() -> tuple[OpenAPIContract | None, OpenAPIContract | None]:
    """X's documents of the older and of the newer vocabulary; None where they are not at hand."""
    older = described_in("x-api-v2.159_xdk_2026-02-27_legacy_tweet_names.json")
    return older, described_in("x-api-v2.167_docs_2026-08-22.json")


@pytest.fixture
def x_clock() -> Clock:
    """The clock of the loopback X."""
    return Clock()


@pytest.fixture
async def x_server(
    x_contracts: tuple[OpenAPIContract | None, OpenAPIContract | None], x_clock: Clock
) -> AsyncIterator[LoopbackX]:
    """A listening loopback X with three accounts and one passer-by; at the end no exchange may have been wrong."""
    accounts: list[XAccount | str] = [
        "Mockingbird",
        "Nell",
        "Ferry",
        XAccount("ada", description="keeps a lighthouse", verified_type="blue"),
    ]
    async with LoopbackX(accounts, *x_contracts, clock=x_clock) as server:
        yield server
        assert server.violations == [], "\n".join(server.violations)


@pytest.fixture
async def x_caller(x_server: LoopbackX) -> AsyncIterator[Caller]:
    """A plain client of the loopback X."""
    async with aiohttp.ClientSession() as session:
        yield Caller(x_server, session)
