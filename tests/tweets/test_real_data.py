"""Real tweets of thirteen sets: the counts and texts that the ancestor's own rules give, to the letter.

The data are third-party and not part of the repository: MOCKINGBIRD_TEST_TWEETS names their folder.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.database import Database
from bot.tweets.cleaning import Profile, Verdict, clean, is_short, judge
from bot.tweets.counts import count
from bot.tweets.reading import read
from bot.tweets.store import TweetStore
from bot.tweets.tweet import Tweet
from tests.fakes import FakeClock

FOLDER = os.environ.get("MOCKINGBIRD_TEST_TWEETS")
pytestmark = pytest.mark.skipif(not FOLDER, reason="MOCKINGBIRD_TEST_TWEETS names no folder")

# Tweets with in_reply_to_user_id and no reference of type replied_to: replies for us, not in that set's figure.
DIRECTED = {"api_v2_timeline_ObservatoryTeam": 1}
VERDICTS = {"ok": "ok", "warning(<40000)": "little"}  # the ancestor's words, ours


def expected() -> dict[str, Any]:
    """Every set of EXPECTED.json that holds tweets of accounts (the others are single answers of the API)."""
    if not FOLDER:
        return {}
    sets = json.loads((Path(FOLDER) / "EXPECTED.json").read_text(encoding="utf-8"))
    return {name: each for name, each in sets.items() if "records" in each}


SETS = expected()
ONE_ACCOUNT = [name for name in SETS if name != "noaa_multi"]


def tweets_of(name: str) -> list[Tweet]:
    """The set's tweets in file order; `noaa_multi:NOAA` is one account of the set before the colon."""
    group, _, account = name.partition(":")
    path = Path(FOLDER or "") / SETS[name]["path"]
    handle = account or (group if group in ("nasa", "potus_biden", "dog_rates") else None)  # these files do not say
    reading = read(path, handle)
    assert reading.skipped == []
    assert len(reading.tweets) == 1
    return list(next(iter(reading.tweets.values())))


def sources() -> Iterator[tuple[str, Path]]:
    for name in ONE_ACCOUNT:
        path = SETS[name]["path"]
        if "/unzipped/" in path:
            yield name, next((Path(FOLDER or "") / path.partition("/unzipped/")[0]).glob("*.zip"))


@pytest.mark.parametrize("name", ONE_ACCOUNT)
def test_the_ancestors_counts_and_texts(name: str) -> None:
    figures = SETS[name]
    tweets = tweets_of(name)
    judged = judge(tweets, Profile.HUGGINGTWEETS)
    counts = count(name, judged)
    kept = [each.cleaned for each in judged if each.verdict is Verdict.KEPT]

    assert counts.downloaded == figures["records"]
    assert counts.retweets == figures["rt_flag_or_prefix"]
    assert counts.short == figures["hf_short(boring)"]
    assert counts.kept == figures["hf_kept"]
    assert counts.characters == figures["hf_joined_chars"]
    assert counts.verdict == VERDICTS[figures["hf_verdict"]]
    assert counts.duplicates == 0
    assert hashlib.sha256("\n".join(kept).encode()).hexdigest() == figures["hf_kept_sha256"]

    assert sum(tweet.id is not None for tweet in tweets) == figures["with_id"]
    assert sum(tweet.created_at is not None for tweet in tweets) == figures["with_date"]
    assert len({tweet.id for tweet in tweets} - {None}) == figures["distinct_ids"]
    if figures["rt_flag"] is not None:
        assert sum(tweet.is_retweet for tweet in tweets) == figures["rt_flag"]
    if figures["reply_flag"] is not None:
        assert sum(tweet.reply_to is not None for tweet in tweets) == figures["reply_flag"] + DIRECTED.get(name, 0)
    assert str(counts.as_json()["first"])[:10] == figures["first"][:10]
    assert str(counts.as_json()["last"])[:10] == figures["last"][:10]


@pytest.mark.parametrize("name", ONE_ACCOUNT)
def test_our_own_counts_add_up_and_keep_no_text_twice(name: str) -> None:
    judged = judge(tweets_of(name), Profile.MOCKINGBIRD)
    counts = count(name, judged)
    kept = [each.cleaned for each in judged if each.verdict is Verdict.KEPT]
    assert counts.downloaded == SETS[name]["records"]
    assert counts.retweets - counts.quotes == SETS[name]["rt_flag_or_prefix"]
    assert len({text.casefold() for text in kept}) == len(kept)
    assert not [text for text in kept if "http://" in text or "https://" in text or "\n" in text]
    ours = counts.kept + counts.duplicates + counts.quotes
    assert abs(ours - SETS[name]["hf_kept"]) <= 0.04 * SETS[name]["hf_kept"] + 5


def test_ten_thousand_quotes_by_hand_are_not_learned() -> None:
    name = "realDonaldTrump_jsonl"
    judged = judge(tweets_of(name), Profile.MOCKINGBIRD)
    counts = count(name, judged)
    assert counts.quotes > 10_804  # so many begin with a quotation mark and a mention and are no retweets
    kept = [each.cleaned for each in judged if each.verdict is Verdict.KEPT]
    assert not [text for text in kept if text.startswith(('"@', "“@", "MT @", "RT @"))]
    assert counts.near_duplicates > 200


@pytest.mark.parametrize(("name", "path"), list(sources()))
def test_an_archive_says_the_same_zipped_and_unpacked(name: str, path: Path) -> None:
    assert list(read(path).tweets.values()) == [tweets_of(name)]


def test_five_accounts_in_one_table_are_five() -> None:
    reading = read(Path(FOLDER or "") / SETS["noaa_multi"]["path"])
    accounts = {name.partition(":")[2].lower(): each["records"] for name, each in SETS.items() if ":" in name}
    assert {handle: len(tweets) for handle, tweets in reading.tweets.items()} == accounts


def test_the_golden_texts() -> None:
    golden = (Path(FOLDER or "") / "golden_clean.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(golden) == 160
    for line in golden:
        case = json.loads(line)
        cleaned = clean(case["raw"], Profile.HUGGINGTWEETS)
        assert (cleaned, is_short(cleaned)) == (case["cleaned"], case["short"])
        assert clean(clean(case["raw"], Profile.MOCKINGBIRD), Profile.MOCKINGBIRD) == clean(
            case["raw"], Profile.MOCKINGBIRD
        )


async def test_the_store_counts_every_row_also_where_rows_have_no_id_and_repeat(
    database: Database, clock: FakeClock
) -> None:
    store = TweetStore(database, clock)
    reading = await asyncio.to_thread(read, Path(FOLDER or "") / SETS["noaa_multi"]["path"])
    figures = {name.partition(":")[2].lower(): each for name, each in SETS.items() if ":" in name}
    for _ in range(2):
        for handle, tweets in reading.tweets.items():
            await store.add(handle, tweets, profile=Profile.HUGGINGTWEETS)
    for handle, each in figures.items():
        counts = await store.counts(handle)
        assert (counts.downloaded, counts.retweets, counts.short, counts.kept, counts.characters) == (
            each["records"],
            each["rt_flag_or_prefix"],
            each["hf_short(boring)"],
            each["hf_kept"],
            each["hf_joined_chars"],
        )
