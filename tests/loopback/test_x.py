"""The played X behaves as recorded answers of X do. Plain HTTP here; tests/tweets/test_x_api.py uses tweepy."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest
from oauthlib.oauth1 import Client as OAuthClient

from bot.loopback.openapi import OpenAPIContract
from bot.loopback.x import LoopbackX, Moment, XAccount, XKeys, XRefusal
from tests.loopback.x_stage import NOON, Caller, Clock, described_in, ids

TIMELINE = "GET /2/users/:id/tweets"


@pytest.fixture(scope="module")
def contract() -> Iterator[OpenAPIContract | None]:
    """X's own document, when it is at hand: every exchange of these tests is then held against it."""
    yield described_in("x-api-v2.159_xdk_2026-02-27_legacy_tweet_names.json")


@pytest.fixture(scope="module")
def post_contract() -> Iterator[OpenAPIContract | None]:
    """The one for the newer vocabulary."""
    yield described_in("x-api-v2.167_docs_2026-08-22.json")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def x(
    contract: OpenAPIContract | None, post_contract: OpenAPIContract | None, clock: Clock
) -> AsyncIterator[LoopbackX]:
    accounts: list[XAccount | str] = [
        "Mockingbird",
        "ada",
        XAccount("recluse", protected=True),
        XAccount("rogue", suspended=True),
    ]
    async with LoopbackX(accounts, contract, post_contract, clock=clock) as x:
        yield x


@pytest.fixture
async def caller(x: LoopbackX) -> AsyncIterator[Caller]:
    async with aiohttp.ClientSession() as session:
        yield Caller(x, session)


def fill(x: LoopbackX, handle: str, count: int) -> list[str]:
    """`count` posts, a minute apart, the last one an hour before noon; their ids, the oldest first."""
    start = NOON - timedelta(hours=1, minutes=count)
    return [x.post_as(handle, f"number {n}", created_at=start + timedelta(minutes=n)).id for n in range(count)]


# Users


async def test_a_user_is_found_by_name_in_any_case_with_only_the_fields_asked_for(x: LoopbackX, caller: Caller) -> None:
    fill(x, "ada", 3)
    status, plain = await caller.read("/2/users/by/username/ADA")
    _, fuller = await caller.read("/2/users/by/username/ada", **{"user.fields": "protected,public_metrics"})
    assert (status, plain["data"]) == (200, {"id": x.account("ada").id, "name": "ada", "username": "ada"})
    assert fuller["data"]["protected"] is False
    assert fuller["data"]["public_metrics"]["tweet_count"] == 3
    assert x.violations == []


@pytest.mark.parametrize(
    ("handle", "detail"),
    [
        ("nobody", "Could not find user with username: [nobody]."),
        ("rogue", "User has been suspended: [rogue]."),
    ],
)
async def test_a_user_who_is_not_there_is_an_error_inside_a_200(
    x: LoopbackX, caller: Caller, handle: str, detail: str
) -> None:
    status, document = await caller.read(f"/2/users/by/username/{handle}")
    assert (status, list(document)) == (200, ["errors"])
    assert document["errors"][0]["detail"] == detail
    assert x.bill() == 0
    assert x.violations == []


async def test_several_users_come_with_an_error_for_each_that_is_missing(x: LoopbackX, caller: Caller) -> None:
    _, document = await caller.read("/2/users/by", usernames="ada,nobody,Mockingbird")
    assert [user["username"] for user in document["data"]] == ["ada", "Mockingbird"]
    assert [error["value"] for error in document["errors"]] == ["nobody"]
    assert x.violations == []


async def test_me_is_the_owner_of_the_keys_and_needs_them(x: LoopbackX, caller: Caller) -> None:
    _, document = await caller.act("GET", "/2/users/me")
    status, refused = await caller.read("/2/users/me")
    assert document["data"]["username"] == "Mockingbird"
    assert (status, refused["title"]) == (403, "Unsupported Authentication")
    assert x.violations == []


# Credentials


async def test_wrong_credentials_are_a_401_without_rate_limit_headers(x: LoopbackX, caller: Caller) -> None:
    wrong = XKeys("", x.keys.consumer_key, "not-the-secret", x.keys.access_token, x.keys.access_token_secret)
    expected = {"title": "Unauthorized", "type": "about:blank", "status": 401, "detail": "Unauthorized"}
    assert await caller.read("/2/users/by/username/ada", token="stale") == (401, expected)
    assert not [name for name in caller.headers if name.lower().startswith("x-rate-limit")]
    assert await caller.act("GET", "/2/users/me", keys=wrong) == (401, expected)
    assert x.timeline("Mockingbird") == ()


async def test_a_signed_request_can_not_be_sent_a_second_time(x: LoopbackX, caller: Caller) -> None:
    keys = x.keys
    client = OAuthClient(keys.consumer_key, keys.consumer_secret, keys.access_token, keys.access_token_secret)
    url, headers, _ = client.sign(x.api_base + "/2/users/me", "GET")
    statuses = []
    for _ in range(2):
        async with caller.session.get(url, headers=headers) as answer:
            statuses.append(answer.status)
    assert statuses == [200, 401]


async def test_credentials_are_not_kept(x: LoopbackX, caller: Caller) -> None:
    await caller.read("/2/users/by/username/ada")
    await caller.act("GET", "/2/users/me")
    assert [request.authorization for request in x.requests] == ["bearer", "oauth1"]
    assert "loopback-" not in repr(x.requests)


# Timelines


async def test_a_timeline_is_read_page_by_page_and_back(x: LoopbackX, caller: Caller) -> None:
    oldest_first = fill(x, "ada", 12)
    path = f"/2/users/{x.account('ada').id}/tweets"
    _, first = await caller.read(path, max_results="5")
    _, second = await caller.read(path, max_results="5", pagination_token=first["meta"]["next_token"])
    _, third = await caller.read(path, max_results="5", pagination_token=second["meta"]["next_token"])
    _, back = await caller.read(path, max_results="5", pagination_token=third["meta"]["previous_token"])
    assert [ids(page) for page in (first, second, third)] == [
        oldest_first[:6:-1], oldest_first[6:1:-1], oldest_first[1::-1]
    ]  # fmt: skip
    assert "previous_token" not in first["meta"]
    assert "next_token" not in third["meta"]
    assert (first["meta"]["newest_id"], first["meta"]["oldest_id"]) == (oldest_first[11], oldest_first[7])
    assert ids(back) == ids(second)
    assert x.violations == []


async def test_a_page_comes_short_where_posts_were_deleted_and_may_even_be_empty(x: LoopbackX, caller: Caller) -> None:
    oldest_first = fill(x, "ada", 10)
    for post_id in oldest_first[5:]:
        x.delete(post_id)
    x.delete(oldest_first[2])
    path = f"/2/users/{x.account('ada').id}/tweets"
    _, first = await caller.read(path, max_results="5")
    _, second = await caller.read(path, max_results="5", pagination_token=first["meta"]["next_token"])
    assert (list(first), first["meta"]["result_count"]) == (["meta"], 0)
    assert ids(second) == [oldest_first[n] for n in (4, 3, 1, 0)]
    assert x.violations == []


async def test_since_until_and_exclude_narrow_a_timeline(x: LoopbackX, caller: Caller) -> None:
    a, b, c = fill(x, "ada", 3)
    reply = x.post_as("ada", "an answer", reply_to=a, created_at=NOON)
    repeat = x.post_as("ada", "", retweets=a, created_at=NOON)
    path = f"/2/users/{x.account('ada').id}/tweets"
    newer = await caller.read(path, since_id=b)
    older = await caller.read(path, until_id=c)
    own = await caller.read(path, exclude="replies,retweets")
    assert [ids(document) for _, document in (newer, older, own)] == [[repeat.id, reply.id, c], [b, a], [c, b, a]]
    assert x.violations == []


async def test_nothing_new_leaves_out_data(x: LoopbackX, caller: Caller) -> None:
    newest = fill(x, "ada", 3)[-1]
    status, document = await caller.read(f"/2/users/{x.account('ada').id}/tweets", since_id=newest)
    assert (status, document) == (200, {"meta": {"result_count": 0}})
    assert x.violations == []


async def test_a_retweet_is_cut_off_and_whole_beside_it(x: LoopbackX, caller: Caller) -> None:
    original = x.post_as("ada", "Ships & stars, " * 15 + "the end", created_at=NOON)
    x.post_as("Mockingbird", "", retweets=original.id, created_at=NOON)
    asked = {"tweet.fields": "referenced_tweets", "expansions": "referenced_tweets.id"}
    _, document = await caller.read(f"/2/users/{x.account('Mockingbird').id}/tweets", **asked)
    [shown] = document["data"]
    assert shown["text"].startswith("RT @ada: Ships &amp; stars, ")
    assert shown["text"].endswith("…")
    assert len(shown["text"].replace("&amp;", "&")) == 140
    assert shown["referenced_tweets"] == [{"type": "retweeted", "id": original.id}]
    assert document["includes"]["tweets"][0]["text"].endswith("the end")
    assert x.violations == []


async def test_what_can_not_be_shown_stands_in_errors_beside_data(x: LoopbackX, caller: Caller) -> None:
    gone = x.post_as("Mockingbird", "soon deleted", created_at=NOON)
    hidden = x.post_as("recluse", "behind a wall", created_at=NOON)
    x.post_as("ada", "hello @nobody", reply_to=gone.id, created_at=NOON)
    x.post_as("ada", "look", quotes=hidden.id, created_at=NOON)
    x.delete(gone.id)
    asked = {"expansions": "referenced_tweets.id,entities.mentions.username,author_id"}
    status, document = await caller.read(f"/2/users/{x.account('ada').id}/tweets", **asked)
    assert (status, len(document["data"])) == (200, 2)
    assert sorted(error["value"] for error in document["errors"]) == sorted([gone.id, hidden.id, "nobody"])
    assert [user["username"] for user in document["includes"]["users"]] == ["ada"]
    assert x.violations == []


async def test_an_edited_post_has_a_new_id_and_its_history(x: LoopbackX, caller: Caller) -> None:
    first = x.post_as("ada", "teh sea", created_at=NOON)
    second = x.edit(first.id, "the sea", created_at=NOON + timedelta(minutes=5))
    _, timeline = await caller.read(f"/2/users/{x.account('ada').id}/tweets", since_id=first.id)
    _, looked_up = await caller.read("/2/tweets", ids=f"{first.id},1")
    history = [first.id, second.id]
    assert timeline["data"] == [{"id": second.id, "text": "the sea", "edit_history_tweet_ids": history}]
    assert looked_up["data"][0]["text"] == "teh sea"
    assert looked_up["errors"][0]["value"] == "1"
    assert x.violations == []


async def test_links_are_shortened_and_long_posts_are_notes(x: LoopbackX, caller: Caller) -> None:
    x.post_as("ada", "see https://example.org/a?b=c. #sea @Mockingbird", created_at=NOON)
    x.post_as("ada", "word " * 100, created_at=NOON)
    path = f"/2/users/{x.account('ada').id}/tweets"
    _, document = await caller.read(path, **{"tweet.fields": "entities,note_tweet,created_at,conversation_id"})
    note, linked = document["data"]
    assert (len(note["text"]), note["note_tweet"]["text"]) == (280, "word " * 100)
    assert linked["text"].startswith("see https://t.co/")
    assert linked["entities"]["urls"][0]["expanded_url"] == "https://example.org/a?b=c"
    assert linked["entities"]["mentions"][0]["id"] == x.account("mockingbird").id
    assert linked["created_at"] == "2026-03-01T12:00:00.000Z"
    assert x.violations == []


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"max_results": "1000"}, "The `max_results` query parameter value [1000] is not between 5 and 100"),
        ({"pagination_token": "zzz"}, "The `pagination_token` query parameter value [zzz] is not valid"),
        ({"sort": "up"}, "The `sort` query parameter value [up] is not one of the parameters of this endpoint"),
    ],
)
async def test_a_wrong_parameter_is_a_400_that_names_it(
    x: LoopbackX, caller: Caller, query: dict[str, str], message: str
) -> None:
    status, document = await caller.read(f"/2/users/{x.account('ada').id}/tweets", **query)
    assert (status, document["title"]) == (400, "Invalid Request")
    assert document["errors"][0]["message"] == message


@pytest.mark.parametrize(("handle", "title"), [("recluse", "Authorization Error"), ("rogue", "Forbidden")])
async def test_a_closed_timeline_is_an_error_inside_a_200(
    x: LoopbackX, caller: Caller, handle: str, title: str
) -> None:
    status, document = await caller.read(f"/2/users/{x.account(handle).id}/tweets")
    assert (status, list(document), document["errors"][0]["title"]) == (200, ["errors"], title)
    assert x.violations == []


async def test_mentions_are_found_whoever_made_them(x: LoopbackX, caller: Caller) -> None:
    called = x.post_as("ada", "@mockingbird sing", created_at=NOON)
    named = x.post_as("ada", "sing!", mentions=["Mockingbird"], created_at=NOON)
    x.post_as("recluse", "@mockingbird psst", created_at=NOON)
    x.post_as("ada", "nothing to see", created_at=NOON)
    _, document = await caller.read(f"/2/users/{x.account('Mockingbird').id}/mentions")
    assert ids(document) == [named.id, called.id]
    assert x.violations == []


# Writing


async def test_a_post_is_published_once_and_found_by_a_fetch(x: LoopbackX, caller: Caller) -> None:
    status, document = await caller.post("The lamp is lit & trimmed.")
    duplicate, refused = await caller.post("The lamp is lit & trimmed.")
    _, timeline = await caller.read(f"/2/users/{x.account('Mockingbird').id}/tweets")
    assert (status, document["data"]["text"]) == (201, "The lamp is lit &amp; trimmed.")
    assert ids(timeline) == [document["data"]["id"]]
    assert duplicate == 403
    assert refused["detail"] == "You are not allowed to create a Tweet with duplicate content."
    assert [post.text for post in x.timeline("Mockingbird")] == ["The lamp is lit & trimmed."]
    assert x.violations == []


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("x" * 280, True),
        ("x" * 281, False),
        ("灯" * 140, True),
        ("灯" * 141, False),
        ("x" * 256 + " https://example.org/" + "y" * 200, True),
        ("x" * 257 + " https://example.org/", False),
        ("👩‍👩‍👧‍👦" * 140, True),
        ("🇳🇴" * 141, False),
    ],
)
async def test_length_is_counted_as_x_counts_it(x: LoopbackX, caller: Caller, text: str, fits: bool) -> None:
    status, document = await caller.post(text)
    assert status == (201 if fits else 400), document


async def test_an_answer_goes_only_to_somebody_who_called(x: LoopbackX, caller: Caller) -> None:
    called = x.post_as("ada", "@mockingbird sing", created_at=NOON)
    silent = x.post_as("ada", "a quiet day", created_at=NOON)
    status, document = await caller.post("la la", reply_to=called.id)
    refused, why = await caller.post("hello", reply_to=silent.id)
    missing, _ = await caller.post("hello", reply_to="12")
    assert (status, refused, missing) == (201, 403, 403)
    assert why["detail"].startswith("Reply to this conversation is not allowed")
    assert x.posts[document["data"]["id"]].reply_to == called.id
    assert x.bill() == Decimal("0.010")
    assert x.violations == []


async def test_only_ones_own_post_can_be_deleted(x: LoopbackX, caller: Caller) -> None:
    other = x.post_as("ada", "mine", created_at=NOON)
    _, document = await caller.post("a slip of the pen")
    own = document["data"]["id"]
    assert await caller.act("DELETE", f"/2/tweets/{own}") == (200, {"data": {"deleted": True}})
    assert (await caller.act("DELETE", f"/2/tweets/{other.id}"))[0] == 403
    assert x.timeline("Mockingbird") == ()
    assert x.violations == []


async def test_a_body_with_an_unknown_key_is_a_violation(
    x: LoopbackX, caller: Caller, contract: OpenAPIContract | None
) -> None:
    if contract is None:
        pytest.skip("X's OpenAPI document is not at hand: set MOCKINGBIRD_TEST_SPECS")
    await caller.act("POST", "/2/tweets", {"text": "hello", "colour": "blue"})
    assert [violation for violation in x.violations if "colour" in violation]


async def test_an_unknown_route_is_a_404_and_a_violation(x: LoopbackX, caller: Caller) -> None:
    status, _ = await caller.read("/2/spaces/1")
    assert status == 404
    assert x.violations == ["GET /2/spaces/1: this route is not played"]


# Limits and failures


async def test_each_answer_says_what_is_left_of_the_window(x: LoopbackX, caller: Caller, clock: Clock) -> None:
    path = f"/2/users/{x.account('ada').id}/tweets"
    await caller.read(path)
    await caller.read(path)
    app = {name: caller.headers[f"x-rate-limit-{name}"] for name in ("limit", "remaining", "reset")}
    await caller.act("GET", path)
    assert app == {
        "limit": "10000", "remaining": "9998", "reset": str(int((NOON + timedelta(minutes=15)).timestamp()))
    }  # fmt: skip
    assert caller.headers["x-rate-limit-remaining"] == "899"
    clock.now += timedelta(minutes=15)
    await caller.read(path)
    assert caller.headers["x-rate-limit-remaining"] == "9999"


async def test_a_used_up_window_is_a_429_until_it_is_over(clock: Clock) -> None:
    async with (
        LoopbackX(["ada"], clock=clock, limits={TIMELINE: 1}) as x,
        aiohttp.ClientSession() as session,
    ):
        caller = Caller(x, session)
        path = f"/2/users/{x.account('ada').id}/tweets"
        statuses = [(await caller.read(path))[0] for _ in range(3)]
        clock.now += timedelta(minutes=15)
        statuses.append((await caller.read(path))[0])
    assert statuses == [200, 429, 429, 200]


async def test_a_planned_failure_is_answered_as_often_as_asked(x: LoopbackX, caller: Caller) -> None:
    path = f"/2/users/{x.account('ada').id}/tweets"
    x.fail_next(TIMELINE, XRefusal.CREDITS_DEPLETED, times=2)
    statuses = [(await caller.read(path))[0] for _ in range(3)]
    assert statuses == [402, 402, 200]
    assert x.bill() == 0
    with pytest.raises(LookupError):
        x.fail_next("GET /2/nothing", XRefusal.WINDOW)


@pytest.mark.parametrize("refusal", [r for r in XRefusal if r is not XRefusal.ANSWER_LOST])
async def test_every_failure_has_the_shape_that_the_document_describes(
    x: LoopbackX, caller: Caller, refusal: XRefusal
) -> None:
    x.fail_next(TIMELINE, refusal)
    address = f"{x.api_base}/2/users/{x.account('ada').id}/tweets"
    headers = {"Authorization": f"Bearer {x.keys.bearer_token}"}
    async with caller.session.get(address, headers=headers) as answer:
        assert answer.status == int(refusal.value[:3])
        assert (answer.content_type == "text/html") == ("web page" in refusal)
    assert x.violations == []


async def test_a_lost_answer_means_done_and_unknown(x: LoopbackX, caller: Caller) -> None:
    x.fail_next("POST /2/tweets", XRefusal.ANSWER_LOST)
    with pytest.raises(aiohttp.ClientError):
        await caller.post("said, but was it heard?")
    assert [post.text for post in x.timeline("Mockingbird")] == ["said, but was it heard?"]


async def test_one_can_wait_for_something_to_be_posted(x: LoopbackX, caller: Caller) -> None:
    async with asyncio.timeout(10):
        waiting = asyncio.create_task(x.wait_until(lambda: bool(x.timeline("Mockingbird"))))
        await caller.read("/2/users/by/username/ada")
        assert not waiting.done()
        await caller.post("here I am")
        await waiting


# The bill


async def test_the_bill_charges_each_resource_once_in_a_utc_day(x: LoopbackX, caller: Caller, clock: Clock) -> None:
    fill(x, "ada", 4)
    path = f"/2/users/{x.account('ada').id}/tweets"
    await caller.read("/2/users/by/username/ada")
    await caller.read(path)
    await caller.read(path)
    assert x.bill() == Decimal("0.010") + 4 * Decimal("0.005")
    clock.now += timedelta(hours=12)
    await caller.read(path)
    assert x.bill() == Decimal("0.010") + 8 * Decimal("0.005")


async def test_the_bill_knows_own_reads_included_posts_links_and_deletions(x: LoopbackX, caller: Caller) -> None:
    original = x.post_as("ada", "original", created_at=NOON)
    x.post_as("Mockingbird", "", retweets=original.id, created_at=NOON)
    x.post_as("Mockingbird", "own words", created_at=NOON)
    path = f"/2/users/{x.account('Mockingbird').id}/tweets"
    await caller.act("GET", path, expansions="referenced_tweets.id")
    assert x.bill() == 2 * Decimal("0.001") + Decimal("0.005")
    _, document = await caller.post("plain")
    await caller.post("with https://example.org")
    await caller.act("DELETE", f"/2/tweets/{document['data']['id']}")
    assert x.bill() == Decimal("0.007") + Decimal("0.015") + Decimal("0.200") + Decimal("0.010")


# Recorded pages


async def test_recorded_pages_are_played_in_their_order(caller: Caller, x: LoopbackX) -> None:
    folder = os.environ.get("MOCKINGBIRD_TEST_TWEETS")
    if not folder:
        pytest.skip("the recorded pages are not at hand: set MOCKINGBIRD_TEST_TWEETS")
    source = Path(folder) / "api_v2" / "timeline_ObservatoryTeam"
    pages = [json.loads((source / f"page{n}.json").read_text(encoding="utf-8")) for n in (1, 2, 3)]
    account = XAccount("ObservatoryTeam", "Digital Observatory Team", "1022360009961656321")
    x.play_pages(account, pages)
    path, token, counts = f"/2/users/{account.id}/tweets", "", []
    while True:
        _, page = await caller.read(path, **({"pagination_token": token} if token else {}))
        counts.append(len(page["data"]))
        token = page["meta"].get("next_token")
        if token is None:
            break
    _, nothing = await caller.read(path, since_id=pages[0]["meta"]["newest_id"])
    _, tail = await caller.read(path, since_id=pages[0]["data"][10]["id"])
    assert counts == [96, 88, 34]
    assert nothing == {"meta": {"result_count": 0}}
    assert (len(tail["data"]), "next_token" in tail["meta"]) == (10, False)


# The newer vocabulary


async def test_each_request_is_answered_in_its_own_words(x: LoopbackX, caller: Caller) -> None:
    original = x.post_as("ada", "original", created_at=NOON)
    x.post_as("Mockingbird", "word " * 100, quotes=original.id, created_at=NOON)
    path = f"/2/users/{x.account('Mockingbird').id}/tweets"
    newer = {"post.fields": "created_at,note_post,public_metrics", "expansions": "referenced_posts"}
    _, older = await caller.read(path, **{"tweet.fields": "created_at,note_tweet,referenced_tweets,public_metrics"})
    _, document = await caller.read(path, **newer)
    [shown] = document["data"]
    assert set(older["data"][0]) >= {"referenced_tweets", "note_tweet", "edit_history_tweet_ids"}
    assert shown["referenced_posts"] == [{"type": "quoted", "id": original.id}]
    assert (shown["note_post"], shown["edit_history_post_ids"]) == ({"text": "word " * 100}, [shown["id"]])
    assert "repost_count" in shown["public_metrics"]
    assert [post["id"] for post in document["includes"]["posts"]] == [original.id]
    assert not [key for key in (*shown, *document["includes"]) if "tweet" in key]
    assert x.violations == []


async def test_a_field_of_the_other_vocabulary_is_passed_over_in_silence_and_a_violation(
    x: LoopbackX, caller: Caller, contract: OpenAPIContract | None
) -> None:
    x.post_as("ada", "word " * 100, created_at=NOON)
    path = f"/2/users/{x.account('ada').id}/tweets"
    status, document = await caller.read(path, **{"post.fields": "note_tweet,referenced_posts"})
    assert (status, set(document["data"][0])) == (200, {"id", "text", "edit_history_post_ids"})
    assert bool(x.violations) is (contract is not None)


# What is still there


async def test_accounts_are_looked_up_by_id(x: LoopbackX, caller: Caller) -> None:
    ids_of = {handle: x.account(handle).id for handle in ("ada", "recluse", "rogue")}
    status, document = await caller.read(
        "/2/users", **{"ids": ",".join([*ids_of.values(), "999"]), "user.fields": "protected"}
    )
    assert status == 200
    assert {user["id"]: user["protected"] for user in document["data"]} == {
        ids_of["ada"]: False,
        ids_of["recluse"]: True,
    }
    assert [(error["resource_id"], error["title"]) for error in document["errors"]] == [
        (ids_of["rogue"], "Forbidden"),
        ("999", "Not Found Error"),
    ]
    assert x.bill() == Decimal("0.020")
    assert x.violations == []


async def test_a_job_tells_what_has_to_go(x: LoopbackX, caller: Caller, clock: Clock) -> None:
    kept, deleted, edited = fill(x, "ada", 3)
    hidden = x.post_as("recluse", "behind a wall", created_at=NOON).id
    x.delete(deleted)
    x.edit(edited, "said better", created_at=NOON)
    bearer = {"Authorization": f"Bearer {x.keys.bearer_token}"}
    async with caller.session.post(
        f"{x.api_base}/2/compliance/jobs", json={"type": "tweets"}, headers=bearer
    ) as answer:
        job = (await answer.json())["data"]
    async with caller.session.post(
        f"{x.api_base}/2/compliance/jobs", json={"type": "tweets"}, headers=bearer
    ) as answer:
        assert answer.status == 409
    body = "\n".join([kept, deleted, edited, hidden, "not-an-id"])
    statuses = []
    for headers in ({}, bearer, bearer):
        async with caller.session.put(job["upload_url"], data=body, headers=headers) as answer:
            statuses.append(answer.status)
    assert statuses == [401, 200, 403]
    stages = [(await caller.read(f"/2/compliance/jobs/{job['id']}"))[1]["data"]["status"] for _ in range(2)]
    assert (job["status"], stages) == ("created", ["in_progress", "complete"])
    async with caller.session.get(job["download_url"], headers=bearer) as answer:
        lines = [json.loads(line) for line in (await answer.text()).splitlines()]
    assert [(line["id"], line.get("action"), line.get("reason")) for line in lines] == [
        (deleted, "delete", "deleted"),
        (edited, "rehydrate", "tweet_edited"),
        (hidden, "delete", "protected"),
        ("not-an-id", None, None),
    ]
    assert x.bill() == 0
    assert x.violations == []


async def test_a_job_without_ids_expires_and_makes_room(x: LoopbackX, caller: Caller, clock: Clock) -> None:
    bearer = {"Authorization": f"Bearer {x.keys.bearer_token}"}
    statuses = []
    for minutes in (0, 14, 1):
        clock.now += timedelta(minutes=minutes)
        address = f"{x.api_base}/2/compliance/jobs"
        async with caller.session.post(address, json={"type": "tweets"}, headers=bearer) as answer:
            statuses.append(answer.status)
    assert statuses == [200, 409, 200]
    assert (await caller.act("POST", "/2/compliance/jobs", {"type": "tweets"}))[0] == 403  # only a bearer token will do


async def test_a_request_is_held_before_or_after_it_is_done(x: LoopbackX, caller: Caller) -> None:
    fill(x, "ada", 1)
    path = f"/2/users/{x.account('ada').id}/tweets"
    bills = []
    for moment in Moment:
        hold = x.hold_next(TIMELINE, moment)
        asking = asyncio.create_task(caller.read(path))
        await hold.arrived.wait()
        bills.append(x.bill())
        hold.release.set()
        assert (await asking)[0] == 200
    x.forget_holds()
    assert bills == [0, Decimal("0.005")]
