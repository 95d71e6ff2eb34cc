"""The page that shows what a version was made of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bot.config import Training as Settings
from bot.database import Database
from bot.frontends.web.data import rows
from bot.shelf.figures import AccountLoss, Figures
from bot.shelf.manifest import HandleCounts
from bot.training.dataset import build
from bot.training.exploring import Explorer
from bot.training.ingredients import splits_of
from bot.training.trainings import TrainingState
from tests.frontends.chromium import CHROMIUM, tab
from tests.frontends.web_stage import Stage, stage, training
from tests.shelves import manifest
from tests.tiny_base import tiny_tokenizer
from tests.training.material import sentences, tweets

FIVE = ("crumb", "gerald_the_goat", "nell", "quay_provisions_of_hollin", "w" * 40)
HOSTILE = "<img src=x onerror=\"document.title='owned'\"> is what I said"


async def learned(rooms: Stage, persona: str, *handles: str) -> None:
    """A version of these accounts in use, made of twenty invented tweets and a retweet of each."""
    kept, counts = {}, []
    for number, handle in enumerate(handles):
        said = [*sentences(20 * number + 20)[20 * number :], "RT @bob: not mine", HOSTILE + handle]
        account = await rooms.store.add(handle, tweets(handle, said))
        kept[handle] = await rooms.store.kept(handle)
        fields = {name: getattr(account, name) for name in HandleCounts.model_fields}
        counts.append(HandleCounts.model_validate(fields))
    made = build(kept, Settings(min_characters=0), "0" * 64)
    version = manifest(persona, "v2").model_copy(
        update={
            "handles": tuple(handles),
            "counts": tuple(counts),
            "splits": splits_of(made, tiny_tokenizer(), Settings().balance),
            "fingerprint": made.fingerprint,
            "tweets_read_at": rooms.clock(),
            "hyperparameters": Settings().model_dump(mode="json"),
        }
    )
    rooms.shelf.place(rooms.shelf.staging(persona, "2"), version)
    rooms.shelf.use(persona, "v2")


@pytest.fixture
async def rooms(database: Database, tmp_path: Path) -> Stage:
    rooms = stage(database, tmp_path, "choir")
    await learned(rooms, "choir", *FIVE)
    return rooms


async def test_the_page_says_what_went_where_and_shows_no_markup_of_a_tweet(rooms: Stage) -> None:
    async with rooms.browser() as browser:
        await browser.open("/personas")
        assert 'href="/personas/choir/data"' in browser.html
        await browser.open("/personas/choir/data")
        assert browser.status == 200
        assert "downloaded 110 100 %" in browser.text
        assert "left out: retweets 5 5 %" in browser.text
        assert "training again would change nothing" in browser.text
        assert "onerror" in browser.text
        assert "<img src=x" not in browser.html
        assert all(f"@{handle}" in browser.text for handle in FIVE)


async def test_an_older_version_is_named_in_the_address(rooms: Stage) -> None:
    async with rooms.browser() as browser:
        await browser.open("/personas/choir/data?version=v1")
        assert "downloaded 300 100 %" in browser.text
        assert "older versions do not tell" in browser.text
        await browser.open("/personas/choir/data?version=v7")
        assert browser.status == 404
        await browser.open("/personas/nobody/data")
        assert browser.status == 404


async def test_of_an_adopted_version_it_says_that_nothing_is_known(rooms: Stage) -> None:
    nothing = {"handles": (), "counts": (), "splits": (), "fingerprint": "", "metrics": None, "adopted_from": "me/bot"}
    adopted = manifest("guest").model_copy(update=nothing)
    rooms.shelf.place(rooms.shelf.staging("guest", "1"), adopted)
    rooms.shelf.use("guest", "v1")
    async with rooms.browser() as browser:
        await browser.open("/personas/guest/data")
        assert browser.status == 200
        assert "It was adopted: somebody else trained it" in browser.text
        assert "downloaded" not in browser.text


async def test_a_training_leads_to_what_its_version_was_made_of(rooms: Stage) -> None:
    done = replace(training(1, TrainingState.PUBLISHED, "choir"), version="v2")
    await rooms.trainings.put(done)
    async with rooms.browser() as browser:
        await browser.open("/trainings/1")
        assert 'href="/personas/choir/data?version=v2"' in browser.html


async def test_the_bars_of_all_accounts_are_as_long_as_their_step(rooms: Stage) -> None:
    made = await Explorer(rooms.shelf, rooms.database.path, Settings()).of_version(rooms.shelf.current("choir"))
    drawn = list(rows(made))
    assert [row.title for row in drawn] == [
        "downloaded",
        "retweets",
        "kept",
        "known already",
        "learned from",
        "kept aside",
    ]
    for row in drawn:
        widths = [float(part.split('"')[0]) for part in row.bar.split('width="')[1:]]
        assert sum(widths) == pytest.approx(400 * row.tweets / 110, abs=0.5)


async def test_bits_per_byte_of_each_account_stand_beside_the_base_and_the_version_before(rooms: Stage) -> None:
    version = rooms.shelf.current("choir")
    losses = [
        AccountLoss(
            handle=handle,
            tweets=2,
            loss=3.0,
            bits_per_byte=1.0 + number / 10,
            base_loss=4.0,
            base_bits_per_byte=2.0,
            in_use_loss=3.5,
            in_use_bits_per_byte=1.75,
        )
        for number, handle in enumerate(FIVE)
    ]
    assert version.metrics is not None
    figures = Figures(accounts=tuple(losses), seconds=1.0)
    metrics = version.metrics.model_copy(update={"figures": figures, "previous_held_out_loss": 3.4})
    judged = version.model_copy(update={"version": "v3", "metrics": metrics})
    rooms.shelf.place(rooms.shelf.staging("choir", "3"), judged)
    rooms.shelf.use("choir", "v3")
    async with rooms.browser() as browser:
        await browser.open("/personas")
        assert "Held-out loss 3.100 3.400 3.900" in browser.text
        assert "of @crumb 1.000 1.750 2.000 −50 %" in browser.text
        assert "of @nell 1.200 1.750 2.000 −40 %" in browser.text


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium isn't on PATH")
async def test_in_a_browser_the_steps_stand_under_each_other_and_examples_open_by_keyboard(
    rooms: Stage, tmp_path: Path
) -> None:
    async with tab(tmp_path / "profile") as browser, rooms.frontend() as page:
        for width in (320, 390, 1280):
            await browser.show(f"{page.url}/personas/choir/data", width)
            assert await browser.ask("document.documentElement.scrollWidth") <= width
            edges = "[...document.querySelectorAll('.flow li .bar')].map((each) => each.getBoundingClientRect())"
            places = await browser.ask(f"{edges}.map((each) => [each.left, each.width, each.top])")
            assert len({(left, wide) for left, wide, _ in places}) == 1  # one scale for all
            assert places[0][1] > width / 3
            assert [top for _, _, top in places] == sorted(top for _, _, top in places)
        await browser.ask("document.querySelector('.flow summary').focus()")
        await browser.press("Enter")
        assert "not mine" in await browser.ask("document.querySelector('.flow details[open]').innerText")
        assert await browser.ask("document.title") == "choir v2, what it was made of · Mockingbird"
        assert browser.complaints == []
