"""The real tweepy client against X played on this machine, over real sockets."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.client_reqrep import ConnectionKey

from bot.config import Prices
from bot.errors import (
    ConfigError,
    MockingbirdError,
    UnknownHandle,
    XAccountUnavailable,
    XCreditsDepleted,
    XError,
    XKeysRefused,
    XPostRefused,
    XRateLimited,
    XUnreachable,
)
from bot.loopback.openapi import OpenAPIContract
from bot.loopback.x import LoopbackX, XAccount, XRefusal
from bot.tweets.tweet import Source, Tweet
from bot.tweets.x_api import XClient
from bot.tweets.x_bodies import TimelinePage, XUser, fetch_cost, read_page
from bot.tweets.x_refusals import Answer, broken_connection, refusal
from bot.tweets.x_requests import XKeys
from tests.tweets.desk import contracts, keys_of
from tests.tweets.desk import recorded as document

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TIMELINE = "GET /2/users/:id/tweets"
POST = "POST /2/tweets"
PRICES = Prices()


@pytest.fixture(scope="module")
def contract() -> Iterator[OpenAPIContract | None]:
    yield contracts()[0]


@pytest.fixture
async def x(contract: OpenAPIContract | None) -> AsyncIterator[LoopbackX]:
    """X with four accounts; whatever a test does must be allowed by X's own document."""
    accounts = [XAccount("Mockingbird"), XAccount("Ada"), XAccount("recluse", protected=True)]
    accounts.append(XAccount("rogue", suspended=True))
    async with LoopbackX(accounts, contract, contracts()[1], clock=lambda: NOON) as x:
        yield x
    assert x.violations == []


@pytest.fixture
async def client(x: LoopbackX) -> AsyncIterator[XClient]:
    async with XClient(keys_of(x), x.api_base) as client:
        yield client


async def everything(client: XClient, user: XUser, since_id: str | None = None) -> list[TimelinePage]:
    pages: list[TimelinePage] = []
    while not pages or pages[-1].next_token:
        token = pages[-1].next_token if pages else None
        pages.append(await client.timeline_page(user.id, handle=user.handle, since_id=since_id, pagination_token=token))
    return pages


def fill(x: LoopbackX, handle: str, count: int) -> list[str]:
    start = NOON - timedelta(minutes=count + 1)
    return [x.post_as(handle, f"number {n}", created_at=start + timedelta(minutes=n)).id for n in range(count)]


# Reading


async def test_a_user_is_found_by_handle(x: LoopbackX, client: XClient) -> None:
    fill(x, "Ada", 2)
    user = await client.user(" @ADA")
    assert user == XUser(id=x.account("ada").id, handle="Ada", name="Ada", protected=False, tweet_count=2)
    assert x.bill() == PRICES.user_read


async def test_a_protected_account_is_found_and_says_so(client: XClient) -> None:
    assert (await client.user("recluse")).protected


async def test_me_is_the_account_that_posts(client: XClient) -> None:
    assert (await client.me()).handle == "Mockingbird"


async def test_a_timeline_is_read_to_its_end(x: LoopbackX, client: XClient) -> None:
    oldest_first = fill(x, "Ada", 250)
    pages = await everything(client, await client.user("Ada"))
    tweets = [tweet for page in pages for tweet in page.tweets]
    assert [len(page.tweets) for page in pages] == [100, 100, 50]
    assert [tweet.id for tweet in tweets] == oldest_first[::-1]
    assert tweets[0] == Tweet(
        handle="ada",
        text="number 249",
        id=oldest_first[-1],
        created_at=NOON - timedelta(minutes=2),
        is_retweet=False,
        reply_to=None,
        source=Source.X_API,
    )


async def test_only_what_is_new_is_read_and_paid_for(x: LoopbackX, client: XClient) -> None:
    newest = fill(x, "Ada", 5)[-1]
    user = await client.user("Ada")
    [nothing] = await everything(client, user, since_id=newest)
    later = x.post_as("Ada", "and another", created_at=NOON)
    [page] = await everything(client, user, since_id=newest)
    assert (nothing.tweets, nothing.newest_id, nothing.reads) == ((), None, 0)
    assert ([tweet.text for tweet in page.tweets], page.newest_id) == (["and another"], later.id)
    assert x.bill() == PRICES.user_read + PRICES.post_read


async def test_an_empty_page_is_not_the_end(x: LoopbackX, client: XClient) -> None:
    oldest_first = fill(x, "Ada", 120)
    for post_id in oldest_first[20:]:
        x.delete(post_id)
    pages = await everything(client, await client.user("Ada"))
    assert [len(page.tweets) for page in pages] == [0, 20]


async def test_a_retweet_is_whole_and_keeps_its_prefix(x: LoopbackX, client: XClient) -> None:
    long = "What the lamp sees & the sea forgets; " * 6
    original = x.post_as("Ada", long, created_at=NOON)
    x.post_as("Mockingbird", "", retweets=original.id, created_at=NOON)
    page = await client.timeline_page(x.account("Mockingbird").id, handle="Mockingbird")
    assert [(t.text, t.is_retweet, t.reply_to) for t in page.tweets] == [
        ("RT @Ada: " + long.replace("&", "&amp;"), True, None)
    ]


async def test_a_retweet_without_its_original_stays_cut_off(x: LoopbackX, client: XClient) -> None:
    original = x.post_as("Ada", "word " * 40, created_at=NOON)
    x.post_as("Mockingbird", "", retweets=original.id, created_at=NOON)
    page = await client.timeline_page(x.account("Mockingbird").id, handle="Mockingbird", whole_retweets=False)
    x.delete(original.id)
    gone = await client.timeline_page(x.account("Mockingbird").id, handle="Mockingbird")
    assert page.tweets == gone.tweets
    assert page.tweets[0].text.endswith("…")
    assert x.bill() == PRICES.owned_read


async def test_an_answer_names_what_it_answers(x: LoopbackX, client: XClient) -> None:
    asked = x.post_as("Mockingbird", "who is there?", created_at=NOON)
    x.post_as("Ada", "me", reply_to=asked.id, created_at=NOON)
    page = await client.timeline_page(x.account("Ada").id, handle="Ada")
    assert [(tweet.reply_to, tweet.is_retweet) for tweet in page.tweets] == [(asked.id, False)]


async def test_an_edited_post_names_the_versions_that_it_replaces(x: LoopbackX, client: XClient) -> None:
    first = x.post_as("Ada", "teh sea", created_at=NOON)
    second = x.edit(first.id, "the sea", created_at=NOON + timedelta(minutes=1))
    page = await client.timeline_page(x.account("Ada").id, handle="Ada", since_id=first.id)
    assert [(tweet.id, tweet.text) for tweet in page.tweets] == [(second.id, "the sea")]
    assert page.superseded == {first.id}


async def test_a_long_post_is_read_whole(x: LoopbackX, client: XClient) -> None:
    x.post_as("Ada", "word " * 100, created_at=NOON)
    page = await client.timeline_page(x.account("Ada").id, handle="Ada")
    assert page.tweets[0].text == "word " * 100


async def test_without_a_bearer_token_the_user_keys_read(x: LoopbackX) -> None:
    fill(x, "Ada", 1)
    async with XClient(replace(keys_of(x), bearer_token=None), x.api_base) as client:
        user = await client.user("Ada")
        await client.timeline_page(user.id, handle="Ada")
    assert [request.authorization for request in x.requests] == ["oauth1", "oauth1"]


async def test_the_client_knows_whether_and_as_whom_it_posts(x: LoopbackX, client: XClient) -> None:
    assert (client.can_post, client.own_id) == (True, x.account("Mockingbird").id)
    async with XClient(replace(keys_of(x), consumer_secret=None), x.api_base) as reader:
        assert (reader.can_post, reader.own_id) == (False, None)


# What it costs


async def test_a_page_knows_its_price(x: LoopbackX, client: XClient) -> None:
    thread = fill(x, "Ada", 130)[-1]
    x.post_as("Ada", "one more thing", reply_to=thread, created_at=NOON)  # refers to a post of the same page
    original = x.post_as("Mockingbird", "original", created_at=NOON)
    x.post_as("Ada", "", retweets=original.id, created_at=NOON)
    x.post_as("Ada", "answer", reply_to=original.id, created_at=NOON)
    pages = await everything(client, await client.user("Ada"))
    assert sum(page.reads for page in pages) == 134
    assert PRICES.user_read + sum(page.cost(PRICES) for page in pages) == x.bill()
    assert x.bill() <= fetch_cost(133, PRICES)


async def test_ones_own_timeline_is_read_at_a_fifth(x: LoopbackX, client: XClient) -> None:
    fill(x, "Mockingbird", 10)
    page = await client.timeline_page(x.account("Mockingbird").id, handle="Mockingbird")
    assert page.cost(PRICES) == x.bill() == Decimal("0.010")
    assert fetch_cost(10, PRICES, whole_retweets=False, owned=True) == Decimal("0.020")


@pytest.mark.parametrize(("posts", "whole", "usd"), [(0, True, "0.010"), (100, True, "1.010"), (100, False, "0.510")])
def test_the_price_of_a_fetch_is_known_beforehand(posts: int, whole: bool, usd: str) -> None:
    assert fetch_cost(posts, PRICES, whole_retweets=whole) == Decimal(usd)


# Writing


async def test_a_post_is_published_answered_and_deleted(x: LoopbackX, client: XClient) -> None:
    called = x.post_as("Ada", "@mockingbird sing", created_at=NOON)
    first = await client.post("The lamp is lit: 100 % & bright.")
    second = await client.post("la la", reply_to=called.id)
    assert [(post.id, post.text, post.reply_to) for post in x.timeline("Mockingbird")] == [
        (second, "la la", called.id),
        (first, "The lamp is lit: 100 % & bright.", None),
    ]
    await client.delete(first)
    await client.delete(first)
    assert [post.id for post in x.timeline("Mockingbird")] == [second]


@pytest.mark.parametrize(
    ("text", "answers", "said"),
    [
        ("said before", None, "has posted this text before"),
        ("x" * 281, None, "longer than X allows"),
        ("hello", "silent", "only somebody who mentioned or quoted"),
        ("hello", "gone", "deleted or hidden"),
    ],
)
async def test_a_text_that_x_will_not_publish_is_refused_as_such(
    x: LoopbackX, client: XClient, text: str, answers: str | None, said: str
) -> None:
    x.post_as("Mockingbird", "said before", created_at=NOON)
    targets = {"silent": x.post_as("Ada", "a quiet day", created_at=NOON).id, "gone": "17"}
    with pytest.raises(XPostRefused, match=said):
        await client.post(text, reply_to=targets[answers] if answers else None)
    assert len(x.timeline("Mockingbird")) == 1


async def test_somebody_elses_post_is_not_deleted(x: LoopbackX, client: XClient) -> None:
    other = x.post_as("Ada", "mine", created_at=NOON)
    with pytest.raises(XError, match="not authorized to delete"):
        await client.delete(other.id)
    assert len(x.timeline("Ada")) == 1


# What goes wrong


@pytest.mark.parametrize(
    ("refused", "exception", "said"),
    [
        (XRefusal.INVALID_REQUEST, XError, r"did not understand the request \(400, The `since_id`"),
        (XRefusal.UNAUTHORIZED, XKeysRefused, r"does not accept the keys \(401\)"),
        (XRefusal.CREDITS_DEPLETED, XCreditsDepleted, r"no credits left \(402\); buy some"),
        (XRefusal.SPENDING_LIMIT, XRateLimited, r"spending limit of the X app is reached \(403\); .* until 2026-03-14"),
        (XRefusal.CLIENT_NOT_ENROLLED, XKeysRefused, r"may not use this \(403\): it belongs to no project"),
        (XRefusal.APP_ONLY_FORBIDDEN, XKeysRefused, r"does not accept a bearer token for this \(403\)"),
        (XRefusal.READ_ONLY_APP, XKeysRefused, r"may only read \(403\)"),
        (XRefusal.DUPLICATE, XPostRefused, r"posted this text before"),
        (XRefusal.REPLY_NOT_ALLOWED, XPostRefused, r"only somebody who mentioned"),
        (XRefusal.NOT_PERMITTED, XError, r"did not permit this and does not say why \(403\)"),
        (XRefusal.WINDOW, XRateLimited, r"for now \(429\); try again after 2026-03-01 12:15:00 UTC"),
        (XRefusal.DAY_OF_POSTS, XRateLimited, r"for today \(429\); try again after 2026-03-02 12:00:00 UTC"),
        (XRefusal.DAILY_CAP, XRateLimited, r"daily cap is used up \(429\)"),
        (XRefusal.MONTHLY_CAP, XRateLimited, r"monthly cap is used up \(429\)"),
        (XRefusal.OVER_CAPACITY, XUnreachable, r"overloaded or down \(503\)"),
        (XRefusal.UNAVAILABLE, XUnreachable, r"overloaded or down \(503\)"),
        (XRefusal.WEB_PAGE, XUnreachable, r"What answers at 127\.0\.0\.1 is not X \(200, text/html\)"),
        (XRefusal.ANSWER_LOST, XUnreachable, r"broke before the answer came"),
    ],
)
async def test_each_refusal_is_one_exception_and_one_sentence(
    x: LoopbackX, client: XClient, refused: XRefusal, exception: type[XError], said: str
) -> None:
    for route in (TIMELINE, POST):
        x.fail_next(route, refused, times=2)  # a read whose connection broke is tried a second time by aiohttp
    for request in (client.timeline_page(x.account("Ada").id, handle="Ada"), client.post("hello")):
        with pytest.raises(exception, match=said) as caught:
            await request
        sentence = str(caught.value)
        assert type(caught.value) is exception
        assert sentence.endswith(".")
        assert "\n" not in sentence
        assert not [key for key in keys_of(x).values if key in sentence]


@pytest.mark.parametrize(
    ("status", "body", "exception", "said"),
    [
        (403, {"title": "CreditsDepleted", "detail": "no credits"}, XCreditsDepleted, r"no credits left \(403\)"),
        (402, {}, XCreditsDepleted, r"no credits left \(402\)"),
        (402, {"title": "SpendCapReached", "reset_date": "soon"}, XRateLimited, "wait for the next billing cycle"),
        (409, {"title": "Conflict"}, XError, r"still at work on an earlier request of this kind \(409\)"),
        (404, {}, XError, r"has no such address \(404\)"),
        (418, {"detail": "I am a teapot"}, XError, r"\(418, I am a teapot\)"),
        (500, None, XUnreachable, r"overloaded or down \(500\)"),
    ],
)
def test_further_refusals_are_one_sentence_too(
    status: int, body: dict[str, str] | None, exception: type[XError], said: str
) -> None:
    error = refusal(Answer(status, {}, "application/json", body, "api.x.com", writes=False))
    assert type(error) is exception
    assert re.search(said, str(error))
    assert str(error).endswith(".")


async def test_no_request_is_repeated_unasked(x: LoopbackX, client: XClient) -> None:
    """aiohttp would send a GET or DELETE anew with the same signature, which X refuses as used before."""
    post = x.post_as(x.handle_of(x.app.owner_id), "hello")
    for route in (TIMELINE, "DELETE /2/tweets/:id"):
        x.fail_next(route, XRefusal.ANSWER_LOST)
    with pytest.raises(XUnreachable):
        await client.timeline_page(x.account("Ada").id, handle="Ada")
    with pytest.raises(XUnreachable):
        await client.delete(post.id)
    assert len(x.requests) == 2


@pytest.mark.parametrize("refused", [XRefusal.OVER_CAPACITY, XRefusal.WEB_PAGE, XRefusal.ANSWER_LOST])
async def test_a_post_whose_answer_is_missing_may_stand_there(x: LoopbackX, client: XClient, refused: XRefusal) -> None:
    x.fail_next(POST, refused)
    x.fail_next(TIMELINE, refused, times=2)
    with pytest.raises(XUnreachable, match="it may have been done") as posting:
        await client.post("is anybody there?")
    with pytest.raises(XUnreachable) as reading:
        await client.timeline_page(x.account("Ada").id, handle="Ada")
    assert posting.value.outcome_unknown
    assert not reading.value.outcome_unknown


@pytest.mark.parametrize(
    ("refused", "resets_at"),
    [
        (XRefusal.WINDOW, NOON + timedelta(minutes=15)),
        (XRefusal.DAY_OF_POSTS, NOON + timedelta(days=1)),
        (XRefusal.MONTHLY_CAP, None),
        (XRefusal.SPENDING_LIMIT, datetime(2026, 3, 14, tzinfo=UTC)),
    ],
)
async def test_a_limit_is_a_value_with_a_time(
    x: LoopbackX, client: XClient, refused: XRefusal, resets_at: datetime | None
) -> None:
    x.fail_next(POST, refused)
    with pytest.raises(XRateLimited) as caught:
        await client.post("hello")
    assert caught.value.resets_at == resets_at


async def test_a_window_that_was_really_used_up_says_when_it_ends(x: LoopbackX) -> None:
    async with (
        LoopbackX(["Ada"], clock=lambda: NOON, limits={TIMELINE: 1}) as narrow,
        XClient(XKeys(narrow.keys.bearer_token), narrow.api_base) as client,
    ):
        await client.timeline_page("101", handle="Ada")
        with pytest.raises(XRateLimited) as caught:
            await client.timeline_page("101", handle="Ada")
    assert caught.value.resets_at == NOON + timedelta(minutes=15)


@pytest.mark.parametrize(
    ("handle", "exception", "said"),
    [
        ("nobody", UnknownHandle, "X has no account @nobody; check the spelling"),
        ("rogue", XAccountUnavailable, "X has suspended the account @rogue"),
        ("not a handle", UnknownHandle, "'not a handle' can't be a handle on X"),
        ("../me", UnknownHandle, "can't be a handle on X"),
        ("", UnknownHandle, "can't be a handle on X"),
    ],
)
async def test_an_account_that_is_not_there(
    client: XClient, handle: str, exception: type[MockingbirdError], said: str
) -> None:
    with pytest.raises(exception, match=said):
        await client.user(handle)


@pytest.mark.parametrize(
    ("handle", "exception", "said"),
    [
        ("recluse", XAccountUnavailable, "@recluse is protected, so its posts can't be read; its owner can import"),
        ("rogue", XAccountUnavailable, "suspended the account @rogue"),
    ],
)
async def test_a_timeline_that_is_closed(
    x: LoopbackX, client: XClient, handle: str, exception: type[MockingbirdError], said: str
) -> None:
    with pytest.raises(exception, match=said):
        await client.timeline_page(x.account(handle).id, handle=handle)
    with pytest.raises(UnknownHandle, match="@gone"):
        await client.timeline_page("999", handle="gone")


async def test_missing_keys_are_named_before_anything_is_sent(x: LoopbackX) -> None:
    async with XClient(XKeys(), x.api_base) as nothing, XClient(XKeys("token"), x.api_base) as reader:
        with pytest.raises(ConfigError, match="bearer_token_env"):
            await nothing.user("Ada")
        for attempt in (reader.post("hello"), reader.me(), reader.delete("1")):
            with pytest.raises(ConfigError, match="access_token_secret_env"):
                await attempt
    assert x.requests == []


@pytest.mark.parametrize("api_base", ["", "api.x.com", "ftp://api.x.com", "http://[", "https://"])
def test_a_base_that_is_no_web_address_is_refused(api_base: str) -> None:
    with pytest.raises(ConfigError, match="is not a web address"):
        XClient(XKeys("token"), api_base)


# Secrets


def test_keys_do_not_show_themselves() -> None:
    assert "secret" not in repr(XKeys("secret-1", "secret-2", "secret-3", "secret-4", "secret-5"))


async def test_no_library_logs_a_key_even_when_everything_is_logged(
    x: LoopbackX, caplog: pytest.LogCaptureFixture
) -> None:
    x.fail_next(TIMELINE, XRefusal.UNAUTHORIZED)
    with caplog.at_level(logging.DEBUG):
        async with XClient(keys_of(x), x.api_base) as client:
            await client.user("Ada")
            await client.post("hello")
            with pytest.raises(XKeysRefused):
                await client.timeline_page(x.account("Ada").id, handle="Ada")
    assert not [key for key in keys_of(x).values if key in caplog.text]


async def test_a_key_that_comes_back_in_a_refusal_is_left_out() -> None:
    async def echo(request: web.Request) -> web.Response:
        return web.json_response({"title": "Forbidden", "detail": f"No {request.headers['Authorization']}"}, status=403)

    async with server(echo) as base, XClient(XKeys("very-secret-token"), base) as client:
        with pytest.raises(XError, match="No Bearer …") as caught:
            await client.user("Ada")
    assert "very-secret" not in str(caught.value)


async def test_a_file_is_handed_over_and_fetched_with_the_token_only_at_x_itself(x: LoopbackX) -> None:
    seen: list[tuple[str, str | None, str]] = []

    async def storage(request: web.Request) -> web.Response:
        seen.append((request.method, request.headers.get("Authorization"), await request.text()))
        return web.Response(text='{"id": "2", "action": "delete"}\n{"id": "3", "action": "scrub_geo"}\n')

    async with server(storage) as elsewhere, XClient(keys_of(x), x.api_base) as client:
        job = replace(
            await client.create_job(), upload_url=f"{elsewhere}/up?sig=a%2Fb", download_url=f"{elsewhere}/down"
        )
        await client.upload(job, ["1", "2", "3"])
        assert await client.results(job) == {"2"}
        assert seen == [("PUT", None, "1\n2\n3\n"), ("GET", None, "")]
    assert "sig=" not in repr(job)
    async with server(storage) as base, XClient(keys_of(x), base) as client:
        await client.upload(replace(job, upload_url=f"{base}/up"), ["1"])
        assert seen[-1][1] == f"Bearer {x.keys.bearer_token}"


async def test_a_redirection_is_not_followed(x: LoopbackX) -> None:
    async def away(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": x.api_base + "/2/users/by/username/Ada"})

    async with server(away) as base, XClient(keys_of(x), base) as client:
        with pytest.raises(XError, match=r"has no such address \(302\); check \[x\] api_base"):
            await client.user("Ada")
    assert x.requests == []


# The network


class server:
    """A web server with one handler for everything."""

    def __init__(self, handler: Any) -> None:
        application = web.Application()
        application.router.add_route("*", "/{anything:.*}", handler)
        self.runner = web.AppRunner(application, shutdown_timeout=0.1)

    async def __aenter__(self) -> str:
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self.runner.addresses[0][1]}"

    async def __aexit__(self, *_: object) -> None:
        await self.runner.cleanup()


async def test_a_closed_port_is_said_to_accept_no_connection() -> None:
    with socket.socket() as reserved:  # bound and not listening: nobody else can take the port
        reserved.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        async with XClient(XKeys("token", "a", "b", "1-c", "d"), base) as client:
            with pytest.raises(XUnreachable, match=r"127\.0\.0\.1 accepts no connection") as caught:
                await client.post("hello")
    assert not caught.value.outcome_unknown


async def test_a_server_that_never_answers_is_given_up() -> None:
    never = asyncio.Event()

    async def silent(_: web.Request) -> web.Response:
        await never.wait()
        raise AssertionError

    async with server(silent) as base, XClient(XKeys("token"), base, timeout_s=0.2) as client:
        with pytest.raises(XUnreachable, match="did not answer in time"):
            await client.user("Ada")


async def test_a_server_without_a_certificate_is_not_trusted(x: LoopbackX) -> None:
    async with XClient(keys_of(x), x.api_base.replace("http:", "https:")) as client:
        with pytest.raises(XUnreachable, match="certificate of 127"):
            await client.user("Ada")


def test_a_name_that_can_not_be_found() -> None:
    key = ConnectionKey("api.x.test", 443, True, True, None, None, None)
    error = aiohttp.ClientConnectorDNSError(key, OSError(-2, "Name or service not known"))
    assert str(broken_connection(error, "api.x.test", writes=True)).startswith("The name api.x.test can't be found;")


async def test_a_broken_body_is_not_taken_for_an_answer() -> None:
    async def broken(_: web.Request) -> web.Response:
        return web.Response(text='{"data": {"id": "1", ', content_type="application/json")

    async with server(broken) as base, XClient(XKeys("token"), base) as client:
        with pytest.raises(XUnreachable, match="is not X"):
            await client.user("Ada")


# Recorded answers


async def test_recorded_pages_are_read_to_the_expected_counts(x: LoopbackX, client: XClient) -> None:
    folder = "api_v2/timeline_ObservatoryTeam"
    pages = [document(f"{folder}/page{n}.json") for n in (1, 2, 3)]
    expected = document("EXPECTED.json")["api_v2_timeline_ObservatoryTeam"]
    x.play_pages(XAccount("ObservatoryTeam", "Digital Observatory Team", expected["user"]["id"]), pages)
    user = await client.user("ObservatoryTeam")
    read = await everything(client, user)
    tweets = [tweet for page in read for tweet in page.tweets]
    dates = sorted(tweet.created_at for tweet in tweets if tweet.created_at)
    assert (user.tweet_count, [len(page.tweets) for page in read]) == (expected["records"], expected["pages"])
    assert len({tweet.id for tweet in tweets}) == expected["distinct_ids"]
    assert sum(tweet.is_retweet for tweet in tweets) == expected["rt_flag"]
    assert sum(tweet.text.startswith("RT @") for tweet in tweets) == expected["rt_prefix"]
    assert sum(tweet.reply_to is not None for tweet in tweets) == expected["reply_flag"]
    assert [f"{day:%Y-%m-%dT%H:%M:%S.000Z}" for day in (dates[0], dates[-1])] == [expected["first"], expected["last"]]
    assert {tweet.handle for tweet in tweets} == {"observatoryteam"}
    assert x.bill() <= PRICES.user_read + sum(page.cost(PRICES) for page in read)


def test_recorded_retweets_are_taken_whole() -> None:
    expected = document("EXPECTED.json")["api_v2_timeline_ObservatoryTeam"]
    pages = [document(f"api_v2/timeline_ObservatoryTeam/page{n}.json") for n in (1, 2, 3)]
    originals = {post["id"]: post["text"] for page in pages for post in page["includes"]["tweets"]}
    raw = [post for page in pages for post in page["data"]]
    read = {tweet.id: tweet.text for page in pages for tweet in read_page(page, "ObservatoryTeam").tweets}
    whole = 0
    for post in raw:
        original = next((r["id"] for r in post.get("referenced_tweets", ()) if r["type"] == "retweeted"), None)
        if original is None:
            assert read[post["id"]] == post["text"]
        else:
            whole += read[post["id"]].partition(": ")[2] == originals[original]
    assert whole == expected["rt_full_text_in_includes"]


RECORDED_ERRORS: dict[str, type[MockingbirdError]] = {
    "200_user_not_found": UnknownHandle,
    "200_user_suspended": XAccountUnavailable,
    "401_unauthorized": XKeysRefused,
    "402_credits_depleted_2026-08": XCreditsDepleted,
    "403_client_not_enrolled": XKeysRefused,
    "429_rate_limit": XRateLimited,
}


@pytest.mark.parametrize("name", sorted(RECORDED_ERRORS))
async def test_every_recorded_error_is_sent_and_means_what_it_says(x: LoopbackX, client: XClient, name: str) -> None:
    recorded = document(f"api_v2/errors_reported/{name}.json")
    x.answer_next("GET /2/users/by/username/:username", recorded["status"], recorded["body"])
    with pytest.raises(MockingbirdError) as caught:
        await client.user("Ada")
    assert type(caught.value) is RECORDED_ERRORS[name]


def test_no_recorded_error_is_left_out() -> None:
    folder = os.environ.get("MOCKINGBIRD_TEST_TWEETS")
    if not folder:
        pytest.skip("the recorded answers are not at hand: set MOCKINGBIRD_TEST_TWEETS")
    found = {path.stem for path in (Path(folder) / "api_v2" / "errors_reported").glob("*.json")}
    assert found == set(RECORDED_ERRORS)
