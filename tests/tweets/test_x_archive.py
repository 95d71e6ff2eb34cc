"""X's own exports of all generations, zipped and unpacked, and archives that are not to be trusted."""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.errors import UnreadableSource
from bot.tweets.reading import Reading, read
from bot.tweets.tweet import Source
from tests.tweets.archives import (
    entry,
    grailbird,
    in_directories,
    modern,
    note,
    script,
    unpacked,
    with_notes,
    zip_bytes,
    zipped,
)

Make = Callable[[Path, Mapping[str, str]], Path]

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
def test_a_part_is_read_by_whatever_name_the_manifest_lists_it(tmp_path: Path, make: Make) -> None:
    """Whatever it lists, no messages are opened."""
    more = {
        "data/tweets-2.js": script("window.YTD.tweets.part1", [entry(7, "more")]),
        "data/direct-messages.js": script("window.YTD.direct_messages.part0", [entry(8, "a secret")]),
    }
    listed = [{"fileName": name} for name in ("data/tweets.js", *more)]
    manifest = {"userInfo": {"userName": "Ann"}, "dataTypes": {"tweets": {"files": listed}}}
    reading = read(make(tmp_path, modern(**more, **{"data/manifest.js": script("window.__THAR_CONFIG", manifest)})))
    assert texts(reading) == {"ann": ["one", "two", "more"]}
    assert list(reading.skipped) == []


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
    path = tmp_path / "archive.zip"
    path.write_bytes(in_directories(zip_bytes(modern()), "data/tweets.js", (8, 6), b"\x01"))
    assert "is encrypted. Unpack it with its password and import the folder." in refusal(path)


def test_a_member_of_several_gigabytes_is_refused_unopened(tmp_path: Path) -> None:
    path = tmp_path / "archive.zip"
    path.write_bytes(in_directories(zip_bytes(modern()), "data/tweets.js", (24, 22), (3 << 30).to_bytes(4, "little")))
    assert "data/tweets.js in archive.zip unpacks to more than X ever writes" in refusal(path)


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_unpacks_without_a_limit_is_refused(tmp_path: Path, compression: int) -> None:
    path = tmp_path / "archive.zip"
    path.write_bytes(zip_bytes(modern(), compression))
    assert "is packed in an unusual way" in refusal(path)


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "archive.zip"
    link = zipfile.ZipInfo("data/tweets.js")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    assert "data/tweets.js in archive.zip is a link to elsewhere" in refusal(path)


def test_a_zip_in_a_zip_is_named(tmp_path: Path) -> None:
    path = zipped(tmp_path, {"twitter-2022.zip": zip_bytes(modern()), "readme.txt": "x"})
    assert "archive.zip holds another zip. Unpack it" in refusal(path)


def test_a_zip_whose_list_of_files_is_a_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "archive.zip"
    whole = bytearray(zip_bytes(modern()))
    at = whole.rfind(b"PK\x05\x06") + 12
    whole[at : at + 4] = (1 << 30).to_bytes(4, "little")
    path.write_bytes(whole)
    assert "holds more files than any archive of X" in refusal(path)


PRIVATE = ("data/direct-messages.js", "data/direct-messages-group.js", "data/contact.js", "data/ip-audit.js")


def test_only_what_is_needed_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    really = zipfile.ZipFile.open

    def noted(self: zipfile.ZipFile, name: zipfile.ZipInfo | str, *rest: object, **more: object) -> object:
        opened.append(name if isinstance(name, str) else name.filename)
        return really(self, name, *rest, **more)  # type: ignore[arg-type]

    files = {**modern(), **dict.fromkeys(PRIVATE, "x"), "data/tweets_media/1.jpg": "x", "data/manifest.js": "= {}"}
    path = zipped(tmp_path, files)
    monkeypatch.setattr(zipfile.ZipFile, "open", noted)
    assert texts(read(path)) == {"ann": ["one", "two"]}
    assert set(opened) == {"data/account.js", "data/manifest.js", "data/tweets.js"}


def test_damage_in_what_nobody_needs_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "archive.zip"
    whole = zip_bytes({**modern(), **dict.fromkeys(PRIVATE, "x" * 500)})
    for member in PRIVATE:
        whole = in_directories(whole, member, (8, 6), b"\x01")  # encrypted
        whole = in_directories(whole, member, (16, 14), b"\0\0\0\0")  # another checksum
    path.write_bytes(whole)
    assert texts(read(path)) == {"ann": ["one", "two"]}


def test_of_a_folder_only_what_is_needed_is_opened(tmp_path: Path) -> None:
    path = unpacked(tmp_path, modern())
    for name in PRIVATE:
        (path / name).unlink(missing_ok=True)
        os.mkfifo(path / name)  # whoever opens it waits for ever
    assert texts(read(path)) == {"ann": ["one", "two"]}


def test_an_archive_of_x_without_tweets_is_not_searched_for_tables(tmp_path: Path) -> None:
    path = zipped(tmp_path, {"data/account.js": "x", "data/direct-messages.json": '[{"text": "private"}]'})
    assert "holds no data/tweets.js" in refusal(path, "ann")


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


LONG = "This is how a long post begins, which goes on and on, " + "and on, " * 60 + "until it ends."
CUT = f"{LONG[:270]}… https://t.co/AbCdEfGhIj"
SECOND = "2022-11-01T08:50:26.000Z"


@both
def test_a_long_post_is_joined_to_the_tweet_that_was_cut_from_it(tmp_path: Path, make: Make) -> None:
    tweets = [entry(1, CUT), entry(2, "short")]
    reading = read(make(tmp_path, with_notes([note(1, LONG, SECOND)], tweets)))
    assert texts(reading) == {"ann": [LONG, "short"]}
    assert reading.tweets["ann"][0].id == str(10**17 + 1)
    assert reading.skipped == []


def test_of_two_long_posts_of_one_second_each_finds_its_own(tmp_path: Path) -> None:
    other = "Second part: " + LONG
    cut_other = f"{other[:270]}… https://t.co/AbCdEfGhIk"
    files = with_notes([note(1, LONG, SECOND), note(2, other, SECOND)], [entry(1, cut_other), entry(1, CUT)])
    assert texts(read(zipped(tmp_path, files))) == {"ann": [other, LONG]}


def test_a_long_post_of_another_second_is_found_by_its_beginning(tmp_path: Path) -> None:
    files = with_notes([note(1, LONG, "2022-11-01T08:50:27.000Z")], [entry(1, CUT)])
    assert texts(read(zipped(tmp_path, files))) == {"ann": [LONG]}


def test_two_long_posts_that_begin_alike_are_not_guessed_at(tmp_path: Path) -> None:
    notes = [note(1, LONG + " A", "2022-11-01T08:50:27.000Z"), note(2, LONG + " B", "2022-11-01T08:50:28.000Z")]
    reading = read(zipped(tmp_path, with_notes(notes, [entry(1, CUT)])))
    assert texts(reading) == {"ann": [CUT]}
    assert len(reading.skipped) == 2


@pytest.mark.parametrize(
    ("post", "tweet"),
    [
        ("Salt & pepper " + LONG, "Salt &amp; pepper " + CUT),
        (LONG, "@bob @eve " + CUT),
        ("Line\n\nbreaks " + LONG, "Line\n\nbreaks " + CUT),
        ("See https://example.org/long " + LONG, "See https://t.co/AbCdEfGhIj " + CUT),
        ("https://example.org/long " + LONG, "https://t.co/AbCdEfGhIj " + CUT),
    ],
    ids=["entities", "addressees", "line ends", "a link", "a link at the beginning"],
)
def test_beginnings_are_compared_as_a_reader_would(tmp_path: Path, post: str, tweet: str) -> None:
    reading = read(zipped(tmp_path, with_notes([note(1, post, SECOND)], [entry(1, tweet)])))
    assert texts(reading) == {"ann": [post]}


def test_a_long_post_without_a_tweet_is_reported_and_a_whole_tweet_stays_as_it_is(tmp_path: Path) -> None:
    files = with_notes([note(1, LONG, SECOND), {"noteTweet": {}}], [entry(1, "Another tweet of that second")])
    reading = read(zipped(tmp_path, files))
    assert texts(reading) == {"ann": ["Another tweet of that second"]}
    assert [tuple(each) for each in reading.skipped] == [
        ("data/note-tweet.js, entry 2", "it has no text"),
        ("data/note-tweet.js, entry 1", "it is a long post of which no tweet is left"),
    ]


def test_what_only_the_standard_library_reads_is_read(tmp_path: Path) -> None:
    tweets = [{"tweet": entry(1, f"number {number}")} for number in range(5_000)]
    tweets[3_000] = {"tweet": entry(1, "half HALF")}
    text = script("window.YTD.tweets.part0", tweets).replace("HALF", "\\ud83d")
    found = texts(read(zipped(tmp_path, modern(**{"data/tweets.js": text}))))["ann"]
    assert len(found) == 5_000
    assert found[3_000] == "half \ufffd"


@both
def test_damage_in_the_middle_of_a_large_file_is_damage(tmp_path: Path, make: Make) -> None:
    tweets = [{"tweet": entry(1, f"number {number}")} for number in range(20_000)]
    text = script("window.YTD.tweets.part0", tweets).replace("number 15000", 'number "15000')
    assert "data/tweets.js in archive" in refusal(make(tmp_path, modern(**{"data/tweets.js": text})))


def test_a_grailbird_archive_of_which_only_the_table_is_left(tmp_path: Path) -> None:
    files = {name: content for name, content in grailbird().items() if "tweets/" not in name}
    files["tweets.csv"] = "tweet_id,timestamp,text\n5,2008-08-28 00:00:00 +0000,moving\n"
    assert texts(read(zipped(tmp_path, files))) == {"ann_old": ["moving"]}
