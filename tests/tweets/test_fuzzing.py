"""Spoilt archives and tables: no exception but our own with one sentence, and memory that stays bounded.

`make test` tries some hundreds; the run marked slow tries four times as many and watches the memory.
"""

from __future__ import annotations

import gzip
import json
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.errors import UnreadableSource
from bot.tweets import json_pieces
from bot.tweets.reading import opened
from bot.tweets.records import LONGEST_TEXT
from tests.tweets.archives import grailbird, modern, note, with_notes, zip_bytes

MEMORY_MB = 64  # that reading any of these small files may take

NOTES = with_notes(
    [note(1, "It begins like this " * 20, "2022-11-01T08:50:26.000Z")],
    [{"id_str": "5", "full_text": "It begins like this It…", "created_at": "Tue Nov 01 08:50:26 +0000 2022"}],
)
CSV = (
    "id,created_at,user,text,is_retweet,in_reply_to_screen_name\n"
    '1013558869728071685,2018-07-01 10:00:00,@Ann,"hi, you",FALSE,\n'
    "8.2E+17,13/04/2019 10:00 PM,bob,RT @x: y,TRUE,NA\n"
)
V1 = [
    {"user": {"screen_name": "Ann"}, "full_text": "hi there", "id": 5, "created_at": "Sun Jul 01 10:00:00 +0000 2018"},
    {"text": "RT", "referenced_tweets": [{"type": "retweeted", "id": "1"}], "note_tweet": {"text": "longer"}},
]
V2 = {"data": [{"id": "5", "author_id": "9", "text": "hi"}], "includes": {"users": [{"id": "9", "username": "Ann"}]}}

WHOLE = {
    "modern.zip": zip_bytes(modern()),
    "stored.zip": zip_bytes(modern(), 0),
    "grailbird.zip": zip_bytes(grailbird(), 0),
    "notes.zip": zip_bytes(NOTES, 0),
    "tables.zip": zip_bytes({"a.csv": CSV, "b.json": json.dumps(V1)}, 0),
    "table.csv": CSV.encode(),
    "table16.csv": CSV.encode("utf-16"),
    "table.csv.gz": gzip.compress(CSV.encode(), mtime=0),
    "v1.json": json.dumps(V1, indent=1).encode(),
    "v2.json": json.dumps(V2).encode(),
    "lines.jsonl": f"{json.dumps(V2)}\n{json.dumps(V1[0])}\n".encode(),
}
PIECES = [
    b"\0",
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b"\n",
    b"\\",
    b"\\ud83d",
    b"1e999",
    b"-",
    b"\xff\xfe",
    b"PK\x01\x02",
]
CHANGES = st.lists(
    st.tuples(st.integers(0, 1 << 13), st.integers(0, 30), st.sampled_from(PIECES) | st.binary(max_size=6)),
    min_size=1,
    max_size=6,
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("x" * LONGEST_TEXT)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
TWEETS = ("id", "id_str", "text", "full_text", "created_at", "user", "in_reply_to_screen_name", "retweeted_status")
OTHERS = ("referenced_tweets", "note_tweet", "tweet", "noteTweet", "core", "createdAt", "account", "username")
FIELDS = st.sampled_from((*TWEETS, *OTHERS))
OBJECTS = st.dictionaries(FIELDS, VALUES | st.dictionaries(FIELDS, VALUES, max_size=3), max_size=6)
ENTRIES = st.lists(OBJECTS, max_size=5)


def spoilt(whole: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    """At each place so many bytes replaced by others."""
    for at, length, piece in changes:
        at %= len(whole) + 1
        whole = whole[:at] + piece + whole[at + length :]
    return whole


def check(name: str, content: bytes) -> None:
    """Read it; only our own exception, with one sentence, and only tweets that can be stored."""
    if tracemalloc.is_tracing():
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        look(name, content)
        assert tracemalloc.get_traced_memory()[1] - before < MEMORY_MB << 20
    else:
        look(name, content)


def look(name: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        try:
            with opened(path, "ann") as batches:
                for batch in batches:
                    for tweet in batch:
                        assert tweet.key
                        assert len(tweet.text.encode()) <= 4 * LONGEST_TEXT
                        assert tweet.created_at is None or tweet.created_at.utcoffset() is not None
        except UnreadableSource as error:
            assert str(error).endswith(".")
            assert str(error).isprintable()


@contextmanager
def small_pieces() -> Iterator[None]:
    """So that small files, too, are read in many pieces."""
    with patch.object(json_pieces, "PIECE", 64):
        yield


def readers_survive_spoilt_files(examples: int) -> Callable[[], None]:
    @given(st.sampled_from(sorted(WHOLE)), CHANGES)
    @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    def run(name: str, changes: list[tuple[int, int, bytes]]) -> None:
        with small_pieces():
            check(name, spoilt(WHOLE[name], changes))

    return run


def readers_survive_any_bytes(examples: int) -> Callable[[], None]:
    @given(st.sampled_from(sorted(WHOLE)), st.binary(max_size=400) | st.text(max_size=300).map(str.encode))
    @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    def run(name: str, content: bytes) -> None:
        check(name, content)

    return run


def archives_survive_any_content(examples: int) -> Callable[[], None]:
    @given(ENTRIES, ENTRIES, ENTRIES)
    @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    def run(tweets: list[object], notes: list[object], account: list[object]) -> None:
        contents = {"tweets": tweets, "note-tweet": notes, "account": account, "manifest": account}
        files = {f"data/{name}.js": f"window.YTD.x.part0 = {json.dumps(each)}" for name, each in contents.items()}
        with small_pieces():
            check("archive.zip", zip_bytes(files, 0))
        check("table.jsonl", "\n".join(json.dumps(each) for each in tweets).encode())

    return run


RUNS = [readers_survive_spoilt_files, readers_survive_any_bytes, archives_survive_any_content]


@pytest.mark.parametrize("run", RUNS)
def test_no_source_brings_the_readers_down(run: Callable[[int], Callable[[], None]]) -> None:
    run(150)()


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("run", RUNS)
def test_no_source_brings_the_readers_down_in_a_long_run(run: Callable[[int], Callable[[], None]]) -> None:
    tracemalloc.start()  # of our own memory alone: hypothesis, too, remembers much
    try:
        run(600)()
    finally:
        tracemalloc.stop()
