"""The approval desk on the page: what is decided there, and that nothing typed is lost."""

from __future__ import annotations

import html
import io
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import aiohttp
import pytest
from PIL import Image

from bot.config import X
from bot.database import Database
from bot.replies.desk import Shown
from bot.replies.posts import PostState
from bot.training.decisions import Decisions, What
from bot.training.trainings import TrainingState
from tests.fakes import FakeSpeaker
from tests.frontends.web_stage import Browser, Stage, stage, training
from tests.posting import handed_over, sent
from tests.shelves import manifest

LONG = "The lamp was lit at seven. " * 20


@pytest.fixture
def rooms(database: Database, tmp_path: Path) -> Stage:
    accounts = {"main": X(time_zone="Europe/Berlin"), "second": X(persona="crumb")}
    return stage(database, tmp_path, "nell", "crumb", accounts=accounts)


def png(color: str = "red") -> bytes:
    """A small picture."""
    target = io.BytesIO()
    Image.new("RGB", (8, 8), color).save(target, "PNG")
    return target.getvalue()


async def upload(browser: Browser, number: int, picture: bytes | None, **fields: str) -> None:
    """Send the form with the picture, as a browser does."""
    action = f"/posts/{number}/picture"
    form = aiohttp.FormData({**browser.form(action), **fields})
    form.add_field(
        "picture", io.BytesIO(picture or b""), filename="harbour.png" if picture else "", content_type="image/png"
    )
    async with browser.session.post(browser.url + action, data=form, headers={"Origin": browser.url}) as response:
        await browser._see(response)


async def test_drafts_of_all_accounts_wait_with_their_figures(rooms: Stage) -> None:
    await rooms.posts.propose("main", "nell")
    await rooms.posts.propose("second", "crumb")
    async with rooms.browser() as browser:
        await browser.open("/posts")
    for shown in ("Account main", "Account second", "Length 14 of 280", "Novelty 90 %", "Offence", "Expires"):
        assert shown in browser.text
    assert "Drafts are not ranked by decisions yet: 0 of at least 40 are there" in browser.text


async def test_an_edited_text_is_shown_in_its_parts_before_it_is_approved(rooms: Stage) -> None:
    await rooms.posts.propose("main", "nell")
    async with rooms.browser() as browser:
        await browser.open("/posts/1")
        await browser.submit("/posts/1/edit", text=LONG)
        assert "Post 1 has the new text, and still waits for your yes." in browser.text
        assert "Length a thread of 2" in browser.text and browser.html.count('<li class="text"') == 2
        assert "What the model said tweet number 1" in browser.text
        assert "Novelty, score and voice were measured on what the model said." in browser.text
        await browser.submit("/posts/1/approve")
    assert [part.of for part in await rooms.posts.parts(1)] == [2, 2]


@pytest.mark.parametrize(
    ("form", "fields", "problem"),
    [
        ("edit", {"text": "Buy $AAA and $BBB now, both of them"}, "X allows one cashtag"),
        ("later", {"at": "2020-01-01T10:00"}, "2020-01-01T10:00 is past in Europe/Berlin."),
        ("later", {"at": "tomorrow-ish"}, "That is no time."),
        ("later", {"at": "9999-12-31T23:59"}, "more than a year away"),
        ("refuse", {"reason": "too long " * 60}, "The reason has more than 500 characters."),
    ],
)
async def test_what_was_refused_comes_back_as_it_was_typed(
    rooms: Stage, form: str, fields: dict[str, str], problem: str
) -> None:
    await rooms.posts.propose("main", "nell")
    async with rooms.browser() as browser:
        await browser.open("/posts/1")
        await browser.submit(f"/posts/1/{form}", None, **fields)
        assert browser.status == 409
        assert problem in browser.text
        assert next(iter(fields.values())) in html.unescape(browser.html)
    assert len(await rooms.posts.waiting()) == 1


async def test_what_somebody_wrote_for_a_post_that_was_decided_meanwhile_is_still_there(rooms: Stage) -> None:
    await rooms.posts.propose("main", "nell")
    async with rooms.browser() as browser:
        await browser.open("/posts/1")
        form = browser.form("/posts/1/edit")
        await rooms.posts.approve(1, "somebody else")
        await browser.post("/posts/1/edit", form | {"text": "A better one about the ferry."})
    assert "Post 1 is approved already, so nothing was changed." in browser.text
    assert "What you had written A better one about the ferry." in browser.text


async def test_only_what_was_seen_is_approved(rooms: Stage) -> None:
    await rooms.posts.propose("main", "nell")
    async with rooms.browser() as browser:
        await browser.open("/posts")
        await rooms.posts.edit(1, "Something that nobody at the page has seen.", "somebody else")
        await browser.submit("/posts/1/approve")
        assert "Post 1 was changed meanwhile, so nothing was done." in browser.text
        await browser.submit("/posts/1/approve")
        assert "Post 1 is approved" in browser.text


async def test_a_post_is_approved_for_a_moment_in_the_accounts_time_zone(rooms: Stage) -> None:
    await rooms.posts.propose("main", "nell")
    async with rooms.browser() as browser:
        await browser.open("/posts/1")
        assert "Europe/Berlin" in browser.text and 'min="2026-11-01T13:01"' in browser.html
        await browser.submit("/posts/1/later", at="2026-11-02T18:05")
        assert "goes out from 2 Nov 2026, 18:05 (Europe/Berlin) on." in browser.text
        assert "approved for later" in browser.text
        await browser.open("/posts/1")
        assert "It goes out from 2 Nov 2026, 17:05 UTC on." in browser.text and "next turn" not in browser.text
    at = (await rooms.posts.post(1)).not_before
    assert at is not None and f"{at.astimezone(ZoneInfo('Europe/Berlin')):%d %H:%M}" == "02 18:05"


async def test_another_draft_takes_the_place_of_one(rooms: Stage) -> None:
    await rooms.posts.propose("main", "nell")
    async with rooms.browser() as browser:
        await browser.open("/posts")
        await browser.submit("/posts/1/another")
        assert "Post 2 has taken the place of post 1." in browser.text
    assert [post.id for post in await rooms.posts.waiting()] == [2]


async def test_a_post_is_refused_with_a_reason_even_after_it_was_approved(rooms: Stage) -> None:
    await rooms.posts.propose("main", "nell")
    await rooms.posts.approve(1, "somebody else")
    async with rooms.browser() as browser:
        await browser.open("/posts/1")
        await browser.submit("/posts/1/refuse", reason="The ferry is not ours.")
        assert "refused nell" in browser.text and "The ferry is not ours." in browser.text
    assert (await rooms.posts.post(1)).state is PostState.REFUSED


async def test_a_picture_goes_with_a_post_and_nothing_of_it_stays_when_it_is_taken_away(rooms: Stage) -> None:
    await rooms.posts.propose("main", "nell")
    async with rooms.browser() as browser:
        await browser.open("/posts/1")
        await upload(browser, 1, png(), alt_text="A red  field")
        post = await rooms.posts.post(1)
        assert post.alt_text == "A red field"
        assert f'src="/pictures/{post.picture}" alt="A red field"' in browser.html
        async with browser.session.get(f"{browser.url}/pictures/{post.picture}") as response:
            assert (response.content_type, response.status) == ("image/png", 200)
        await upload(browser, 1, png("blue"), alt_text="A blue field")
        assert len([*rooms.pictures.iterdir()]) == 1
        await browser.submit("/posts/1/picture", step="remove")
        assert (await rooms.posts.post(1)).picture is None
        assert [*rooms.pictures.iterdir()] == []


async def test_a_picture_stays_where_only_its_description_is_too_long(rooms: Stage) -> None:
    await rooms.posts.propose("main", "nell")
    async with rooms.browser() as browser:
        await browser.open("/posts/1")
        await upload(browser, 1, png(), alt_text="much " * 300)
        assert "The description has more than 1,000 characters." in browser.text
        assert "much " * 300 in browser.html
    assert (await rooms.posts.post(1)).picture is not None


@pytest.mark.parametrize("picture", [None, b"GIF89a", b"x" * 5_300_000])
async def test_what_is_no_picture_is_refused_with_what_was_typed(rooms: Stage, picture: bytes | None) -> None:
    await rooms.posts.propose("main", "nell")
    async with rooms.browser() as browser:
        await browser.open("/posts/1")
        await upload(browser, 1, picture, alt_text="The harbour")
        assert 'role="alert"' in browser.html or browser.status == 413
        assert browser.status == 413 or 'value="The harbour"' in browser.html
    assert (await rooms.posts.post(1)).picture is None


async def test_nothing_but_a_picture_may_be_large(rooms: Stage) -> None:
    await rooms.posts.propose("main", "nell")
    async with rooms.browser() as browser:
        await browser.open("/posts/1")
        await browser.submit("/posts/1/edit", text="x" * 100_000)
    assert browser.status == 413


@pytest.mark.parametrize("name", ["..%2Fmockingbird.db", "0" * 32 + ".png", "x.png"])
async def test_no_other_file_is_served(rooms: Stage, name: str) -> None:
    async with rooms.browser() as browser:
        assert (await browser.open(f"/pictures/{name}")).status == 404


async def test_what_became_of_the_rest_is_said(rooms: Stage, database: Database) -> None:
    for _ in range(3):
        await rooms.posts.propose("main", "nell")
    for number in (1, 2):
        await rooms.posts.approve(number, "web")
    await sent(database, rooms.clock, 1, "77")
    outbox, part = await handed_over(database, rooms.clock, 2)
    await outbox.doubtful(part, "X did not answer in time.")
    rooms.clock.now += timedelta(days=20)
    async with rooms.browser() as browser:
        await browser.open("/posts")
        assert "on X nell" in browser.text and "id 77" in browser.text
        assert "being looked for on X" in browser.text and "It settles itself" in browser.text
        assert "waited too long" in browser.text
        assert "Nothing waits for you." in browser.text


async def test_posts_of_an_account_that_the_settings_name_no_more_can_be_looked_at_and_refused(
    rooms: Stage, database: Database, tmp_path: Path
) -> None:
    await rooms.posts.propose("second", "crumb")
    later = stage(database, tmp_path / "later", "nell", accounts={"main": X()})
    async with later.browser() as browser:
        assert (await browser.open("/posts/1")).status == 200
        await browser.submit("/posts/1/approve", None)
        assert "There is no account 'second' in the settings." in browser.text
        await browser.open("/posts/1")
        await browser.submit("/posts/1/refuse")
        assert "Post 1 is refused" in browser.text


async def test_of_a_thread_only_what_still_stands_is_to_be_paid_for_when_it_is_deleted(
    rooms: Stage, database: Database
) -> None:
    await rooms.posts.propose("main", "nell")
    await rooms.posts.edit(1, LONG, "ann")
    await rooms.posts.approve(1, "ann")
    outbox, part = await handed_over(database, rooms.clock, 1)
    await outbox.arrived(part, "77")
    second = await outbox.next_part(1)
    assert second is not None and await outbox.take(second)
    await outbox.arrived(second, "78")
    assert Shown.of(await rooms.posts.post(1), tuple(await rooms.posts.parts(1))).standing == 2
    await outbox.published.gone(["78"])
    assert Shown.of(await rooms.posts.post(1), tuple(await rooms.posts.parts(1))).standing == 1


async def test_where_x_is_off_the_list_says_that_nothing_goes_out(rooms: Stage) -> None:
    async with rooms.browser() as browser:
        await browser.open("/posts")
    assert "X is off, so nothing goes out." in browser.text


async def test_what_goes_out_without_approval_says_so(database: Database, tmp_path: Path) -> None:
    rooms = stage(database, tmp_path, "nell", accounts={"main": X(approval=False)})
    async with rooms.browser() as browser:
        await browser.open("/posts")
        await browser.submit("/posts", persona="nell")
    assert "nell wrote post 1. It goes out at its account's next turn." in browser.text


async def test_a_long_list_does_not_hide_what_was_decided(database: Database, tmp_path: Path) -> None:
    rooms = stage(database, tmp_path, "nell", speaker=FakeSpeaker())
    await rooms.posts.propose("main", "nell")
    await rooms.posts.refuse(1, "web", "Not that one.")
    for _ in range(25):
        await rooms.posts.propose("main", "nell")
    async with rooms.browser() as browser:
        await browser.open("/posts")
    assert "Not that one." in browser.text


async def test_a_trainings_page_shows_what_it_changed(rooms: Stage) -> None:
    """Once somebody has looked, which the service does when a retraining ends."""
    rooms.shelf.place(rooms.shelf.staging("nell", "2"), manifest("nell", "v2"))
    decisions = Decisions(rooms.database, rooms.shelf, rooms.clock)
    await decisions.use("nell", "v2", What.USED, "It is better.", "retraining", training=1)
    decision = await decisions.of_training(1)
    assert decision is not None
    await rooms.changes.after(decision)
    await rooms.trainings.put(replace(training(1, TrainingState.PUBLISHED), version="v2"))
    async with rooms.browser() as browser:
        await browser.open("/personas")
        assert '<a href="/trainings/1">what it changed</a>' in browser.html
        await browser.open("/trainings/1")
    assert "v1 and v2 It learned from 0 new tweets. v2 speaks from now on." in browser.text
    assert "v1, seed 1 tweet number 1 v2, seed 1 tweet number 6" in browser.text
