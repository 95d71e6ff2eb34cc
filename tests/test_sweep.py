"""What has been kept long enough is forgotten by the service."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from bot.app import now
from bot.app.rooms import open_rooms
from bot.app.upkeep import sweep
from bot.config import Config, Paths
from bot.replies.answers import Said
from bot.replies.incoming import Incoming, Platform
from bot.replies.servers import ServerSettings


async def test_a_sweep_forgets_servers_and_answers_after_the_configured_days(tmp_path: Path) -> None:
    """And nothing before."""
    config = Config(paths=Paths(data=tmp_path / "data", models=tmp_path / "models", examples=tmp_path / "examples"))
    async with open_rooms(config) as rooms:
        servers, answers = rooms.conversation.servers, rooms.conversation.answers
        for server in ("old", "new"):
            await servers.change(Platform.DISCORD, server, requests_per_hour=3)
            await servers.left(Platform.DISCORD, server)
            async with rooms.database.transaction() as transaction:
                incoming = Incoming(Platform.WEB, server, "c", "robin")
                await answers.keep(transaction, incoming, [Said(server, "nell", "v1", 7, "Fog again.", 0.9)])
        long_ago = (now() - timedelta(days=config.replies.keep_days + 1)).isoformat()
        async with rooms.database.transaction() as transaction:
            await transaction.run("UPDATE servers SET left_at = ? WHERE server_id = 'old'", (long_ago,))
            await transaction.run("UPDATE answers SET said_at = ? WHERE answer_id = 'old'", (long_ago,))
        await sweep(rooms)
        assert await servers.settings(Platform.DISCORD, "old") == ServerSettings()
        assert await servers.settings(Platform.DISCORD, "new") == ServerSettings(requests_per_hour=3)
        assert await answers.find(Platform.WEB, "old") is None
        assert await answers.find(Platform.WEB, "new") is not None
