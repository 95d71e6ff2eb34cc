"""`mockingbird fetch` and `mockingbird costs` as processes, X over real sockets: the price first, then the call."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from bot.app.rooms import open_rooms
from bot.config import Config, Paths, X
from bot.doctor import Grade, examine
from bot.loopback.x import LoopbackX, XAccount, XRefusal
from bot.tweets.tweet import Source, Tweet
from tests.processes import LONGEST_S, Outcome, environment, mockingbird, write_config
from tests.tweets.desk import TIMELINE, contracts


@pytest.fixture
async def x() -> AsyncIterator[LoopbackX]:
    """X with an account of 250 posts."""
    async with LoopbackX([XAccount("Mockingbird"), XAccount("Ada")], contracts()[0]) as x:
        for number in range(250):
            at = datetime.now(UTC) - timedelta(minutes=250 - number)
            x.post_as("Ada", f"wave number {number} came in today", created_at=at)
        yield x
    assert x.violations == []


def config_at(folder: Path, x: LoopbackX, **settings: object) -> Path:
    keys = {"enabled": True, "api_base": x.api_base, "i_have_permission_to_train": True, **settings}
    return write_config(folder, {"x": keys})


async def run(config: Path, x: LoopbackX, *arguments: str) -> Outcome:
    return await mockingbird(config, *arguments, extra={"X_BEARER_TOKEN": x.keys.bearer_token})


async def at_a_terminal(config: Path, x: LoopbackX, answers: str, *arguments: str) -> Outcome:
    """Run one command with a person at the keyboard."""
    ours, theirs = pty.openpty()
    try:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot", "--config", str(config), *arguments),
            stdin=theirs,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment({"X_BEARER_TOKEN": x.keys.bearer_token}),
        )
        os.write(ours, answers.encode())
        async with asyncio.timeout(LONGEST_S):
            out, err = await child.communicate()
    finally:
        os.close(ours)
        os.close(theirs)
    return Outcome(child.returncode or 0, out.decode(), err.decode())


def words(text: str) -> str:
    return " ".join(text.split())


async def test_without_a_terminal_and_a_yes_it_says_the_price_and_buys_nothing(tmp_path: Path, x: LoopbackX) -> None:
    outcome = await run(config_at(tmp_path, x), x, "fetch", "ada")
    assert outcome.code == 2
    said = words(outcome.err)
    assert "@ada: looking it up costs $0.01. This month $0.00 of $20.00 are spent." in said
    assert "Nothing was bought: there is no terminal to ask on. Say --yes to agree to the cost." in said
    assert x.requests == []


async def test_at_a_terminal_each_step_is_asked_for(tmp_path: Path, x: LoopbackX) -> None:
    config = config_at(tmp_path, x)
    refused = await at_a_terminal(config, x, "y\nn\n", "fetch", "ada")
    said = words(refused.err)
    assert refused.code == 130
    assert "Look it up?" in said and "Fetch them?" in said
    assert "@ada: about 250 posts, $1.25 (prices: $0.005 a post, $0.001 where it is the keys' own)." in said
    assert "This month $0.01 of $20.00 are spent." in said
    assert x.bill() == Decimal("0.010")
    agreed = await at_a_terminal(config, x, "y\n", "fetch", "ada")
    assert (agreed.code, "Look it up?" in agreed.err) == (0, False)
    assert "@ada: 250 new tweets. It has cost $1.26 this month, X as a whole $1.26 of $20.00." in words(agreed.err)
    assert x.bill() == Decimal("1.260")


async def test_an_interrupted_fetch_and_the_one_that_goes_on_show_the_true_sum(tmp_path: Path, x: LoopbackX) -> None:
    config = config_at(tmp_path, x, monthly_budget_usd=1.2)
    stopped = await run(config, x, "fetch", "ada", "--yes")
    assert stopped.code == 2
    assert "@ada: 200 new tweets. It has cost $1.01 this month, X as a whole $1.01 of $1.20." in words(stopped.err)
    assert "Reading the next page of @ada may cost $0.50" in words(stopped.err)
    config = config_at(tmp_path, x)
    again = await run(config, x, "fetch", "ada", "--yes", "--json")
    (account,) = json.loads(again.out)["accounts"]
    assert (account["new"], account["usd"], account["month_usd"]) == (50, "0.250", "1.260")
    assert x.bill() == Decimal("1.260")


async def test_costs_are_shown_by_purpose_and_account_with_what_is_left(tmp_path: Path, x: LoopbackX) -> None:
    config = config_at(tmp_path, x)
    empty = json.loads((await run(config, x, "costs", "--json")).out)
    assert (empty["lines"], empty["spent"], empty["left"], empty["months"]) == ([], "0", "20.00", [])
    await run(config, x, "fetch", "ada", "--yes")
    x.fail_next(TIMELINE, XRefusal.ANSWER_LOST)
    lost = await run(config, x, "fetch", "ada", "--yes")
    assert lost.code == 3
    document = json.loads((await run(config, x, "costs", "--json")).out)
    month = f"{datetime.now(UTC):%Y-%m}"
    assert document["month"] == month
    assert [(line["purpose"], line["about"], line["calls"], line["usd"]) for line in document["lines"]] == [
        ("fetch", "ada", 4, "1.750"),
        ("look up", "ada", 1, "0.010"),
    ]
    assert document["by_purpose"] == {"fetch": "1.750", "look up": "0.010"}
    assert document["by_account"] == {"ada": "1.760"}
    assert (document["unanswered"], document["under_way"], document["left"]) == ("0.500", "0", "18.240")
    assert document["months"] == [{"month": month, "usd": "1.760"}]
    shown = words((await run(config, x, "costs")).out)
    assert f"{month}: $1.76 spent of the cap of $20.00; $18.24 are left." in shown
    assert "Of what is spent, $0.50 are for calls that ended without an answer" in shown
    before = words((await run(config, x, "costs", "--month", "2026-01")).out)
    assert before.startswith("2026-01: $0.00 spent.")
    assert f"Other months: {month} $1.76." in before
    assert (await run(config, x, "costs", "--month", "January")).code == 2


@pytest.mark.slow
async def test_doctor_says_what_the_month_has_cost_and_when_the_cap_will_not_last(tmp_path: Path, x: LoopbackX) -> None:
    config = config_at(tmp_path, x)
    await run(config, x, "fetch", "ada", "--yes")
    lasting = await run(config, x, "doctor", "--json")
    found = {finding["about"]: finding for finding in json.loads(lasting.out)["findings"]}
    assert found["[x] monthly_budget_usd"]["text"] == "$1.26 of this month's cap of $20.00 are spent; the rest lasts."
    assert "ok [x] monthly_budget_usd $1.26 of this month's cap" in words((await run(config, x, "doctor")).out)
    config = config_at(tmp_path, x, monthly_budget_usd=1.26)
    short = await run(config, x, "doctor", "--json")
    found = {finding["about"]: finding for finding in json.loads(short.out)["findings"]}
    assert found["[x] monthly_budget_usd"]["grade"] == "note"
    assert "At about $0.06 a day nothing is left on" in found["[x] monthly_budget_usd"]["text"]


@pytest.mark.slow
async def test_accounts_are_listed_with_how_often_each_is_fetched_and_what_that_costs(
    tmp_path: Path, x: LoopbackX
) -> None:
    config = config_at(tmp_path, x)
    await run(config, x, "fetch", "ada", "--yes")
    [ada] = json.loads((await run(config, x, "accounts", "--json")).out)["accounts"]
    assert (ada["handle"], ada["standing"], ada["fetched_every_hours"] >= 6) == ("ada", "", True)
    assert ada["next_fetch_at"] is not None
    shown = words((await run(config, x, "accounts")).out)
    assert "@ada: About" in shown and "a month." in shown
    assert "the month will end at about" in words((await run(config, x, "costs")).out)


@pytest.mark.parametrize(
    ("chosen", "is_noted"),
    [
        ({}, False),
        ({"check_interval_hours": 24.0}, False),
        ({"check_interval_hours": 25.0}, True),
        ({"check_interval_hours": 0.0}, True),
        ({"check_posts": "off"}, True),
        ({"check_posts": "off", "i_have_permission_to_train": False}, False),  # nothing is fetched
    ],
    ids=str,
)
def test_doctor_notes_checks_that_leave_deleted_posts_here_for_longer_than_a_day(
    chosen: dict[str, object], is_noted: bool
) -> None:
    settings = X.model_validate({"enabled": True, "i_have_permission_to_train": True, **chosen})
    found = [each for each in examine(Config(x=settings), {}) if each.about == "[x] check_interval_hours"]
    assert [each.grade for each in found] == [Grade.NOTE] * is_noted


@pytest.mark.parametrize("by", ["keys", "login"])
async def test_the_forecast_knows_which_account_is_the_keys_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """It is read at a fifth of the price."""
    settings = X(enabled=True, i_have_permission_to_train=True)
    config = Config(paths=Paths(data=tmp_path / "data", models=tmp_path / "models"), x=settings)
    at = datetime.now(UTC)
    async with open_rooms(config) as rooms:
        tweets = [Tweet("ada", f"wave {n} rolls in", f"{n}", at, False, None, Source.X_API) for n in range(30)]
        await rooms.store.add("ada", tweets)
        async with rooms.database.transaction() as transaction:
            await transaction.run("UPDATE accounts SET platform_id = '17'")
        [plan] = await rooms.forecast.plans()
        assert plan.usd_a_month == Decimal("0.15")
        if by == "keys":
            for name in ("CONSUMER_KEY", "CONSUMER_SECRET", "ACCESS_TOKEN_SECRET"):
                monkeypatch.setenv(f"X_{name}", "a")
            monkeypatch.setenv("X_ACCESS_TOKEN", "17-a")
        else:
            async with rooms.database.transaction() as transaction:
                insert = "INSERT INTO x_tokens VALUES ('main', '17', 'Ada', 'sealed', '', ?, 0, ?)"
                await transaction.run(insert, (at.isoformat(), at.isoformat()))
        [plan] = await rooms.forecast.plans()
        assert plan.usd_a_month == Decimal("0.03")
