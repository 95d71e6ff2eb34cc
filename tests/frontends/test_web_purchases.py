"""The web page where something is paid: what a fetch costs, a word of agreement, the fetch, the training; the ledger.

The page and X are both over real sockets; purchases, collector and ledger are the real ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from bot.config import X
from bot.database import Database
from bot.loopback.x import LoopbackX, XAccount, XRefusal
from bot.tweets.costs import Ledger
from bot.tweets.store import Basis
from bot.tweets.tweet import Source, Tweet
from tests.fakes import FakeClock
from tests.frontends.chromium import CHROMIUM, tab
from tests.frontends.web_stage import PATIENCE, Browser, Stage, stage
from tests.posting import sent
from tests.tweets.desk import PERMITTED, TIMELINE, contracts, desk_at


@pytest.fixture
async def x(clock: FakeClock) -> AsyncIterator[LoopbackX]:
    """X with an account of 120 posts and a protected one."""
    accounts = [XAccount("Mockingbird"), XAccount("Ada"), XAccount("recluse", protected=True)]
    async with LoopbackX(accounts, contracts()[0], clock=clock) as x:
        for number in range(120):
            at = clock.now - timedelta(minutes=120 - number)
            x.post_as("Ada", f"Wave number {number} came in.", created_at=at)
        yield x
    assert x.violations == []


@dataclass(frozen=True, slots=True)
class Scene:
    """The page, its rooms, and somebody who looks at it; what is agreed to is carried out."""

    rooms: Stage
    browser: Browser
    ledger: Ledger


async def scene_at(
    stack: AsyncExitStack, folder: Path, x: LoopbackX, clock: FakeClock, settings: X = PERMITTED, cap: str = "20.00"
) -> Scene:
    desk = await stack.enter_async_context(desk_at(folder / "scene.db", x, clock, settings, cap))
    rooms = stage(desk.database, folder, "nell", clock=clock, collector=desk.collector, ledger=desk.ledger)
    buying = asyncio.create_task(rooms.purchases.run())
    stack.push_async_callback(_end, buying)
    return Scene(rooms, await stack.enter_async_context(rooms.browser()), desk.ledger)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


@pytest.fixture
async def scene(tmp_path: Path, x: LoopbackX, clock: FakeClock) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        yield await scene_at(stack, tmp_path, x, clock)


def tweets(handle: str, count: int = 30) -> list[Tweet]:
    return [
        Tweet(handle, f"{n} loaves are in the oven", str(n), None, False, None, Source.ARCHIVE) for n in range(count)
    ]


async def until_at(browser: Browser, path: str) -> None:
    """Load the open page again, as one without a script does, until it leads there."""
    async with asyncio.timeout(PATIENCE):
        while browser.at != path:
            await asyncio.sleep(0.02)
            await browser.open(browser.at)


async def test_an_account_on_x_is_looked_up_priced_fetched_and_learned(scene: Scene, x: LoopbackX) -> None:
    browser = await scene.browser.open("/personas")
    assert "X this month: $0.00 of the cap of $20.00, $20.00 left." in browser.text
    await browser.submit("/train", others="@Ada", name="")
    assert browser.at == "/purchases/1"
    assert "Looking up who this is costs $0.01." in browser.text
    assert x.requests == []
    await browser.submit("/purchases/1/look-up")
    assert "@ada: about 120 posts, for about $0.60" in browser.text
    assert "It costs at most $1.50, or you are asked again." in browser.text
    assert "X this month: $0.01 of the cap of $20.00, $19.99 left." in browser.text
    assert x.bill() == Decimal("0.010")
    await browser.submit("/purchases/1/fetch")
    await until_at(browser, "/trainings/1")
    assert scene.rooms.trainings.requested == [(("ada",), None, "web")]
    assert await scene.ledger.month_total() == x.bill() == Decimal("0.610")


async def test_the_fetch_is_followed_by_an_open_page(scene: Scene, x: LoopbackX) -> None:
    browser = await scene.browser.open("/personas")
    await browser.submit("/train", others="ada")
    await browser.submit("/purchases/1/look-up")
    x.fail_next(TIMELINE, XRefusal.WINDOW)
    await browser.submit("/purchases/1/fetch")
    async with browser.events("/purchases/1/events?state=fetching") as events:
        assert "goes on at" in await events.html_with("no more requests")
    async with browser.events("/purchases/1/events?state=priced") as events:
        assert (await events.next() or ("",))[0] == "changed"


async def test_a_step_that_is_agreed_to_twice_is_taken_once(scene: Scene, x: LoopbackX) -> None:
    browser = await scene.browser.open("/personas")
    await browser.submit("/train", others="ada")
    form = browser.form("/purchases/1/look-up")
    for step in ("look-up", "fetch"):
        for _ in range(2):
            await browser.post(f"/purchases/1/{step}", form)
    await until_at(browser, "/trainings/1")
    assert len(scene.rooms.trainings.requested) == 1
    assert len([request for request in x.requests if request.route == TIMELINE]) == 2


async def test_nothing_is_agreed_to_without_the_pages_own_form(scene: Scene, x: LoopbackX) -> None:
    browser = await scene.browser.open("/personas")
    await browser.submit("/train", others="ada")
    await browser.post("/purchases/1/look-up", {"token": "guessed"})
    assert browser.status == 403
    await browser.post(
        "/purchases/1/look-up", browser_token(await browser.open("/personas")), {"Origin": "http://evil"}
    )
    assert browser.status == 403
    assert x.requests == []


def browser_token(browser: Browser) -> dict[str, str]:
    return {"token": browser.form("/train")["token"]}


async def test_what_is_stored_trains_at_once_with_a_second_button_to_fetch_first(scene: Scene, x: LoopbackX) -> None:
    await scene.rooms.store.add("ada", tweets("ada"), Basis.OWN)
    browser = await scene.browser.open("/personas")
    await browser.submit("/train", handle="ada")
    assert (browser.at, len(scene.rooms.trainings.requested)) == ("/trainings", 1)
    await browser.open("/personas")
    await browser.submit("/train", handle="ada", first="yes")
    assert browser.at == "/purchases/1"
    await browser.submit("/purchases/1/without")
    await until_at(browser, "/trainings/2")
    assert x.requests == []


async def test_invented_accounts_are_not_looked_for(scene: Scene, x: LoopbackX) -> None:
    await scene.rooms.store.add("crumb", tweets("crumb"), Basis.INVENTED)
    browser = await scene.browser.open("/personas")
    await browser.submit("/train", handle="crumb", first="yes")
    assert "These are invented accounts" in browser.text
    assert x.requests == []


async def test_the_channel_leads_to_the_price(scene: Scene) -> None:
    browser = await scene.browser.say("/train ada")
    await browser.page_with("Something has to be fetched from X first, and that has a price.", "See what it costs")
    assert 'href="/purchases/1"' in browser.html


@pytest.mark.parametrize(
    ("handle", "said"),
    [("recluse", "The account @recluse is protected"), ("nobody", "X has no account @nobody; check the spelling")],
)
async def test_an_account_that_can_not_be_read_is_one_sentence(scene: Scene, handle: str, said: str) -> None:
    browser = await scene.browser.open("/personas")
    await browser.submit("/train", others=handle)
    await browser.submit("/purchases/1/look-up")
    assert said in browser.text
    assert scene.rooms.trainings.requested == []


async def test_over_the_cap_and_without_permission_it_is_one_sentence(
    tmp_path: Path, x: LoopbackX, clock: FakeClock
) -> None:
    for name, settings, cap, said in (
        ("cap", PERMITTED, "0.009", "may cost $0.01, and $0.00 of this month's cap of $0.009 are spent"),
        ("permission", X(), "20.00", "i_have_permission_to_train = true"),
    ):
        (tmp_path / name).mkdir()
        async with AsyncExitStack() as stack:
            scene = await scene_at(stack, tmp_path / name, x, clock, settings, cap)
            browser = await scene.browser.open("/personas")
            await browser.submit("/train", others="ada")
            assert said in browser.text
    assert x.requests == []


async def test_where_x_is_off_no_page_speaks_of_money(database: Database, tmp_path: Path) -> None:
    rooms = stage(database, tmp_path, "nell")
    await rooms.store.add("nell", tweets("nell"), Basis.OWN)
    async with rooms.browser() as browser:
        for path in ("/personas", "/posts"):
            assert "$" not in (await browser.open(path)).text
        assert 'name="others"' not in (await browser.open("/personas")).html
        await browser.open("/purchases/1")
        assert browser.status == 409


async def test_the_page_of_costs_shows_what_was_paid_for_what(scene: Scene, x: LoopbackX, clock: FakeClock) -> None:
    browser = await scene.browser.open("/costs")
    assert "Nothing was paid." in browser.text
    clock.advance(days=-20)
    async with scene.ledger.hold("post", "nell", Decimal("0.015"), "Post 1") as call:
        await call.settle(1, Decimal("0.015"))
    clock.advance(days=20)
    async with scene.ledger.hold("fetch", "ada", Decimal("0.60"), "A call", 120) as call:
        await call.settle(120, Decimal("0.60"))
        with pytest.raises(LookupError):
            async with scene.ledger.hold("fetch", "ada", Decimal("0.50"), "A call", 100):
                raise LookupError
    async with scene.ledger.hold("fetch", "ada", Decimal("0.50"), "A call", 100):
        text = (await browser.open("/costs")).text
    assert "What X cost in 2026-11" in text and "$1.10 of $20.00" in text and "$18.40 left" in text
    assert "fetch ada main 220 $1.10" in text
    assert "Calls under way may cost $0.50 at most" in text
    assert "Of this, $0.50 are for calls that ended without an answer" in text
    assert "By account of ours: main $1.10" in text and "2026-11-01 $1.10" in text
    assert "2026-10 $0.015" in text
    assert "post nell main 1 $0.015" in (await browser.open("/costs/2026-10")).text
    assert "A post costs $0.015, one with a link $0.20" in (await browser.open("/posts")).text


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium isn't on PATH")
@pytest.mark.parametrize("width", [320, 390, 1280])
async def test_in_a_browser_it_goes_from_price_to_training_and_fits(
    tmp_path: Path, scene: Scene, x: LoopbackX, width: int
) -> None:
    async with tab(tmp_path / "profile") as browser:
        await browser.show(f"{scene.browser.url}/personas", width)
        await browser.ask("document.getElementById('others').focus()")
        await browser.type("ada")
        await browser.press("Enter")
        await browser.until("document.body.innerText.includes('Look up for $0.01')")
        assert await browser.ask("document.documentElement.scrollWidth") <= width
        await browser.ask("document.querySelector('.foot button').focus()")
        await browser.press("Enter")
        await browser.until("document.body.innerText.includes('Fetch for $0.60 and train')")
        assert await browser.ask("document.documentElement.scrollWidth") <= width
        await browser.ask("document.querySelector('.foot button').focus()")
        await browser.press("Enter")
        await browser.until("location.pathname === '/trainings/1'")
        await browser.show(f"{scene.browser.url}/costs", width)
        assert await browser.ask("document.documentElement.scrollWidth") <= width
        assert browser.complaints == []


async def test_a_post_is_deleted_from_x_for_a_price_that_is_said_first(scene: Scene, clock: FakeClock) -> None:
    posts, browser = scene.rooms.posts, scene.browser
    await posts.propose("main", "nell")
    await posts.approve(1, "web")
    await sent(scene.rooms.database, clock, 1, "77")
    await browser.open("/posts/1")
    assert "It can't be undone. Delete for $0.01" in browser.text
    await browser.submit("/posts/1/delete")
    assert "Post 1 is taken back from X at the account's next turn." in browser.text
    assert "Delete for" not in browser.text
    assert (await posts.post(1)).delete_wanted_by == "web"
    assert "being deleted" in (await browser.open("/posts")).text
