"""A loopback Discord whose every exchange is checked against the official document when that is at hand."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.loopback.discord import LoopbackDiscord
from bot.loopback.openapi import OpenAPIContract

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
