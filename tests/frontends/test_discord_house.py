"""How the bot is, what it costs, what one can do, and what it keeps of people, as Discord shows it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from bot.config import Prices
from bot.database import Database
from bot.frontends.discord import texts_house
from bot.generation.speaker import Standing
from bot.loopback.discord import Message
from bot.loopback.discord.messages import MessageFlag
from bot.replies.opt_outs import MOST_WISHES
from bot.tweets.costs import Ledger
from tests.fakes import FakeClock
from tests.frontends.discord_stage import Stage, staged
from tests.frontends.test_discord_servers import problem
from tests.frontends.test_discord_trainings import HALFWAY
from tests.loopback.songbird import PATIENCE


@pytest.fixture
async def stage(tmp_path: Path, database: Database) -> AsyncIterator[Stage]:
    async with staged(tmp_path, database) as ready:
        yield ready


async def answer(stage: Stage, command: str, who: str = "wren", **options: Any) -> Message:
    """What a command says."""
    return await (await stage.use(command, who, **options)).answered(PATIENCE)


# Status and costs


async def test_status_says_what_is_learned_and_who_waits(stage: Stage) -> None:
    stage.trainings.now = HALFWAY
    async with stage.running():
        said = await answer(stage, "status", "robin")
    assert MessageFlag.EPHEMERAL not in said.flags
    for part in (
        "**Mockingbird 0.1.0**, up since <t:",
        "Base: songs. Requests being answered: 2.",
        "Personas: 2.",
        "Learning now: **crumb**, 50%, 3 min left.",
        "Trainings in line: 0.",
        "Shard 1 of 1",
    ):
        assert part in said.content
    assert "Servers" not in said.content and "fetched" not in said.content


async def test_the_owners_status_has_what_is_asked_of_the_operator(stage: Stage) -> None:
    async with stage.running():
        await answer(stage, "optout", "robin", choice="account", handle="@Crumb")
        said = await answer(stage, "status")
    assert MessageFlag.EPHEMERAL in said.flags
    assert "Servers: 1." in said.content
    assert "People wish that these accounts are not imitated: @crumb. `/forget` does it." in said.content


def test_a_status_without_an_engine_says_why() -> None:
    moment = datetime(2026, 11, 1, tzinfo=UTC)
    silent = Standing(None, why_silent="The base is being prepared.")
    shown = texts_house.Status([], silent, 0, moment + timedelta(hours=1), "1", moment, 0, 1, float("nan"), None, [])
    said = texts_house.status(shown)
    assert "No voice: The base is being prepared." in said
    assert "no heartbeat yet" in said and "New tweets are fetched <t:" in said


async def test_where_x_is_off_costs_say_so_and_nobody_else_sees_it(stage: Stage) -> None:
    async with stage.running():
        said = await problem(await stage.use("costs"))
    assert said.content.startswith("X is switched off, so nothing costs anything.")


async def test_costs_are_told_to_managers_only_even_in_a_direct_message(stage: Stage) -> None:
    world = stage.server.world
    async with stage.running():
        robin = world.user("robin")
        used = await stage.server.slash(world.direct(robin), robin, "costs")
        assert (await problem(used)).content.startswith("Only people who may manage this server see")


async def test_costs_say_for_what_and_whether_the_cap_lasts(database: Database) -> None:
    ledger = Ledger(database, Prices(), Decimal("20.00"), FakeClock())
    async with ledger.hold("fetch", "nasa", Decimal("4.20"), "Reading @nasa") as call:
        await call.settle(840, Decimal("4.20"))
    month = await ledger.month()
    assert texts_house.costs(month, Decimal("0.25"), None) == (
        "**X in 2026-11: $4.20 of the cap of $20.00**\nfetch: $4.20\n"
        "-# At about $0.25 a day the $15.80 that are left last for this month."
    )
    assert "nothing is left on 9 November" in texts_house.costs(month, Decimal("2"), date(2026, 11, 9))


# Help

RESTRICTED = ("`/settings show`", "`/train`", "`/queue`", "`/forget`", "`/channel off`", "`/costs`")


async def test_help_lists_what_the_person_may_use(stage: Stage) -> None:
    async with stage.running():
        everybody = await answer(stage, "help", "robin")
        manager = await stage.use("help")
        first = await manager.answered(PATIENCE)
        for command in RESTRICTED:  # the list may take several messages
            await stage.server.until(
                lambda: command in first.content + "".join(each.content for each in manager.followups),  # noqa: B023
                PATIENCE,
                command,
            )
    assert "`/tweet` Write tweets in a persona's voice" in everybody.content
    assert not any(command in everybody.content for command in RESTRICTED)
    assert MessageFlag.EPHEMERAL in everybody.flags


# Privacy


async def test_privacy_counts_what_is_kept_about_the_asker(stage: Stage) -> None:
    async with stage.running():
        await answer(stage, "tweet", "robin")
        said = await answer(stage, "privacy", "robin")
        other = await answer(stage, "privacy")
    assert MessageFlag.EPHEMERAL in said.flags
    assert "**About you:** 1 requests, 0 votes, 0 wishes, 0 guesses." in said.content
    assert "**About you:** 0 requests" in other.content
    assert "For 90 days" in said.content and "30 days after it removed me" in said.content


async def test_who_opts_out_is_not_answered_until_they_come_back(stage: Stage) -> None:
    """Over a restart, too; what was kept about them is gone, and /privacy works all the while."""
    robin = stage.server.world.user("robin")
    async with stage.running():
        await answer(stage, "tweet", "robin")
        out = await answer(stage, "optout", "robin")
        assert MessageFlag.EPHEMERAL in out.flags
        silent = await stage.say("still there?")
        refused = await problem(await stage.use("tweet", "robin"))
        assert refused.content.startswith("You have opted out")
        privacy = await answer(stage, "privacy", "robin")
        assert "You have opted out" in privacy.content and "**About you:** 0 requests" in privacy.content
    async with stage.running():
        pressed = await stage.server.press(out, robin, "Answer me again")
        await pressed.acknowledged(PATIENCE)
        await stage.server.until(lambda: "answered again" in out.content, PATIENCE, "being taken in again")
        await stage.reply(await stage.say("and now?"))
    assert not any(message.replies_to == silent for message in stage.server.world.messages.values())


async def test_a_wish_about_an_account_is_on_the_operators_list_once_and_in_the_log(stage: Stage) -> None:
    async with stage.running():
        with capture_logs() as lines:
            for handle in ("@Crumb", "crumb"):
                said = await answer(stage, "optout", "robin", handle=handle)
        assert "Your wish that @crumb is not imitated is on the operator's list." in said.content
        for handle in ("", "no handle at all"):
            wrong = await problem(await stage.use("optout", "robin", choice="account", handle=handle or "@"))
            assert "can't be a handle" in wrong.content
    assert [line["handle"] for line in lines if "not imitated" in line["event"]] == ["crumb", "crumb"]
    [wish] = await stage.conversation.opt_outs.removal_requests()
    assert (wish.handle, wish.platform) == ("crumb", "discord")
    assert not await stage.conversation.opt_outs.has("discord", str(stage.server.world.user("robin").id))


async def test_nobody_fills_the_operators_list(stage: Stage) -> None:
    robin = str(stage.server.world.user("robin").id)
    for number in range(MOST_WISHES):
        await stage.conversation.opt_outs.request_removal(f"bird{number}", "discord", robin)
    async with stage.running():
        refused = await problem(await stage.use("optout", "robin", handle="one_more"))
    assert "wait for the operator" in refused.content
