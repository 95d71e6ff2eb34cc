"""The filtered stream of the loopback X: rules, deliveries, heartbeats, and how a connection ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from bot.loopback.x import LoopbackX
from tests.loopback.x_stage import Caller, Clock

RULES = "/2/tweets/search/stream/rules"
STREAM = "/2/tweets/search/stream"
PATIENCE_S = 10.0  # to wait for what should come at once


class Listener:
    """An open stream, read line by line."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.status = answer.status
        self._answer = answer

    async def line(self) -> bytes:
        """The next line; empty at the end."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._answer.content.readline()

    async def post(self) -> Any:
        """The next post; heartbeats are passed over."""
        while not (line := await self.line()).strip():
            assert line, "the stream has ended"
        return json.loads(line)


@asynccontextmanager
async def listening(x: LoopbackX, caller: Caller, **query: str) -> AsyncIterator[Listener]:
    headers = {"Authorization": f"Bearer {x.keys.bearer_token}"}
    async with caller.session.get(x.api_base + STREAM, params=query, headers=headers) as answer:
        yield Listener(answer)


async def follow(caller: Caller, *values: str) -> list[str]:
    """Add rules; their ids."""
    status, document = await caller.write(RULES, {"add": [{"value": value, "tag": value} for value in values]})
    assert status == 201, document
    return [rule["id"] for rule in document["data"]]


async def test_a_mention_is_delivered_when_it_is_made(x_server: LoopbackX, x_caller: Caller) -> None:
    """With the rule that it matches and what the expansions ask for; what matches nothing is not."""
    [rule] = await follow(x_caller, "@Mockingbird")
    async with listening(x_server, x_caller, **{"expansions": "author_id", "tweet.fields": "author_id"}) as stream:
        x_server.post_as("ada", "a quiet day")
        post = x_server.post_as("ada", "@mockingbird sing")
        delivered = await stream.post()
    assert delivered["data"]["id"] == post.id
    assert delivered["matching_rules"] == [{"id": rule, "tag": "@Mockingbird"}]
    assert delivered["includes"]["users"][0]["username"] == "ada"


async def test_an_answer_to_the_account_is_a_mention(x_server: LoopbackX, x_caller: Caller) -> None:
    """Although the handle isn't in its text."""
    own = x_server.post_as("Mockingbird", "the lamp is lit")
    await follow(x_caller, "@Mockingbird -is:retweet")
    async with listening(x_server, x_caller) as stream:
        answer = x_server.post_as("ada", "beautiful", reply_to=own.id)
        assert (await stream.post())["data"]["id"] == answer.id


@pytest.mark.parametrize(
    ("value", "matched"),
    [
        ("from:ada", ["plain", "reply", "call"]),
        ("to:Mockingbird", ["reply"]),
        ("is:reply", ["reply"]),
        ('"quiet day" OR #lamp', ["plain", "tag"]),
        ("@Mockingbird -is:reply", ["call"]),
        ("day -quiet", ["call"]),
    ],
)
async def test_a_rule_names_what_it_looks_for(
    x_server: LoopbackX, x_caller: Caller, value: str, matched: list[str]
) -> None:
    """Words side by side all have to hold, OR takes either, a minus excludes."""
    own = x_server.post_as("Mockingbird", "begin")
    await follow(x_caller, value, "end of the test")
    async with listening(x_server, x_caller) as stream:
        names = {
            x_server.post_as("ada", "a quiet day").id: "plain",
            x_server.post_as("ada", "beautiful", reply_to=own.id).id: "reply",
            x_server.post_as("ada", "@Mockingbird what a day").id: "call",
            x_server.post_as("Nell", "lit #lamp").id: "tag",
            x_server.post_as("Nell", "the end of the test").id: "end",
        }
        delivered: list[str] = []
        while not delivered or delivered[-1] != "end":
            delivered.append(names[(await stream.post())["data"]["id"]])
    assert delivered[:-1] == matched


async def test_rules_are_listed_and_deleted(x_caller: Caller) -> None:
    """By id or by value; the same rule twice and nonsense are refused by name."""
    first, _ = await follow(x_caller, "@Mockingbird", "@Nell")
    _, refused = await x_caller.write(RULES, {"add": [{"value": "@Nell"}, {"value": "-@Nell"}]})
    assert [error["title"] for error in refused["errors"]] == ["DuplicateRule", "UnprocessableEntity"]
    assert refused["meta"]["summary"] == {"created": 0, "not_created": 2, "valid": 1, "invalid": 1}
    _, deleted = await x_caller.write(RULES, {"delete": {"ids": [first]}})
    assert deleted["meta"]["summary"] == {"deleted": 1, "not_deleted": 0}
    _, left = await x_caller.read(RULES)
    assert [rule["value"] for rule in left["data"]] == ["@Nell"]
    await x_caller.write(RULES, {"delete": {"values": ["@Nell"]}})
    assert "data" not in (await x_caller.read(RULES))[1]


async def test_a_dry_run_adds_no_rule(x_caller: Caller) -> None:
    """It only says what would be."""
    _, tried = await x_caller.write(f"{RULES}?dry_run=true", {"add": [{"value": "@Mockingbird"}]})
    assert tried["meta"]["summary"]["created"] == 1
    assert "data" not in (await x_caller.read(RULES))[1]


async def test_a_post_may_be_delivered_twice(x_server: LoopbackX, x_caller: Caller) -> None:
    """And is on the bill once."""
    await follow(x_caller, "@Mockingbird")
    async with listening(x_server, x_caller) as stream:
        post = x_server.post_as("ada", "@Mockingbird sing")
        x_server.redeliver(post.id)
        assert [(await stream.post())["data"]["id"] for _ in range(2)] == [post.id, post.id]
    assert x_server.bill() == Decimal("0.005")


async def test_an_empty_line_comes_when_nothing_happens(x_clock: Clock) -> None:
    """So that a client can tell a quiet stream from a dead one."""
    async with LoopbackX(["ada"], clock=x_clock, heartbeat_s=0.01) as x, aiohttp.ClientSession() as session:
        caller = Caller(x, session)
        await follow(caller, "@ada")
        async with listening(x, caller) as stream:
            assert [await stream.line() for _ in range(2)] == [b"\r\n", b"\r\n"]


async def test_x_ends_a_stream_when_it_likes(x_server: LoopbackX, x_caller: Caller) -> None:
    """What happens until the next connection is not delivered later."""
    await follow(x_caller, "@Mockingbird")
    async with listening(x_server, x_caller) as stream:
        x_server.drop_streams()
        assert await stream.line() == b""
    x_server.post_as("ada", "@Mockingbird missed")
    async with listening(x_server, x_caller) as stream:
        x_server.post_as("ada", "@Mockingbird heard")
        assert (await stream.post())["data"]["text"].endswith("heard")


async def test_a_client_that_has_gone_may_come_back_at_once(x_server: LoopbackX, x_caller: Caller) -> None:
    """Nothing is delivered or charged to a connection that nobody listens to any more."""
    await follow(x_caller, "@Mockingbird")
    async with listening(x_server, x_caller):
        async with asyncio.timeout(PATIENCE_S):
            await x_server.wait_until(lambda: x_server.streams == 1)
    for _ in range(100):  # turns of the event loop, in which the end of a socket is noticed
        await asyncio.sleep(0)
    assert x_server.streams == 0
    x_server.post_as("ada", "@Mockingbird missed")
    assert x_server.bill() == 0
    async with listening(x_server, x_caller) as stream:
        x_server.post_as("ada", "@Mockingbird heard")
        assert (await stream.post())["data"]["text"].endswith("heard")


async def test_a_stream_may_break(x_server: LoopbackX, x_caller: Caller) -> None:
    """The client hears of it as of any broken connection."""
    await follow(x_caller, "@Mockingbird")
    async with listening(x_server, x_caller) as stream:
        x_server.drop_streams(cut=True)
        with pytest.raises(aiohttp.ClientError):
            await stream.line()


async def test_an_app_has_one_stream(x_server: LoopbackX, x_caller: Caller) -> None:
    """A second connection is a 429 that says so; another app has its own."""
    other = x_server.add_app("Nell")
    await follow(x_caller, "@Mockingbird")
    await x_caller.write(RULES, {"add": [{"value": "@Nell"}]}, other.bearer_token)
    async with listening(x_server, x_caller) as first:
        status, refused = await x_caller.read(STREAM)
        headers = {"Authorization": f"Bearer {other.bearer_token}"}
        async with x_caller.session.get(x_server.api_base + STREAM, headers=headers) as answer:
            assert (first.status, x_server.streams) == (200, 2)
        assert answer.status == 200
    assert (status, refused["connection_issue"]) == (429, "TooManyConnections")


async def test_a_stream_needs_a_rule(x_caller: Caller) -> None:
    """Without any, X says that there is nothing to listen for."""
    status, refused = await x_caller.read(STREAM)
    assert (status, refused["connection_issue"]) == (409, "RuleConfigurationIssue")


async def test_an_app_without_access_gets_a_403(x_server: LoopbackX, x_caller: Caller) -> None:
    """For the stream and for its rules."""
    poor = x_server.add_app("Nell", may_stream=False)
    for path in (STREAM, RULES):
        status, refused = await x_caller.read(path, poor.bearer_token)
        assert (status, refused["reason"]) == (403, "client-not-enrolled")
    assert (await x_caller.act("GET", STREAM))[0] == 403
