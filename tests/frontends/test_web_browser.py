"""The web page in a real browser: live without reloading, by keyboard alone, at the width of a phone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.database import Database
from bot.errors import Busy
from bot.training.trainings import TrainingPoint, TrainingState
from bot.tweets.tweet import Source, Tweet
from tests.fakes import FakeSpeaker
from tests.frontends.chromium import CHROMIUM, Tab, tab
from tests.frontends.web_stage import Stage, stage, training

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium isn't on PATH")

LONG = "<img src=x onerror=\"document.title='owned'\"> " + "longwinded" * 40
LONG_HANDLE = "w" * 40
SAYS = "document.getElementById('lines').innerText.includes"

CONTROLS = (
    "[...document.querySelectorAll('a, button, select, summary, textarea, input:not([type=hidden], [type=radio])')]"
    ".filter((each) => each.checkVisibility())"
)
FOCUS = """(() => {
    const at = document.activeElement;
    const place = at === document.body ? "BODY" : [...document.querySelectorAll("*")].indexOf(at) + at.outerHTML;
    return [place, getComputedStyle(at.closest(".chip") ?? at).outlineStyle !== "none"];
})()"""


@pytest.fixture
def rooms(database: Database, tmp_path: Path) -> Stage:
    return stage(database, tmp_path, "nell", "crumb", speaker=FakeSpeaker([LONG]))


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Tab]:
    async with tab(tmp_path / "profile") as opened:
        yield opened
        assert opened.complaints == []


def tweets_of(handle: str) -> list[Tweet]:
    """A few tweets, from the widest to the plainest, over a year."""
    texts = (LONG, "The ferry is late again today.", "RT @bob: not mine", "wow", "x" * 300 + " in two words")
    first = datetime(2025, 11, 1, tzinfo=UTC)
    return [
        Tweet(handle, text, str(number), first + timedelta(days=80 * number), False, None, Source.TABLE)
        for number, text in enumerate(texts)
    ]


async def say(browser: Tab, text: str) -> None:
    """Write that and press Enter."""
    await browser.ask("document.getElementById('text').focus()")
    await browser.type(text)
    await browser.press("Enter")


async def test_an_answer_appears_without_a_reload(rooms: Stage, browser: Tab) -> None:
    rooms.speaker.free.clear()
    async with rooms.frontend() as page:
        await browser.show(page.url)
        await browser.ask("window.sameAsBefore = true")
        await say(browser, "hello there")
        await browser.until(f"{SAYS}('hello there') && {SAYS}('thinking')")
        rooms.speaker.free.set()
        await browser.until(f"{SAYS}('longwinded') && !{SAYS}('thinking')")
        assert await browser.ask("window.sameAsBefore && document.getElementById('text').value === ''")
        assert await browser.ask("document.getElementById('empty')") is None
        await say(browser, "@crumb and you?")
        await browser.until(f"{SAYS}('crumb') && {SAYS}('tweet number 6')")
        assert await browser.ask("document.title") == "Channel · Mockingbird"


async def test_what_failed_can_be_tried_again_in_place(rooms: Stage, browser: Tab) -> None:
    rooms.speaker.failure = Busy("Many are waiting.", 5)
    async with rooms.frontend() as page:
        await browser.show(page.url)
        await say(browser, "hello")
        await browser.until(f"{SAYS}('Many are waiting.')")
        rooms.speaker.failure = None
        await browser.ask("document.querySelector('.again button').focus()")
        await browser.press("Enter")
        await browser.until(f"{SAYS}('longwinded')")


async def test_an_open_page_goes_on_after_a_restart(rooms: Stage, browser: Tab) -> None:
    async with rooms.frontend() as page:
        await browser.show(page.url)
        await say(browser, "hello")
        await browser.until(f"{SAYS}('longwinded')")
        port = int(page.url.rpartition(":")[2])
    await say(browser, "is anybody there?")
    await browser.until("document.getElementById('status').innerText.includes('Your message is still here')")
    assert await browser.ask("document.getElementById('text').value") == "is anybody there?"
    async with rooms.frontend(port=port):
        await browser.until("document.getElementById('status').innerText === ''")
        await browser.press("Enter")
        await browser.until(f"{SAYS}('tweet number 6')")
        assert await browser.ask(f"{SAYS}('longwinded')")
    browser.complaints.clear()  # the failed request is one, and meant


async def test_a_training_moves_while_one_looks(rooms: Stage, browser: Tab) -> None:
    running = replace(training(1, TrainingState.RUNNING), point=TrainingPoint(step=1, steps=120, loss=4.0))
    rooms.trainings.measured[1] = [TrainingPoint(step=1, steps=120, loss=4.0)]
    await rooms.trainings.put(running)
    async with rooms.frontend() as page:
        await browser.show(f"{page.url}/trainings")
        await browser.until("document.querySelector('.figures').innerText.includes('4.000')")
        newer = TrainingPoint(step=60, steps=120, loss=3.25)
        rooms.trainings.measured[1].append(newer)
        await rooms.trainings.put(replace(running, point=newer))
        await browser.until("document.querySelector('.figures').innerText.includes('3.250')")
        assert await browser.ask("document.querySelector('.curve .loss').getTotalLength()") > 0
        await rooms.trainings.put(replace(running, state=TrainingState.FAILED, reason="The disk is full."))
        await browser.until("document.body.innerText.includes('The disk is full.')")


async def test_the_keyboard_reaches_everything_and_shows_where_it_is(rooms: Stage, browser: Tab) -> None:
    await rooms.posts.propose("main", "nell")
    await rooms.store.add("nell", tweets_of("nell"))
    async with rooms.frontend() as page:
        for path in (
            "/",
            "/personas",
            "/personas/nell/data",
            "/accounts",
            "/accounts/nell",
            "/trainings",
            "/posts",
            "/posts/1",
        ):
            await browser.show(page.url + path)
            await browser.ask("document.activeElement.blur()")
            wanted = await browser.ask(f"{CONTROLS}.length")
            reached, hidden = set(), set()
            for _ in range(wanted + 12):  # a field for a date has several stops
                await browser.press("Tab")
                place, is_shown = await browser.ask(FOCUS)
                reached.add(place)
                if not is_shown:
                    hidden.add(place)
            assert len(reached - {"BODY"}) >= wanted, (path, reached)
            assert hidden <= {"BODY"}, path


async def test_the_figures_behind_a_picture_open_by_keyboard(rooms: Stage, browser: Tab) -> None:
    await rooms.store.add("nell", tweets_of("nell"))
    async with rooms.frontend() as page:
        await browser.show(f"{page.url}/accounts/nell")
        pictures = "[...document.querySelectorAll('svg[role=img]')].map((each) => each.getAttribute('aria-label'))"
        activity, lengths = await browser.ask(pictures)
        assert activity.startswith("Tweets from 2025-11 to 2026-09: 5,")
        assert lengths.startswith("Lengths of learned tweets: half have at most")
        await browser.ask("document.querySelector('summary').focus()")
        assert not await browser.ask("document.querySelector('details').open")
        await browser.press("Enter")
        assert "2026-09" in await browser.ask("document.querySelector('details table').innerText")
        columns = "document.querySelector('.columns .whole').getBoundingClientRect()"
        assert await browser.ask(f"{columns}.width > 300 && {columns}.height > 40")


async def test_a_persona_is_chosen_by_keyboard(rooms: Stage, browser: Tab) -> None:
    async with rooms.frontend() as page:
        await browser.show(page.url)
        await browser.ask("document.querySelector('.chip :checked').focus()")
        await browser.press("ArrowDown")
        chosen = await browser.ask("document.querySelector('.chip :checked').value")
        await say(browser, "hello")
        await browser.until(f"{SAYS}('longwinded')")
        assert rooms.speaker.asked == [(chosen, "hello")]
        assert chosen == "crumb"


@pytest.mark.parametrize("width", [320, 390, 1280])
async def test_nothing_is_wider_than_the_window(rooms: Stage, browser: Tab, width: int) -> None:
    await rooms.posts.propose("main", "nell")  # takes the long text and two more
    await rooms.store.add(LONG_HANDLE, tweets_of(LONG_HANDLE))
    await rooms.trainings.put(replace(training(1, TrainingState.FAILED), reason="long" * 100))
    async with rooms.frontend() as page:
        await browser.show(page.url, width)
        await say(browser, "x" * 500)
        await browser.until(f"{SAYS}('tweet number 4')")
        for path in (
            "/",
            "/personas",
            "/personas/nell/data",
            "/accounts",
            f"/accounts/{LONG_HANDLE}",
            "/trainings",
            "/trainings/1",
            "/posts",
            "/posts/1",
            "/nothing",
        ):
            await browser.show(page.url + path, width)
            assert await browser.ask("document.documentElement.scrollWidth") <= width, path
    browser.complaints.clear()  # the page that does not exist is one, and meant


async def test_a_label_stands_at_every_field(rooms: Stage, browser: Tab) -> None:
    await rooms.posts.propose("main", "nell")
    async with rooms.frontend("password") as page:
        await browser.show(page.url)
        unlabelled = (
            "[...document.querySelectorAll('input:not([type=hidden]), select, textarea')]"
            ".filter((each) => !each.labels.length)"
        )
        assert await browser.ask(f"{unlabelled}.length") == 0
        await browser.ask("document.getElementById('password').focus()")
        await browser.type("password")
        await browser.press("Enter")
        await browser.until("document.title === 'Channel · Mockingbird'")
        for path in ("/", "/personas", "/accounts", "/posts", "/posts/1"):
            await browser.show(page.url + path)
            assert await browser.ask(f"{unlabelled}.length") == 0, path
            assert await browser.ask("document.querySelectorAll('h1').length") == 1


async def test_a_post_is_edited_approved_for_later_and_refused_without_a_mouse(rooms: Stage, browser: Tab) -> None:
    for _ in range(2):
        await rooms.posts.propose("main", "crumb")
    says = "document.body.innerText.includes"
    async with rooms.frontend() as page:
        await browser.show(f"{page.url}/posts/1")
        await browser.ask("document.getElementById('text').select(); document.getElementById('text').focus()")
        await browser.type("The oven was lit at five, as it is on every day that has bread in it. " * 6)
        await browser.press("Tab")
        await browser.press("Enter")
        await browser.until(f"{says}('a thread of 2') && document.querySelectorAll('.thread li').length === 2")
        await browser.ask("document.getElementById('at').value = '2026-11-05T18:05'")
        await browser.ask("document.getElementById('at').form.querySelector('button').focus()")
        await browser.press("Enter")
        await browser.until(f"{says}('goes out from 5 Nov 2026, 18:05 (UTC) on.')")
        await browser.ask("document.querySelector('.refusal summary').focus()")
        await browser.press("Enter")
        await browser.press("Tab")
        await browser.type("Not about bread again.")
        await browser.press("Enter")
        await browser.until(f"{says}('Post 2 is refused and will not go out.')")
    assert (await rooms.posts.post(2)).reason == "Not about bread again."


async def test_a_form_is_sent_once_until_somebody_comes_back_to_it(rooms: Stage, browser: Tab) -> None:
    send = "document.querySelector('.propose').dispatchEvent(new Event('submit', {bubbles: true, cancelable: true}))"
    async with rooms.frontend() as page:
        await browser.show(f"{page.url}/posts")
        assert [await browser.ask(send), await browser.ask(send)] == [True, False]
        await browser.ask("window.dispatchEvent(new Event('pageshow'))")
        assert await browser.ask(send)
