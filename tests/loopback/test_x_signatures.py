"""OAuth 1.0a on the loopback X: every signature is verified, for every account."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import aiohttp
import pytest
from oauthlib.oauth1 import SIGNATURE_HMAC_SHA256, Client

from bot.loopback.x import LoopbackX
from tests.loopback.x_stage import NOON, Caller, Clock, Tweepy

UNAUTHORIZED = {"title": "Unauthorized", "type": "about:blank", "status": 401, "detail": "Unauthorized"}


async def test_each_account_acts_with_keys_of_its_own(x_server: LoopbackX, x_caller: Caller) -> None:
    """tweepy, with the keys of three accounts of one app, is three people."""
    names = []
    for handle in ("Mockingbird", "Nell", "Ferry"):
        client = Tweepy(x_server, x_caller.session, x_server.keys_of(handle))
        await client.create_tweet(text=f"{handle} was here", user_auth=True)
        names.append((await client.get_me(user_auth=True))["data"]["username"])
    assert names == ["Mockingbird", "Nell", "Ferry"]
    assert [x_server.timeline(name)[0].text for name in names] == [f"{name} was here" for name in names]


@pytest.mark.parametrize("wrong", ["consumer_key", "consumer_secret", "access_token", "access_token_secret"])
async def test_a_wrong_key_is_a_401_with_the_body_of_x(x_server: LoopbackX, x_caller: Caller, wrong: str) -> None:
    """Whichever of the four keys is wrong."""
    keys = replace(x_server.keys_of("Nell"), **{wrong: "wrong"})
    assert await x_caller.act("GET", "/2/users/me", keys=keys) == (401, UNAUTHORIZED)


async def test_keys_of_two_accounts_do_not_mix(x_server: LoopbackX, x_caller: Caller) -> None:
    """A token of one account with the secret of another is worth nothing."""
    mixed = replace(x_server.keys, access_token_secret=x_server.keys_of("Nell").access_token_secret)
    assert (await x_caller.act("GET", "/2/users/me", keys=mixed))[0] == 401


async def test_the_query_is_part_of_what_is_signed(x_server: LoopbackX, x_caller: Caller) -> None:
    """A parameter that was changed or added after signing is a 401."""
    url, headers = x_caller.signed("GET", "/2/users/me?user.fields=name")
    async with x_caller.session.get(url + ",protected", headers=headers) as answer:
        assert answer.status == 401
    assert (await x_caller.act("GET", "/2/users/me?user.fields=name"))[0] == 200


async def test_the_method_is_part_of_what_is_signed(x_server: LoopbackX, x_caller: Caller) -> None:
    """A signature for reading does not delete."""
    post = x_server.post_as("Mockingbird", "stays")
    url, headers = x_caller.signed("GET", f"/2/tweets/{post.id}")
    async with x_caller.session.delete(url, headers=headers) as answer:
        assert answer.status == 401
    assert not x_server.is_gone(post.id)


async def test_another_signature_method_is_refused(x_server: LoopbackX, x_caller: Caller) -> None:
    """X takes HMAC-SHA1 alone."""
    keys = x_server.keys
    client = Client(
        keys.consumer_key,
        keys.consumer_secret,
        keys.access_token,
        keys.access_token_secret,
        signature_method=SIGNATURE_HMAC_SHA256,
    )
    url, headers, _ = client.sign(x_server.api_base + "/2/users/me")
    async with x_caller.session.get(url, headers=headers) as answer:
        assert answer.status == 401


@pytest.mark.parametrize(("minutes", "status"), [(-6, 401), (-4, 200), (4, 200), (6, 401)])
async def test_a_timestamp_is_held_against_the_clock_of_signatures(x_clock: Clock, minutes: int, status: int) -> None:
    """Five minutes to either side are accepted, whatever this machine's own clock says."""
    async with LoopbackX(["ada"], clock=x_clock, signing_clock=x_clock) as x, aiohttp.ClientSession() as session:
        url, headers = Caller(x, session).signed("GET", "/2/users/me", at=NOON + timedelta(minutes=minutes))
        async with session.get(url, headers=headers) as answer:
            assert answer.status == status


async def test_keys_that_were_withdrawn_are_refused(x_server: LoopbackX, x_caller: Caller) -> None:
    """Of that account, and of nobody else."""
    keys = x_server.keys_of("Nell")
    x_server.withdraw("Nell")
    assert (await x_caller.act("GET", "/2/users/me", keys=keys))[0] == 401
    assert (await x_caller.act("GET", "/2/users/me"))[0] == 200


async def test_an_account_has_other_keys_in_another_app(x_server: LoopbackX, x_caller: Caller) -> None:
    """Two apps act for one account, each with its own consumer key and bearer token."""
    other = x_server.add_app("Nell")
    keys = x_server.keys_of("Nell", other)
    assert (await x_caller.act("GET", "/2/users/me", keys=keys))[1]["data"]["username"] == "Nell"
    assert (await x_caller.read("/2/users/by/username/ada", token=other.bearer_token))[0] == 200
    assert {keys.consumer_key, keys.access_token}.isdisjoint({x_server.keys_of("Nell").consumer_key})


async def test_each_account_has_a_window_of_its_own(x_clock: Clock) -> None:
    """What one account has used up is still there for another."""
    limits = {"POST /2/tweets": 1}
    async with LoopbackX(["ada", "bea"], clock=x_clock, limits=limits) as x, aiohttp.ClientSession() as session:
        statuses = []
        for handle, text in (("ada", "one"), ("ada", "two"), ("bea", "three")):
            keys = x.keys_of(handle)
            statuses.append((await Caller(x, session).act("POST", "/2/tweets", {"text": text}, keys))[0])
        assert statuses == [201, 429, 201]
