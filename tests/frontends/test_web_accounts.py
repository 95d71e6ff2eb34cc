"""The pages about accounts: whose tweets are here, and what one account is like."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bot.database import Database
from bot.tweets.cleaning import Verdict
from bot.tweets.store import Basis
from bot.tweets.tweet import Source, Tweet
from tests.frontends.web_stage import Browser, Stage, stage

FIRST = datetime(2024, 1, 30, tzinfo=UTC)
TEXTS = (
    "The ferry is late again and nobody on the pier seems to mind.",
    "Ich glaube, wir brauchen heute alle noch mehr Kaffee 😀 https://t.co/abc",
    "The gulls have learned to open the lunch boxes by themselves.",
    "RT @bob: <script>alert(1)</script> somebody else's words",
    "wow",
)


@pytest.fixture
def rooms(database: Database, tmp_path: Path) -> Stage:
    return stage(database, tmp_path, "nell")


async def fill(rooms: Stage, handle: str = "nell") -> None:
    """Five tweets over a few months: three kept, a retweet, a short one."""
    tweets = [
        Tweet(handle, text, str(number), FIRST + timedelta(days=30 * number), False, None, Source.ARCHIVE)
        for number, text in enumerate(TEXTS)
    ]
    await rooms.store.add(handle, tweets)


def pictures(browser: Browser) -> list[str]:
    """What the pictures of the open page say to those who don't see them."""
    found = re.findall(r"<svg.*?</svg>", browser.html, re.DOTALL)
    labels = [ElementTree.fromstring(picture).get("aria-label") for picture in found]
    return [label for label in labels if label]


async def test_the_list_says_whose_tweets_are_here_and_why_they_may_be_learned(rooms: Stage) -> None:
    await fill(rooms)
    await fill(rooms, "crumb")
    await rooms.store.set_basis("crumb", Basis.OWN)
    async with rooms.database.transaction() as transaction:
        await transaction.run("UPDATE accounts SET fetched_at = '2026-10-31T23:59:00+00:00' WHERE handle = 'crumb'")
    async with rooms.browser() as browser:
        await browser.open("/accounts")
    crumb, nell = re.findall(r"@crumb.*(?=@nell)|@nell.*", browser.text)
    for each in (crumb, nell):
        assert "too little to learn from 3 of 5 tweets kept, 30 Jan 2024 to 29 May 2024" in each
    assert "own archive · fetched from X 31 Oct 2026, 23:59 UTC" in crumb
    assert "not recorded why it may be learned · never fetched from X" in nell
    assert 'href="/accounts/nell"' in browser.html


@pytest.mark.parametrize("basis", [*Basis, None])
async def test_every_basis_has_words(rooms: Stage, basis: Basis | None) -> None:
    from bot.frontends.web.accounts import BASES

    assert len(BASES[basis]) > 5


async def test_the_portrait_is_shown_in_figures_and_pictures(rooms: Stage) -> None:
    await fill(rooms)
    async with rooms.browser() as browser:
        await browser.open("/accounts/@Nell")
    assert browser.status == 200
    for words in (
        "@nell 5 tweets, 30 Jan 2024 to 29 May 2024 . 3 are kept to learn from",
        "kept 3 60 % learned",
        "retweet 1 20 % passed on, somebody else's words",
        "short 1 20 % too few plain words",
        "Read from an X archive (5)",
        "2024-03 1 1",
        "41 to 60 1",
        "English 2 67 % German 1 33 %",
        "links 1 25 %",
        "emoji 1 25 %",
        "Of 4 tweets that are no retweets",
        "Short: too few plain words wow",
        TEXTS[0],
    ):
        assert words in browser.text, words
    activity, lengths = pictures(browser)
    assert activity == "Tweets from 2024-01 to 2024-05: 5, 3 of them learned; most in 2024-01, 1"
    assert lengths.startswith("Lengths of learned tweets: half have at most 61 characters")


async def test_a_tweet_is_only_text(rooms: Stage) -> None:
    await fill(rooms)
    async with rooms.browser() as browser:
        await browser.open("/accounts/nell")
    assert "<script>alert" not in browser.html
    assert "RT @bob: <script>alert(1)</script>" in browser.text or "RT @bob: alert(1)" in browser.text


async def test_an_account_without_tweets_says_so(rooms: Stage) -> None:
    await rooms.store.set_basis("nell", Basis.PERMISSION)
    async with rooms.browser() as browser:
        await browser.open("/accounts/nell")
        assert "No tweets of this account are here yet." in browser.text
        assert "0 of 0 tweets kept written permission" in (await browser.open("/accounts")).text


@pytest.mark.parametrize("handle", ["nobody", "%3Cb%3E", "..%2F..%2Fetc", "a" * 500, "%00"])
async def test_an_unknown_account_is_a_sentence(rooms: Stage, handle: str) -> None:
    async with rooms.browser() as browser:
        await browser.open(f"/accounts/{handle}")
    assert browser.status == 404
    assert "<b>" not in re.sub(r"<main.*?<h1", "", browser.html)


async def test_pages_lead_to_each_other(rooms: Stage) -> None:
    await fill(rooms)
    async with rooms.browser() as browser:
        await browser.open("/personas")
        assert 'href="/accounts/nell"' in browser.html  # learned from
        assert 'href="/accounts"' in browser.html
        await browser.open("/accounts/nell")
        assert re.search(r'<a href="/accounts" aria-current="page">', browser.html)


async def test_whose_tweets_are_not_here_is_no_link(rooms: Stage) -> None:
    async with rooms.browser() as browser:
        await browser.open("/personas")
    assert "@nell" in browser.text
    assert 'href="/accounts/nell"' not in browser.html


async def test_every_verdict_has_a_colour(rooms: Stage) -> None:
    from bot.frontends.web.rendering import STATIC

    sheet = (STATIC / "page.css").read_text(encoding="utf-8")
    for number, verdict in enumerate(Verdict):
        assert f".bar .shade-{number} {{" in sheet, verdict
        assert f".key.shade-{number}::before" in sheet, verdict
