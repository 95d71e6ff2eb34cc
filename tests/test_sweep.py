"""What has been kept long enough is forgotten by the service."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from bot.app import now
from bot.app.rooms import Rooms, open_rooms
from bot.app.upkeep import sweep
from bot.config import Config, Paths, X, XAccount
from bot.replies.answers import Said
from bot.replies.incoming import Incoming, Platform
from bot.replies.post import PostState
from bot.replies.servers import ServerSettings
from bot.tweets.charges import Charges


async def test_a_sweep_expires_posts_of_accounts_without_keys_and_of_accounts_gone_from_the_settings(
    tmp_path: Path,
) -> None:
    """Nothing runs for these accounts that would."""
    paths = Paths(data=tmp_path / "data", models=tmp_path / "models", examples=tmp_path / "examples")
    async with open_rooms(Config(paths=paths, x=X(enabled=True, accounts={"second": XAccount()}))) as rooms:
        drafted = await rooms.posts.submit("main", "nell", "v1", 1, "Fog again.", 0.9, "ann")
        approved = await rooms.posts.submit("second", "nell", "v1", 1, "The lamp is lit.", 0.9, "ann")
        await rooms.posts.approve(approved.id, "ann")
        async with rooms.database.transaction() as transaction:
            await transaction.run("UPDATE posts SET expires_at = ?", (now().isoformat(),))
    async with open_rooms(Config(paths=paths)) as rooms:
        await sweep(rooms)
        assert [(await rooms.posts.post(each.id)).state for each in (drafted, approved)] == [PostState.EXPIRED] * 2


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


async def test_a_sweep_forgets_whom_x_has_charged_for_on_earlier_days(tmp_path: Path) -> None:
    """The amounts stay, and so does what X's day of charging still needs, and what was published."""
    config = Config(paths=Paths(data=tmp_path / "data", models=tmp_path / "models", examples=tmp_path / "examples"))
    async with open_rooms(config) as rooms:
        for purpose, resource in (("mention", "author 7"), ("reply", "Reply 9")):
            async with rooms.ledger.hold(purpose, "nell", Decimal("0.010"), "A call", resource=resource) as call:
                await call.settle(1, Decimal("0.010"))
        async with rooms.database.transaction() as transaction:
            await Charges(now).users(transaction, ["7"])
        await sweep(rooms)
        assert await ids(rooms) == ["Reply 9", "author 7", "user 7"]
        yesterday = now() - timedelta(days=1)
        async with rooms.database.transaction() as transaction:
            await transaction.run("UPDATE costs SET at = ?", (yesterday.isoformat(),))
            await transaction.run("UPDATE charged SET day = ?", (yesterday.date().isoformat(),))
        await sweep(rooms)
        assert await ids(rooms) == ["Reply 9"]
        assert sum(usd for _, usd in await rooms.ledger.months()) == Decimal("0.020")


async def ids(rooms: Rooms) -> list[str]:
    """What the ledger knows of what was read and published."""
    rows = await rooms.database.all(
        "SELECT resource FROM costs WHERE resource != '' UNION SELECT resource FROM charged ORDER BY 1"
    )
    return [row["resource"] for row in rows]
