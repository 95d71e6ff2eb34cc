"""What a test can let go wrong on the loopback X: any answer at all, a lost one, a late one."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from bot.errors import XRateLimited, XUnreachable
from bot.loopback.x import LoopbackX, Moment, XRefusal
from bot.tweets.x_api import XClient
from bot.tweets.x_requests import XKeys
from tests.loopback.x_stage import Caller, recorded

POST = "POST /2/tweets"
ME = "GET /2/users/me"
ERRORS = recorded("errors_reported/*.json")


@pytest.mark.skipif(not ERRORS, reason="the recorded answers are not at hand: set MOCKINGBIRD_TEST_TWEETS")
async def test_any_recorded_error_is_answered_as_it_was(x_server: LoopbackX, x_caller: Caller) -> None:
    """Status and body, for the next request alone."""
    for error in ERRORS:
        x_server.answer_next(ME, error["status"], error["body"])
        assert await x_caller.act("GET", "/2/users/me") == (error["status"], error["body"])
    assert (await x_caller.act("GET", "/2/users/me"))[0] == 200


@pytest.mark.skipif(not ERRORS, reason="the recorded answers are not at hand: set MOCKINGBIRD_TEST_TWEETS")
async def test_planned_refusals_say_what_was_recorded(x_server: LoopbackX, x_caller: Caller) -> None:
    """Word for word, where a refusal of ours has a recorded twin; ids of apps are their own."""
    twins = {401: XRefusal.UNAUTHORIZED, 402: XRefusal.CREDITS_DEPLETED, 429: XRefusal.WINDOW}
    twins[403] = XRefusal.CLIENT_NOT_ENROLLED
    for error in ERRORS:
        if error["status"] not in twins:
            continue
        x_server.fail_next(ME, twins[error["status"]])
        _, body = await x_caller.act("GET", "/2/users/me")
        assert {**body, "client_id": ""} == {**error["body"], "client_id": ""}


async def test_a_web_page_is_answered_where_json_was_expected(x_server: LoopbackX, x_caller: Caller) -> None:
    """With any status."""
    for status in (200, 403, 502):
        x_server.answer_next(ME, status, "<html>Sign in</html>")
        url, headers = x_caller.signed("GET", "/2/users/me")
        async with x_caller.session.get(url, headers=headers) as answer:
            assert (answer.status, answer.content_type) == (status, "text/html")
            assert await answer.text() == "<html>Sign in</html>"


async def test_headers_of_a_planned_answer_are_the_tests_own(x_server: LoopbackX, x_caller: Caller) -> None:
    """A window that ends when the test says."""
    headers = {"x-rate-limit-limit": "100", "x-rate-limit-remaining": "0", "x-rate-limit-reset": "1772367000"}
    x_server.answer_next(POST, 429, {"title": "Too Many Requests"}, headers)
    assert (await x_caller.post("hello"))[0] == 429
    assert {name: x_caller.headers[name] for name in headers} == headers


async def test_a_used_up_window_says_when_it_ends_and_a_cap_does_not(x_server: LoopbackX) -> None:
    """The project's client tells both kinds of 429 apart."""
    ends: list[Any] = []
    for refusal in (XRefusal.WINDOW, XRefusal.DAILY_CAP, XRefusal.MONTHLY_CAP):
        x_server.fail_next(POST, refusal)
        async with XClient(_keys(x_server), x_server.api_base) as client:
            with pytest.raises(XRateLimited) as caught:
                await client.post("hello")
        ends.append(caught.value.resets_at is not None)
    assert ends == [True, False, False]
    assert x_server.timeline("Mockingbird") == ()


@pytest.mark.parametrize(("moment", "posted"), [(Moment.BEFORE, []), (Moment.AFTER, ["hello?"])])
async def test_a_connection_breaks_before_or_after_the_post_took_effect(
    x_server: LoopbackX, moment: Moment, posted: list[str]
) -> None:
    """The client can't tell; the bill and the timeline can."""
    x_server.cut_next(POST, moment)
    async with XClient(_keys(x_server), x_server.api_base) as client:
        with pytest.raises(XUnreachable) as caught:
            await client.post("hello?")
    assert caught.value.outcome_unknown
    assert [post.text for post in x_server.timeline("Mockingbird")] == posted
    assert len(x_server.charges) == len(posted)


async def test_an_answer_comes_late_although_the_post_took_effect(x_server: LoopbackX) -> None:
    """A client that waits no longer than so and so has posted all the same."""
    hold = x_server.hold_next(POST, Moment.AFTER)
    async with XClient(_keys(x_server), x_server.api_base, timeout_s=0.1) as client:
        with pytest.raises(XUnreachable):
            await client.post("hello?")
    hold.release.set()
    assert [post.text for post in x_server.timeline("Mockingbird")] == ["hello?"]


async def test_a_slow_answer_is_an_answer(x_server: LoopbackX, x_caller: Caller) -> None:
    """It arrives by itself."""
    hold = x_server.slow_next(POST, seconds=0.01)
    async with asyncio.timeout(10):
        assert (await x_caller.post("hello"))[0] == 201
    assert hold.arrived.is_set()


async def test_a_route_that_is_not_played_can_not_be_planned_for(x_server: LoopbackX) -> None:
    """So that no plan is in vain."""
    for plan in (
        lambda: x_server.fail_next("GET /2/nothing", XRefusal.WINDOW),
        lambda: x_server.answer_next("GET /2/nothing", 500, {}),
        lambda: x_server.cut_next("GET /2/nothing", Moment.AFTER),
        lambda: x_server.slow_next("GET /2/nothing", 1.0),
    ):
        with pytest.raises(LookupError):
            plan()


async def test_a_plan_of_one_route_leaves_the_others_alone(x_server: LoopbackX, x_caller: Caller) -> None:
    """Reading goes on while posting fails."""
    x_server.fail_next(POST, XRefusal.INTERNAL_ERROR, times=2)
    statuses = [(await x_caller.post(f"try {n}"))[0] for n in range(3)]
    assert statuses == [500, 500, 201]
    assert (await x_caller.act("GET", "/2/users/me"))[0] == 200


async def test_a_plan_to_cut_a_read_is_made_twice(x_server: LoopbackX, x_caller: Caller) -> None:
    """aiohttp asks once more by itself when a read breaks."""
    x_server.cut_next(ME, Moment.BEFORE, times=2)
    with pytest.raises(aiohttp.ClientError):
        await x_caller.act("GET", "/2/users/me")
    assert (await x_caller.act("GET", "/2/users/me"))[0] == 200


async def test_plans_can_be_forgotten(x_server: LoopbackX, x_caller: Caller) -> None:
    """What was to fail for long is over when the test says so."""
    x_server.fail_next(POST, XRefusal.CREDITS_DEPLETED, times=100)
    assert (await x_caller.post("hello"))[0] == 402
    x_server.forget_plans()
    assert (await x_caller.post("hello"))[0] == 201


def _keys(x: LoopbackX) -> XKeys:
    keys = x.keys
    return XKeys(
        keys.bearer_token, keys.consumer_key, keys.consumer_secret, keys.access_token, keys.access_token_secret
    )
