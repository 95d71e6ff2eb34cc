"""What the loopback X charges, by kind and in all, and that a client can reckon the same."""

from __future__ import annotations

from decimal import Decimal

import aiohttp

from bot.config import Prices
from bot.loopback.x import LoopbackX, XPrices
from bot.tweets.x_api import XClient
from bot.tweets.x_requests import XKeys as ClientKeys
from tests.loopback.x_stage import Caller, Clock


async def test_the_bill_is_known_by_kind(x_server: LoopbackX, x_caller: Caller) -> None:
    """Every price of X's list once."""
    call = x_server.post_as("ada", "@Mockingbird sing")
    own = x_server.account("Mockingbird").id
    await x_caller.read("/2/tweets", ids=call.id)
    await x_caller.read("/2/users/by/username/ada")
    _, plain = await x_caller.post("plain")
    await x_caller.post("with https://example.org")
    await x_caller.post("la", reply_to=call.id)
    await x_caller.act("GET", f"/2/users/{own}/tweets")
    await x_caller.act("DELETE", f"/2/tweets/{plain['data']['id']}")
    assert x_server.bill_by_kind() == {
        "owned read": Decimal("0.003"),
        "post created": Decimal("0.015"),
        "post deleted": Decimal("0.010"),
        "post read": Decimal("0.005"),
        "post with link created": Decimal("0.200"),
        "summoned reply": Decimal("0.010"),
        "user read": Decimal("0.010"),
    }
    assert x_server.bill() == Decimal("0.253")


async def test_mentions_are_cheap_for_the_owner_of_the_app_alone(x_server: LoopbackX, x_caller: Caller) -> None:
    """Another account of the same app pays the full price; in an app of its own it does not."""
    for handle in ("Mockingbird", "Nell"):
        x_server.post_as("ada", f"@{handle} sing")
    own_app = x_server.add_app("Nell")
    for handle, app in (("Mockingbird", x_server.app), ("Nell", x_server.app), ("Nell", own_app)):
        path = f"/2/users/{x_server.account(handle).id}/mentions"
        await x_caller.act("GET", path, keys=x_server.keys_of(handle, app))
    assert x_server.bill_by_kind(x_server.app) == {"owned read": Decimal("0.001"), "post read": Decimal("0.005")}
    assert x_server.bill(own_app) == Decimal("0.001")


async def test_a_day_ends_at_midnight_utc(x_server: LoopbackX, x_caller: Caller, x_clock: Clock) -> None:
    """The same post is charged again after it."""
    post = x_server.post_as("ada", "hello")
    for hours in (0, 11, 1):
        x_clock.move(hours=hours)
        await x_caller.read("/2/tweets", ids=post.id)
    assert x_server.bill() == 2 * Decimal("0.005")


async def test_prices_may_be_others(x_clock: Clock) -> None:
    """They are an argument of the server."""
    prices = XPrices(post_read=Decimal("0.5"))
    async with LoopbackX(["ada"], clock=x_clock, prices=prices) as x, aiohttp.ClientSession() as session:
        post = x.post_as("ada", "hello")
        await Caller(x, session).read("/2/tweets", ids=post.id)
        assert x.bill() == Decimal("0.5")


async def test_what_is_refused_is_not_charged(x_server: LoopbackX, x_caller: Caller) -> None:
    """Duplicates, answers to whoever has not called, texts that are too long."""
    silent = x_server.post_as("ada", "a quiet day")
    await x_caller.post("once")
    for text, answered in (("once", None), ("hello", silent.id), ("x" * 281, None)):
        assert (await x_caller.post(text, answered))[0] in (400, 403)
    assert x_server.bill_by_kind() == {"post created": Decimal("0.015")}


async def test_a_client_reckons_the_same_bill(x_server: LoopbackX) -> None:
    """The project's own client, by its own prices, over everything that it can do."""
    keys, prices = x_server.keys, Prices()
    call = x_server.post_as("ada", "@Mockingbird sing")
    x_server.post_as("Mockingbird", "", retweets=call.id)
    client_keys = ClientKeys(
        keys.bearer_token, keys.consumer_key, keys.consumer_secret, keys.access_token, keys.access_token_secret
    )
    async with XClient(client_keys, x_server.api_base) as client:
        own, ada = await client.me(), await client.user("ada")
        post_id = await client.post("plain")
        await client.post("with https://example.org")
        await client.delete(post_id)
        pages = [
            await client.timeline_page(own.id, handle=own.handle),
            await client.timeline_page(ada.id, handle=ada.handle),
        ]
    again = len(pages[0].included_ids & pages[1].post_ids) * prices.post_read  # twice on one day
    reckoned = 2 * prices.user_read + prices.post_create + prices.post_create_with_url + prices.post_delete
    assert x_server.bill() == reckoned + sum(page.cost(prices) for page in pages) - again


async def test_the_usage_of_the_month_counts_posts_that_were_read(
    x_server: LoopbackX, x_caller: Caller, x_clock: Clock
) -> None:
    """Day by day when asked for; a new month begins at nothing."""
    posts = [x_server.post_as("ada", f"number {n}").id for n in range(3)]
    await x_caller.read("/2/tweets", ids=",".join(posts[:2]))
    x_clock.move(days=1)
    await x_caller.read("/2/tweets", ids=posts[2])
    fields = "project_usage,project_cap,cap_reset_day,daily_project_usage"
    _, document = await x_caller.read("/2/usage/tweets", **{"usage.fields": fields, "days": "7"})
    usage = document["data"]
    assert (usage["project_usage"], usage["project_cap"], usage["cap_reset_day"]) == ("3", "3000000", 30)
    daily = [(day["date"][:10], day["usage"]) for day in usage["daily_project_usage"]["usage"]]
    assert daily == [("2026-03-02", "1"), ("2026-03-01", "2")]
    x_clock.move(days=30)
    assert (await x_caller.read("/2/usage/tweets"))[1]["data"]["project_usage"] == "0"
