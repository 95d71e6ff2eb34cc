"""Mentions on the command line: what became of them, without anybody's words; and what doctor says beforehand."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from bot.config import Config, X, XAccount
from bot.database import Database
from bot.doctor import Grade, connections, examine
from bot.replies.mentions import Mentions
from bot.replies.opt_outs import OptOuts
from bot.tweets.x_mentions import Mention
from tests.processes import mockingbird, write_config

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
FIRST = "212741145403745894"  # how ids of X begin


def now() -> datetime:
    return NOON


async def test_mentions_are_shown_with_state_reason_and_numbers(tmp_path: Path) -> None:
    config = write_config(tmp_path, {})
    shown = await mockingbird(config, "mentions")
    assert (shown.code, "Nobody has mentioned" in shown.out) == (0, True)
    async with Database(tmp_path / "data" / "mockingbird.db") as database:
        mentions = Mentions(database, OptOuts(database, now), "main", now)
        await mentions.record([Mention(FIRST + str(n), "7", "1", f"hello {n}", NOON) for n in (1, 2)], "5", ())
        await mentions.leave(FIRST + "2", "it does not call the account")
    document = json.loads((await mockingbird(config, "mentions", "--json")).out)
    states = {"waiting": 1, "left alone": 1, "left alone: it does not call the account": 1}
    assert document["accounts"] == {"main": states}
    assert [each["state"] for each in document["mentions"]] == ["left alone", "waiting"]
    assert set(document["mentions"][0]) == {"account", "id", "seen_at", "state", "wants", "reason", "reply_id"}
    shown = await mockingbird(config, "mentions")
    assert FIRST + "1" in shown.out
    assert "main: 1 left alone; 1 waiting. Left alone: 1 it does not call" in " ".join(shown.out.split())
    assert "hello" not in shown.out


async def test_doctor_names_the_keys_that_an_account_has_not() -> None:
    keys = {"X_CONSUMER_KEY": "a", "X_CONSUMER_SECRET": "b", "X_ACCESS_TOKEN": "101-c", "X_ACCESS_TOKEN_SECRET": "d"}
    main, second = await connections(Config(x=X(enabled=True, accounts={"second": XAccount()})), None, keys)
    assert (main.grade, "with the id 101" in main.text) == (Grade.OK, True)
    assert second.text.startswith("No posting: access_token_env, access_token_secret_env not set.")


def test_doctor_says_why_mentions_are_not_answered_and_what_x_wants_first() -> None:
    def finding(**settings: object) -> tuple[Grade, str]:
        config = Config(x=X.model_validate({"enabled": True, **settings}))
        [found] = [each for each in examine(config, {}) if each.about == "[x] reply_to_mentions"]
        return found.grade, found.text

    grade, text = finding()
    assert (grade, "approve generated replies" in text) == (Grade.NOTE, True)
    grade, text = finding(reply_to_mentions=True, persona="nell")
    assert (grade, "approved that beforehand" in text) == (Grade.NOTE, True)
    assert "main is paused; after that it answers" in finding(reply_to_mentions=True, persona="nell", paused=True)[1]
    assert finding(reply_to_mentions=True)[0] is Grade.WRONG
