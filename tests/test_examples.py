"""The example accounts: archives in X's form, made from their sources, with nobody real in them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
HANDLES = ("captain_crumb", "lighthouse_nell", "prof_obsolete")

#: Every account that may be mentioned, answered or retweeted: all invented. A new one is added by hand.
INVENTED = frozenset(HANDLES) | {
    "bees_at_no_nine",
    "bess_of_bunting",
    "brannoch_light",
    "bunting_bugle",
    "captain_of_skua",
    "crumbs_dentist",
    "doreen_flat2",
    "fern_birdcount",
    "knead_and_reef",
    "lens_and_wick",
    "library_on_mill",
    "lt_buttertoast",
    "mill_at_odsley",
    "morag_inland",
    "mr_pellow_lets",
    "mv_hestia_log",
    "quay_library",
    "quay_provisions",
    "quill_thesis",
    "superseded_jnl",
    "tam_marigold",
    "tapping_club",
    "thrumley_dean",
    "vane_emerging",
    "wrackholm_coast",
}

Row = dict[str, Any]


def source(handle: str, folder: Path = EXAMPLES) -> list[Row]:
    lines = (folder / f"{handle}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def later(handle: str) -> list[Row]:
    return source(handle, EXAMPLES / "later")


def entries(path: Path) -> dict[str, tuple[bytes, tuple[int, ...]]]:
    """What a zip holds: content and date of each entry. How hard zlib squeezed is not part of it."""
    with zipfile.ZipFile(path) as archive:
        return {info.filename: (archive.read(info), info.date_time) for info in archive.infolist()}


def script(handle: str, name: str) -> Any:
    """The JSON value that a data file of the archive assigns."""
    text = entries(EXAMPLES / f"{handle}.zip")[f"data/{name}.js"][0].decode()
    assigned = re.match(r"window\.(YTD\.\w+\.part0|__THAR_CONFIG) = ", text)
    assert assigned is not None, text[:60]
    return json.loads(text[assigned.end() :])


def archived(handle: str) -> list[Row]:
    return [entry["tweet"] for entry in script(handle, "tweets")]


def moment_of(snowflake: str) -> datetime:
    return datetime.fromtimestamp(((int(snowflake) >> 22) + 1_288_834_974_657) / 1000, UTC)


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rebuilt")
    subprocess.run(
        [sys.executable, str(EXAMPLES / "build_archives.py"), "--into", str(folder)],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return folder


@pytest.mark.parametrize("handle", HANDLES)
def test_archive_is_what_the_builder_makes_of_the_source(handle: str, rebuilt: Path) -> None:
    assert entries(EXAMPLES / f"{handle}.zip") == entries(rebuilt / f"{handle}.zip")


@pytest.mark.parametrize("handle", HANDLES)
def test_archive_holds_every_tweet_of_the_source(handle: str) -> None:
    tweets = archived(handle)
    assert len(tweets) >= 250
    assert sorted(tweet["full_text"] for tweet in tweets) == sorted(row["text"] for row in source(handle))
    counted = script(handle, "manifest")["dataTypes"]["tweets"]["files"][0]["count"]
    assert counted == str(len(tweets))


@pytest.mark.parametrize("handle", HANDLES)
def test_archive_says_whose_it_is(handle: str) -> None:
    account = script(handle, "account")[0]["account"]
    assert (account["username"], account["email"]) == (handle, None)
    assert script(handle, "manifest")["userInfo"]["accountId"] == account["accountId"]
    assert script(handle, "profile")[0]["profile"]["description"]["bio"]


@pytest.mark.parametrize("handle", HANDLES)
def test_ids_are_unique_and_tell_the_date(handle: str) -> None:
    tweets = archived(handle)
    assert len({tweet["id"] for tweet in tweets}) == len(tweets)
    for tweet in tweets:
        assert moment_of(tweet["id"]).replace(microsecond=0) == parsedate_to_datetime(tweet["created_at"])


@pytest.mark.parametrize("handle", HANDLES)
def test_archive_is_unsorted_as_real_ones_are(handle: str) -> None:
    ids = [int(tweet["id"]) for tweet in archived(handle)]
    assert ids not in (sorted(ids), sorted(ids, reverse=True))


@pytest.mark.parametrize("handle", HANDLES)
def test_entities_stand_where_they_say(handle: str) -> None:
    for tweet in archived(handle):
        found = tweet["entities"]
        parts = [(f"#{tag['text']}", tag) for tag in found["hashtags"]]
        parts += [(f"@{mention['screen_name']}", mention) for mention in found["user_mentions"]]
        parts += [(link["url"], link) for link in [*found["urls"], *found.get("media", [])]]
        for part, entity in parts:
            start, end = map(int, entity["indices"])
            assert tweet["full_text"][start:end] == part
        links = re.findall(r"https://t\.co/\w{10}", tweet["full_text"])  # a retweet may end within one
        assert len(links) == len(found["urls"]) + len(found.get("media", []))


@pytest.mark.parametrize("handle", HANDLES)
def test_a_thread_continues_the_tweet_before_it(handle: str) -> None:
    tweets = sorted(archived(handle), key=lambda tweet: int(tweet["id"]))
    for before, tweet in pairwise(tweets):
        if tweet.get("in_reply_to_screen_name") == handle:
            assert tweet["in_reply_to_status_id"] == before["id"]


@pytest.mark.parametrize("handle", HANDLES)
def test_later_tweets_are_newer_than_the_archive(handle: str) -> None:
    dates = [row["at"] for row in source(handle)]
    newer = [row["at"] for row in later(handle)]
    assert len(newer) == 40
    assert dates == sorted(dates)
    assert newer == sorted(newer)
    assert max(dates) < min(newer)


@pytest.mark.parametrize("handle", HANDLES)
def test_sources_are_as_untidy_as_real_accounts(handle: str) -> None:
    rows = source(handle)
    share = {name: sum(name in row for row in rows) / len(rows) for name in ("retweet_of", "reply_to")}
    assert 0.05 < share["retweet_of"] < 0.12
    assert 0.08 < share["reply_to"] < 0.22
    own = [row["text"] for row in rows if "retweet_of" not in row]
    assert sum(map(len, own)) > 25_000
    assert len(set(own)) < len(own)
    assert any("&amp;" in text for text in own)
    assert any("links" in row for row in rows)
    assert any("lang" in row for row in rows)


def test_no_two_accounts_share_a_text() -> None:
    owners: dict[str, set[str]] = {}
    for handle in HANDLES:
        for row in source(handle) + later(handle):
            owners.setdefault(row["text"].casefold(), set()).add(handle)
    assert [text for text, shared in owners.items() if len(shared) > 1] == []


def test_only_invented_accounts_are_named() -> None:
    named: set[str] = set()
    for handle in HANDLES:
        for row in source(handle) + later(handle):
            named.update(re.findall(r"(?<!\w)@(\w+)", row["text"]))
            named.update(filter(None, (row.get("reply_to"), row.get("retweet_of"))))
    assert named - INVENTED == set()
    assert all(len(handle) <= 15 for handle in INVENTED)


def test_links_lead_to_addresses_that_nobody_can_own() -> None:
    for handle in HANDLES:
        for row in source(handle) + later(handle):
            for link in row.get("links", []):
                assert "photo" in link or re.match(r"https://[a-z-]+\.example/", link["expanded_url"])


@pytest.mark.parametrize("handle", HANDLES)
def test_the_readme_counts_right(handle: str) -> None:
    rows = source(handle)
    row = next(line for line in (EXAMPLES / "README.md").read_text().splitlines() if line.startswith(f"| `{handle}`"))
    counts = [len(rows), sum("retweet_of" in each for each in rows), sum("reply_to" in each for each in rows)]
    expected = [*map(str, counts), rows[0]["at"][:10], rows[-1]["at"][:10]]
    assert [cell.strip() for cell in row.strip("|").split("|")][2:] == expected
