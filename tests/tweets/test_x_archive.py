"""X's own exports of all generations, zipped and unpacked, and archives that are not to be trusted."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bot.errors import UnreadableSource
from bot.tweets.reading import Reading, read
from bot.tweets.tweet import Source

Files = dict[str, str]
Make = Callable[[Path, Mapping[str, str]], Path]


def script(name: str, document: object) -> str:
    return f"{name} = {json.dumps(document, indent=1)}"


def entry(number: int, text: str, **more: object) -> dict[str, object]:
    created_at = f"Thu Nov {number:02} 08:50:26 +0000 2022"
    return {"id_str": str(10**17 + number), "full_text": text, "created_at": created_at, "retweeted": False, **more}


def modern(**files: str) -> Files:
    """Today's archive of @Ann with two tweets, and direct messages that would break whoever opened them."""
    return {
        "data/account.js": script("window.YTD.account.part0", [{"account": {"username": "Ann", "email": None}}]),
        "data/tweets.js": script("window.YTD.tweets.part0", [{"tweet": entry(1, "one")}, {"tweet": entry(2, "two")}]),
        "data/direct-messages.js": "never to be opened",
        **files,
    }


def grailbird() -> Files:
    """An archive of before 2018; slashes are escaped as they were then."""
    tweets = [{"id": 5, "id_str": "5", "text": "moving <b>", "created_at": "2008-08-28 00:00:00 +0000"}]
    retweet = {**entry(3, "RT @bob: x"), "retweeted_status": {"id": 4}, "created_at": "2015-04-07 09:59:58 +0000"}
    return {
        "data/js/user_details.js": script("var user_details", {"screen_name": "ann_old"}),
        "data/js/tweet_index.js": script("var tweet_index", []),
        "data/js/tweets/2015_04.js": script("Grailbird.data.tweets_2015_04", [retweet]),
        "data/js/tweets/2008_08.js": script("Grailbird.data.tweets_2008_08", tweets).replace("<", "\\u003C"),
        "tweets.csv": "never to be opened",
    }


def zipped(folder: Path, files: Mapping[str, str]) -> Path:
    path = folder / "archive.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def unpacked(folder: Path, files: Mapping[str, str]) -> Path:
    path = folder / "archive"
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(content, encoding="utf-8")
    path.mkdir(exist_ok=True)
    return path


both = pytest.mark.parametrize("make", [zipped, unpacked])


def texts(reading: Reading) -> dict[str, list[str]]:
    return {handle: [tweet.text for tweet in tweets] for handle, tweets in reading.tweets.items()}


def refusal(path: Path, handle: str | None = None) -> str:
    with pytest.raises(UnreadableSource) as caught:
        read(path, handle)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


@both
def test_todays_archive(tmp_path: Path, make: Make) -> None:
    reading = read(make(tmp_path, modern()))
    tweet = reading.tweets["ann"][0]
    assert texts(reading) == {"ann": ["one", "two"]}
    assert (tweet.id, tweet.source) == (str(10**17 + 1), Source.ARCHIVE)
    assert tweet.created_at == datetime(2022, 11, 1, 8, 50, 26, tzinfo=UTC)
    assert reading.skipped == []


@both
def test_an_archive_of_2019_to_2021_with_bare_entries(tmp_path: Path, make: Make) -> None:
    files = modern()
    del files["data/tweets.js"]
    files["data/tweet.js"] = script("window.YTD.tweet.part0", [entry(1, "one", in_reply_to_screen_name="Bob")])
    reading = read(make(tmp_path, files))
    assert texts(reading) == {"ann": ["one"]}
    assert reading.tweets["ann"][0].reply_to == "bob"


@both
def test_a_grailbird_archive_in_the_order_of_its_months(tmp_path: Path, make: Make) -> None:
    reading = read(make(tmp_path, grailbird()))
    assert texts(reading) == {"ann_old": ["moving <b>", "RT @bob: x"]}
    assert [tweet.is_retweet for tweet in reading.tweets["ann_old"]] == [False, True]


@both
def test_parts_are_read_in_order_and_a_missing_one_is_reported(tmp_path: Path, make: Make) -> None:
    parts = {
        f"data/tweets-part{n}.js": script(f"window.YTD.tweets.part{n}", [entry(n, f"part {n}")]) for n in (1, 10, 2)
    }
    listed = [{"fileName": f"data/tweets{part}.js"} for part in ("", "-part1", "-part3")]
    manifest = {"userInfo": {"userName": "Ann"}, "dataTypes": {"tweets": {"files": listed}}}
    reading = read(make(tmp_path, modern(**parts, **{"data/manifest.js": script("window.__THAR_CONFIG", manifest)})))
    assert texts(reading) == {"ann": ["one", "two", "part 1", "part 2", "part 10"]}
    assert [(each.where, each.reason) for each in reading.skipped] == [
        ("data/tweets-part3.js", "manifest.js lists it, but it is not there")
    ]


@both
@pytest.mark.parametrize(
    "account", ["window.YTD.account.part0 = null", "no script at all", "", "window.YTD.account.part0 = [{}]"]
)
def test_an_archive_that_does_not_tell_its_account_asks_for_the_handle(
    tmp_path: Path, make: Make, account: str
) -> None:
    path = make(tmp_path, modern(**{"data/account.js": account}))
    assert "does not say whose tweets it holds. Name the account with --handle." in refusal(path)
    assert texts(read(path, "@Eve")) == {"eve": ["one", "two"]}


def test_the_manifest_tells_the_account_where_account_js_does_not(tmp_path: Path) -> None:
    manifest = script("window.__THAR_CONFIG", {"userInfo": {"userName": "Ann"}})
    path = zipped(tmp_path, modern(**{"data/account.js": "", "data/manifest.js": manifest}))
    assert list(read(path).tweets) == ["ann"]


@both
def test_a_handle_overrules_the_archives_own(tmp_path: Path, make: Make) -> None:
    assert texts(read(make(tmp_path, modern()), "eve")) == {"eve": ["one", "two"]}


def test_an_archive_zipped_with_its_folder_is_read_too(tmp_path: Path) -> None:
    path = zipped(tmp_path, {f"twitter-2022/{name}": content for name, content in modern().items()})
    assert texts(read(path)) == {"ann": ["one", "two"]}


def test_the_data_folder_or_one_file_in_it_means_the_archive(tmp_path: Path) -> None:
    path = unpacked(tmp_path, modern())
    assert read(path / "data") == read(path) == read(path / "data" / "tweets.js")


@both
def test_entries_that_are_no_tweets_are_skipped_with_their_number(tmp_path: Path, make: Make) -> None:
    entries = [{"tweet": entry(1, "one")}, {"tweet": {"id_str": "7"}}, 5, {"tweet": entry(2, "two")}]
    reading = read(make(tmp_path, modern(**{"data/tweets.js": script("window.YTD.tweets.part0", entries)})))
    assert texts(reading) == {"ann": ["one", "two"]}
    assert [(each.where, each.reason) for each in reading.skipped] == [
        ("data/tweets.js, entry 2", "it has no text"),
        ("data/tweets.js, entry 3", "it is no record of a tweet"),
    ]


@both
@pytest.mark.parametrize(
    ("tweets", "sentence"),
    [
        ("window.YTD.tweets.part0 = [ {", "data/tweets.js in archive"),
        ("", "is damaged. Download the archive again."),
        ("window.YTD.tweets.part0 = {}", "is no list of tweets"),
        ("window.YTD.tweets.part0 = []", "holds no tweets"),
        ("window.YTD.tweets.part0 = " + "[" * 100_000, "is damaged"),
    ],
)
def test_damaged_tweets_are_refused(tmp_path: Path, make: Make, tweets: str, sentence: str) -> None:
    assert sentence in refusal(make(tmp_path, modern(**{"data/tweets.js": tweets})))


@both
def test_what_is_no_archive_is_said_to_be_none(tmp_path: Path, make: Make) -> None:
    assert "holds no data/tweets.js, so it is no X archive" in refusal(make(tmp_path, {"data/likes.js": "x"}))


def test_an_empty_archive_and_an_empty_folder(tmp_path: Path) -> None:
    assert "is an empty archive" in refusal(zipped(tmp_path, {}))
    assert "is an empty archive" in refusal(unpacked(tmp_path, {}))


def test_a_spreadsheet_is_no_archive(tmp_path: Path) -> None:
    assert "Save the sheet with the tweets as CSV" in refusal(zipped(tmp_path, {"[Content_Types].xml": ""}))


def test_a_cut_off_zip_is_refused_wherever_it_is_cut(tmp_path: Path) -> None:
    whole = zipped(tmp_path, modern()).read_bytes()
    path = tmp_path / "cut.zip"
    for length in range(1, len(whole), 37):
        path.write_bytes(whole[:length])
        assert "cut.zip is cut off or damaged. Download it again and import that." in refusal(path)


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path, modern())
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):  # the flags of each entry, in both directories
        at = content.find(signature)
        while at >= 0:
            content[at + offset] |= 1
            at = content.find(signature, at + 1)
    path.write_bytes(content)
    assert "is encrypted. Unpack it with its password and import the folder." in refusal(path)


@pytest.mark.parametrize("name", ["../outside.js", "/etc/outside.js", "data/../../outside.js"])
def test_a_zip_that_climbs_out_is_refused(tmp_path: Path, name: str) -> None:
    assert "climbs out" in refusal(zipped(tmp_path, modern(**{name: "x"})))


def test_a_folder_that_leads_out_is_refused(tmp_path: Path) -> None:
    path = unpacked(tmp_path, modern())
    elsewhere = tmp_path / "elsewhere.js"
    (path / "data" / "tweets.js").rename(elsewhere)
    (path / "data" / "tweets.js").symlink_to(elsewhere)
    assert "leads out of the folder" in refusal(path)


def test_a_zip_bomb_is_refused_unopened(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("data/tweets.js", "w") as member:
        for _ in range(20):
            member.write(b" " * (1 << 20))
    assert "unpacks to more than X ever writes" in refusal(path)


def test_a_zip_bomb_beside_the_tweets_does_no_harm(tmp_path: Path) -> None:
    path = zipped(tmp_path, modern(**{"data/tweets_media/big.mp4": " " * (20 << 20)}))
    assert texts(read(path)) == {"ann": ["one", "two"]}


def broken(whole: bytes, changes: list[tuple[int, int]]) -> bytes:
    content = bytearray(whole)
    for at, value in changes:
        content[at % len(content)] = value
    return bytes(content)


@pytest.fixture(scope="module")
def whole() -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in modern().items():
            archive.writestr(name, content)
    return buffer.getvalue()


@given(st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=6))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
def test_a_zip_with_changed_bytes_raises_nothing_but_our_own_error(
    tmp_path: Path, whole: bytes, changes: list[tuple[int, int]]
) -> None:
    path = tmp_path / "broken.zip"
    path.write_bytes(broken(whole, changes))
    try:
        read(path, "ann")
    except UnreadableSource as error:
        assert str(error).endswith(".")


@given(st.binary(max_size=200), st.text(max_size=100))
@example(b"", "")
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_garbage_in_an_archive_raises_nothing_but_our_own_error(tmp_path: Path, garbage: bytes, text: str) -> None:
    path = tmp_path / "garbage.zip"
    for content in (
        garbage,
        text.encode("utf-8", "replace"),
        b"window.YTD.tweets.part0 = " + text.encode("utf-8", "replace"),
    ):
        with zipfile.ZipFile(path, "w") as archive:
            for name in ("data/tweets.js", "data/account.js", "data/manifest.js"):
                archive.writestr(name, content)
        try:
            read(path, "ann")
        except UnreadableSource as error:
            assert str(error).endswith(".")
