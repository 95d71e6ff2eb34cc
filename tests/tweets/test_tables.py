"""CSV, TSV, JSON and JSONL as the world writes them, and what is said about files that are none of these."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.errors import UnreadableSource
from bot.tweets.moments import moment
from bot.tweets.reading import Reading, opened, read
from bot.tweets.records import Skips, Unreadable
from bot.tweets.tweet import Tweet
from tests.tweets.archives import unpacked, zipped

TEN = datetime(2018, 7, 1, 10, 0, tzinfo=UTC)


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refusal(path: Path, handle: str | None = None) -> str:
    with pytest.raises(UnreadableSource) as caught:
        read(path, handle)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def only(reading: Reading) -> list[Tweet]:
    assert len(reading.tweets) == 1
    return list(next(iter(reading.tweets.values())))


@pytest.mark.parametrize("text", ["text", "full_text", "Tweet", "content", "Tweet Text"])
@pytest.mark.parametrize("id_", ["id", "id_str", "tweet_id", "status_id", "Tweet ID"])
@pytest.mark.parametrize("created_at", ["created_at", "date", "timestamp"])
@pytest.mark.parametrize("user", ["user", "screen_name", "username", "Handle"])
def test_columns_are_known_by_any_of_their_names(
    tmp_path: Path, text: str, id_: str, created_at: str, user: str
) -> None:
    path = write(
        tmp_path / "a.csv", f"{id_},{created_at},{user},{text}\n1013558869728071685,2018-07-01 10:00:00,@Ann,hi\n"
    )
    tweet = only(read(path))[0]
    assert (tweet.id, tweet.created_at, tweet.handle, tweet.text) == ("1013558869728071685", TEN, "ann", "hi")


@pytest.mark.parametrize(
    ("row", "is_retweet"),
    [
        ({"is_retweet": "TRUE"}, True),
        ({"is_retweet": 1}, True),
        ({"is_retweet": "False"}, False),
        ({"retweet": "True"}, True),
        ({"retweet": "1"}, False),  # may be how often it was retweeted
        ({"retweeted": True}, False),  # means: by whoever made the file
        ({"retweet_count": 7}, False),
        ({"retweeted_status_id": "8.2E+17"}, True),
        ({"retweeted_status_id": "NaN"}, False),
        ({"retweeted_status_id": "0.0"}, False),
        ({"retweeted_status": {"id": 1}}, True),
        ({"post_type": "retweet"}, True),
        ({"referenced_tweets": [{"type": "retweeted", "id": "1"}]}, True),
        ({"referenced_posts": [{"type": "quoted", "id": "1"}]}, False),
        ({}, False),
    ],
)
def test_retweets_are_known_by_any_flag(tmp_path: Path, row: Mapping[str, object], is_retweet: bool) -> None:
    path = write(tmp_path / "a.jsonl", json.dumps({"text": "hi", "user": "ann", **row}))
    assert only(read(path))[0].is_retweet is is_retweet


@pytest.mark.parametrize(
    ("row", "reply_to"),
    [
        ({"in_reply_to_screen_name": "Bob"}, "bob"),
        ({"in_reply_to_status_id": 886266357075128320}, "886266357075128320"),
        ({"in_reply_to_status_id": "8.862663570751283e+17"}, "bob"),  # the id is ruined, the text begins with @bob
        ({"reply_to_user_id": "5"}, "5"),
        ({"in_reply_to_status_id": None}, None),
        ({"in_reply_to_status_id": "NA"}, None),
        ({"referenced_tweets": [{"type": "replied_to", "id": "77"}]}, "77"),
    ],
)
def test_replies_are_known_by_any_field(tmp_path: Path, row: Mapping[str, object], reply_to: str | None) -> None:
    path = write(tmp_path / "a.jsonl", json.dumps({"text": "@bob hi", "user": "ann", **row}))
    assert only(read(path))[0].reply_to == reply_to


@pytest.mark.parametrize(
    "value",
    [
        "Sun Jul 01 10:00:00 +0000 2018",
        "Sun Jul 01 12:00:00 +0200 2018",
        "2018-07-01T10:00:00Z",
        "2018-07-01T10:00:00.000Z",
        "2018-07-01 10:00:00 +0000",
        "2018-07-01 12:00:00+02:00",
        "2018-07-01 10:00:00 UTC",
        " 2018-07-01 10:00:00 ",
        "1530439200",
        1530439200,
        1530439200000,
    ],
)
def test_times_are_read_in_all_forms_in_use(value: object) -> None:
    assert moment(value) == TEN


@pytest.mark.parametrize(
    "value",
    [
        *("", "yesterday", "03/04/2019", "7", "0001-01-01T00:00+14:00", "9999-12-31", "1999-12-31 10:00:00"),
        *(7, -1, True, None, float("nan"), float("inf"), 10**400, [], 1.1e9),
    ],
)
def test_what_is_no_clear_time_is_none(value: object) -> None:
    assert moment(value) is None


@pytest.mark.parametrize(
    "ids",
    [
        ["8.2E+17", "8.2E+17", "8.3E+17"],
        ["820000000000000000", "820000000000123000", "830000000000000000"],  # rounded to 15 digits
        ["0", "1", "2"],  # numbers of rows
    ],
)
def test_ids_that_are_none_are_no_keys(tmp_path: Path, ids: list[str]) -> None:
    rows = "".join(f"{id_},text {number}\n" for number, id_ in enumerate(ids))
    tweets = only(read(write(tmp_path / "a.csv", f"id,text\n{rows}"), "ann"))
    assert [tweet.id for tweet in tweets] == [None, None, None]
    assert len({tweet.key for tweet in tweets}) == 3


def test_accounts_in_one_file_are_kept_apart(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "user,text\nAnn,one\n@bob,two\nann,three\n,four\n")
    reading = read(path)
    assert {handle: [tweet.text for tweet in tweets] for handle, tweets in reading.tweets.items()} == {
        "ann": ["one", "three"],
        "bob": ["two"],
    }
    assert [(each.where, each.reason) for each in reading.skipped] == [("line 5", "it does not say whose tweet it is")]


def test_a_handle_picks_one_of_several_accounts_and_renames_a_single_one(tmp_path: Path) -> None:
    several = write(tmp_path / "several.csv", "user,text\nann,one\nbob,two\n")
    assert {handle: len(tweets) for handle, tweets in read(several, "@Bob").tweets.items()} == {"bob": 1}
    assert "holds no tweets of @eve, but of ann, bob" in refusal(several, "eve")
    single = write(tmp_path / "single.csv", "user,text\nann,one\n,two\n")
    assert {handle: len(tweets) for handle, tweets in read(single, "eve").tweets.items()} == {"eve": 2}


def test_a_retweet_that_names_the_retweeted_author_belongs_to_the_accounts_file(tmp_path: Path) -> None:
    rows = [
        {"user": "ann", "text": "mine", "is_retweet": False},
        {"user": "ann", "text": "RT @bob: his", "is_retweet": True},
        {"user": "bob", "text": "his", "is_retweet": True},
    ]
    reading = read(write(tmp_path / "a.json", json.dumps(rows)))
    assert [(tweet.handle, tweet.is_retweet) for tweet in only(reading)] == [
        ("ann", False),
        ("ann", True),
        ("ann", True),
    ]


def test_without_an_account_the_handle_is_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text\nhello\n")
    assert refusal(path) == "a.csv does not say whose tweets it holds. Name the account with --handle."
    assert only(read(path, "@Ann"))[0].handle == "ann"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("is_zipped", [False, True])
def test_encodings_and_gzip_are_noticed(tmp_path: Path, encoding: str, is_zipped: bool) -> None:
    text = "user,text\r\n" + "ann,Größenwahn über München: es war schön und natürlich — sehr früh\r\n" * 3
    content = (b"\xfe\xff" if encoding == "utf-16-be" else b"") + text.encode(encoding)
    path = write(tmp_path / ("a.csv.gz" if is_zipped else "a.csv"), gzip.compress(content) if is_zipped else content)
    assert only(read(path))[0].text.startswith("Größenwahn über München: es war schön")


@pytest.mark.parametrize(("name", "delimiter"), [("a.tsv", "\t"), ("a.csv", ";"), ("a.txt", "\t"), ("noname", ",")])
def test_the_delimiter_is_what_the_first_line_uses(tmp_path: Path, name: str, delimiter: str) -> None:
    path = write(
        tmp_path / name, delimiter.join(["user", "id", "text"]) + "\n" + delimiter.join(["ann", "5", '"a, b"'])
    )
    assert only(read(path))[0].text == "a, b"


def test_quoted_line_breaks_belong_to_the_text_and_lines_are_counted_as_an_editor_does(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'user,text\nann,"one\ntwo"\nann,\nann,three,four\nann,five,\n')
    reading = read(path)
    assert [tweet.text for tweet in only(reading)] == ["one\ntwo", "five"]
    assert [(each.where, each.reason) for each in reading.skipped] == [
        ("line 4", "it has no text"),
        ("line 5", "it has more fields than the first line names"),
    ]


def test_a_quote_that_is_never_closed_does_not_swallow_the_file_silently(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'user,text\nann,fine\nann,"open\n' + "ann,more\n" * 30_000)
    reading = read(path)
    assert only(reading)[0].text == "fine"
    assert reading.skipped[0].where == "line 3"


def test_lines_that_are_no_json_are_skipped_with_their_number(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.jsonl",
        '{"user": "ann", "text": "one"}\n\nnonsense\n{"user": "ann"}\n7\n{"tweet": {"text": "x"}}\n',
    )
    reading = read(path)
    assert [tweet.text for tweet in only(reading)] == ["one", "x"]
    assert [(each.where, each.reason) for each in reading.skipped] == [
        ("line 3", "it is no JSON"),
        ("line 4", "it has no text"),
        ("line 5", "it is no record of a tweet"),
    ]


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.txt"])
@pytest.mark.parametrize(
    "document",
    [
        [{"user": {"screen_name": "Ann"}, "full_text": "hi there", "text": "hi…", "id": 5, "id_str": "5"}],
        {"statuses": [{"user": {"screen_name": "ann"}, "text": "hi there", "id": 5}]},
        {
            "data": [{"id": "5", "author_id": "9", "text": "hi there"}],
            "includes": {"users": [{"id": "9", "username": "Ann"}]},
        },
        {
            "data": {"id": "5", "author_id": "9", "text": "hi…", "note_tweet": {"text": "hi there"}},
            "includes": {"users": [{"id": "9", "username": "Ann"}]},
        },
        {"username": "ann", "text": "hi there", "id": "5"},
    ],
    ids=["v1.1 list", "search", "v2 page", "v2 single", "one object"],
)
def test_json_of_every_api_is_read_as_document_and_as_line(tmp_path: Path, name: str, document: object) -> None:
    tweet = only(read(write(tmp_path / name, json.dumps(document))))[0]
    assert (tweet.handle, tweet.text, tweet.id) == ("ann", "hi there", "5")


def test_lines_of_json_under_the_suffix_json_are_read_too(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", '{"user": "ann", "text": "one"}\n{"user": "ann", "text": "two"}\n')
    assert [tweet.text for tweet in only(read(path))] == ["one", "two"]


def test_half_an_emoji_becomes_a_mark_that_can_be_stored(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"user": "ann", "text": "half \\ud83d whole \\ud83d\\ude00 nul \\u0000."}')
    assert only(read(path))[0].text == "half \ufffd whole 😀 nul ."


def test_a_table_without_text_names_the_columns_it_has(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "id,likes,,when\n1,2,3,4\n")
    assert refusal(path, "ann") == (
        "a.csv has no column with the tweets' text; it has id, likes, (no name), when. Call that column text."
    )


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.csv", b"", "a.csv is empty."),
        ("a.csv", b" \n \n", "a.csv is empty."),
        ("a.json", b"", "a.json is empty."),
        ("a.csv", b"user,text\n", "a.csv holds no tweets."),
        ("a.json", b"[]", "a.json holds no tweets."),
        ("a.json", b'{"errors": [{"title": "Not Found"}]}', "Not one tweet could be read from a.json"),
        ("a.jsonl", b"nonsense\n", "line 1 was skipped, because it is no JSON"),
        ("a.json", b"[" * 100_000, "a.json is no JSON from some place on"),
        ("a.csv", bytes(range(256)) * 8, "a.csv is not text."),
        ("a.csv.gz", gzip.compress(b"user,text\nann,hi\n" * 99, mtime=0)[:-20], "a.csv.gz is cut off or damaged."),
        ("a.csv.gz", gzip.compress(b"\n" * (70 << 20)), "a.csv.gz unpacks to more than tweets ever take."),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_a_sentence(
    tmp_path: Path, name: str, content: bytes, sentence: str
) -> None:
    assert sentence in refusal(write(tmp_path / name, content), "ann")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "There is no file or folder" in refusal(tmp_path / "nothing.csv")


@given(
    content=st.one_of(st.binary(max_size=300), st.text(max_size=200).map(str.encode)),
    suffix=st.sampled_from(["csv", "json", "jsonl", "tsv", "gz", "txt"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_garbage_raises_nothing_but_our_own_error(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = write(tmp_path / f"garbage.{suffix}", content)
    try:
        read(path, "ann")
    except UnreadableSource as error:
        assert str(error).endswith(".")


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = [
    "text",
    "id",
    "created_at",
    "user",
    "is_retweet",
    "retweeted_status",
    "referenced_tweets",
    "reply_to",
    "data",
    "includes",
    "tweet",
    "note_tweet",
    "author_id",
    "users",
    "type",
]


@given(st.lists(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8), max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_records_of_any_shape_raise_nothing_but_our_own_error(tmp_path: Path, rows: list[dict[str, object]]) -> None:
    path = write(tmp_path / "garbage.json", json.dumps(rows))
    try:
        for tweets in read(path, "ann").tweets.values():
            for tweet in tweets:
                tweet.text.encode()
                assert tweet.key
    except UnreadableSource as error:
        assert str(error).endswith(".")


@pytest.mark.parametrize(
    ("dates", "days"),
    [
        (["03/04/2019", "13/04/2019 10:00"], ["2019-04-03", "2019-04-13"]),
        (["03/04/2019", "04/13/2019 10:00"], ["2019-03-04", "2019-04-13"]),
        (["03/04/2019", "05/06/2019"], [None, None]),
        (["13/04/2019", "04/13/2019"], [None, None]),
    ],
    ids=["day first", "month first", "undecided", "contradicting"],
)
def test_the_file_tells_whether_its_days_or_its_months_come_first(
    tmp_path: Path, dates: list[str], days: list[str | None]
) -> None:
    rows = "".join(f"{date},text {number}\n" for number, date in enumerate(dates))
    tweets = only(read(write(tmp_path / "a.csv", f"date,text\n{rows}"), "ann"))
    found = [tweet.created_at.date().isoformat() if tweet.created_at else None for tweet in tweets]
    assert found == days


def test_a_date_and_a_time_in_two_columns_are_one_moment(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "id,date,time,tweet\n1013558869728071685,2018-07-01,10:00:00,hi\n")
    assert only(read(path, "ann"))[0].created_at == TEN


def test_a_link_to_the_tweet_tells_its_id_and_account(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "permalink,text\nhttps://twitter.com/Ann/status/1013558869728071685,hi\n")
    tweet = only(read(path))[0]
    assert (tweet.handle, tweet.id) == ("ann", "1013558869728071685")


@pytest.mark.parametrize(
    ("written", "id_"),
    [("123456789012345.0", "123456789012345"), ('"=""1013558869728071685"""', "1013558869728071685"), ("-5", None)],
)
def test_ids_that_a_program_dressed_up_are_ids(tmp_path: Path, written: str, id_: str | None) -> None:
    assert only(read(write(tmp_path / "a.csv", f"id,text\n{written},hi\n"), "ann"))[0].id == id_


def test_ids_that_javascript_rounded_are_no_keys(tmp_path: Path) -> None:
    rows = "".join(
        f'{{"id": {number}00, "text": "text {number}"}}\n' for number in range(10135588697280716, 10135588697280720)
    )
    assert {tweet.id for tweet in only(read(write(tmp_path / "a.jsonl", rows), "ann"))} == {None}


def test_a_few_broken_letters_do_not_make_utf_8_another_encoding(tmp_path: Path) -> None:
    text = "user,text\n" + "ann,Größenwahn über München 🌊\n" * 100
    tweets = only(read(write(tmp_path / "a.csv", text.encode() + b"ann,caf\xe9\n")))
    assert tweets[0].text == "Größenwahn über München 🌊"
    assert tweets[-1].text == "caf\ufffd"


def test_letters_far_into_the_file_tell_its_encoding(tmp_path: Path) -> None:
    text = "user,text\n" + "ann,plain words only\n" * 30_000 + "ann,Größenwahn über München war schön und natürlich\n"
    assert only(read(write(tmp_path / "a.csv", text.encode("cp1252"))))[-1].text.startswith("Größenwahn über München")


@pytest.mark.parametrize("make", [zipped, unpacked])
def test_tables_in_a_zip_or_folder_are_read_together(
    tmp_path: Path, make: Callable[[Path, dict[str, str]], Path]
) -> None:
    files = {
        "tweets/2019.csv": "id,user,text\n5000000001,ann,one\n5000000002,ann,\n",
        "tweets/2020.jsonl": '{"id": 5000000003, "user": "bob", "text": "two"}\n',
        "users.csv": "name,age\nann,5\n",
        "readme.txt": "x",
    }
    if make is unpacked:
        files = {name.rpartition("/")[2]: content for name, content in files.items()}
    reading = read(make(tmp_path, files))
    assert {handle: [tweet.text for tweet in tweets] for handle, tweets in reading.tweets.items()} == {
        "ann": ["one"],
        "bob": ["two"],
    }
    assert [(each.where.rpartition("/")[2], each.reason) for each in reading.skipped] == [
        ("2019.csv, line 3", "it has no text"),
        ("users.csv", "it has no column with the tweets' text"),
    ]


def test_one_table_in_a_zip_is_as_the_table(tmp_path: Path) -> None:
    path = zipped(tmp_path, {"data.csv": "user,text\nann,one\nann,\n", "__MACOSX/._data.csv": "x"})
    reading = read(path)
    assert [tweet.text for tweet in only(reading)] == ["one"]
    assert [each.where for each in reading.skipped] == ["line 3"]


def test_what_was_skipped_is_counted_by_reason_and_shown_up_to_a_limit(tmp_path: Path) -> None:
    rows = "ann,one\n" + "ann,\n" * 5_000 + "ann,a,b\n" * 3
    with opened(write(tmp_path / "a.csv", f"user,text\n{rows}")) as batches:
        assert sum(len(batch) for batch in batches) == 1
        assert batches.share == 1
    assert batches.skips.counts == {Unreadable.NO_TEXT: 5_000, Unreadable.TOO_WIDE: 3}
    assert len(batches.skips.first) == Skips.SHOWN


def test_a_file_of_too_many_accounts_asks_for_one(tmp_path: Path) -> None:
    rows = "".join(f"user{number},text {number}\n" for number in range(10_002))
    path = write(tmp_path / "a.csv", f"user,text\n{rows}")
    assert "holds tweets of more than 10,000 accounts. Name one of them with --handle." in refusal(path)
    assert only(read(path, "user77"))[0].text == "text 77"


def test_column_names_in_a_message_are_harmless(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", '"li\nkes","\x1b[31mred"\n1,2\n')
    assert "it has li kes, [31mred." in refusal(path, "ann")


def test_a_json_array_that_breaks_off_is_refused(tmp_path: Path) -> None:
    tweets = json.dumps([{"user": "ann", "text": f"number {number}"} for number in range(50_000)])
    assert "a.json is no JSON from some place on" in refusal(write(tmp_path / "a.json", tweets[:-100]))


def test_a_tsv_without_quoting_keeps_its_quotation_marks(tmp_path: Path) -> None:
    """A mark that begins a text and is not closed swallows nothing; one that X's exports put around a field goes."""
    rows = ['1\t"Hello world this is', "2\tall of it mine", '3\tHe said "fine" and left', "4\tthe end of it all"]
    torn = only(read(write(tmp_path / "a.tsv", "id\ttext\n" + "\n".join(rows)), "ann"))
    assert [tweet.text for tweet in torn] == [row.partition("\t")[2] for row in rows]
    quoted = 'id\ttext\n1\t"one ""two"" three"\n2\t"a line\nand another"\n'
    whole = only(read(write(tmp_path / "b.tsv", quoted), "ann"))
    assert [tweet.text for tweet in whole] == ['one "two" three', "a line\nand another"]


def test_the_handle_is_not_the_name_that_is_displayed(tmp_path: Path) -> None:
    rows = "1013558869728071685,NASA Official,nasa,one\n1013558869728071686,Solo,nasa,two\n"
    names = "id_str,user.name,user.screen_name,text\n"
    assert [tweet.handle for tweet in only(read(write(tmp_path / "a.csv", names + rows)))] == ["nasa", "nasa"]


def test_a_column_that_numbers_the_rows_hides_no_id(tmp_path: Path) -> None:
    rows = "".join(f"{number},{1013558869728071685 + 7 * number},text {number}\n" for number in range(5))
    tweets = only(read(write(tmp_path / "a.csv", f"id,tweet_id,text\n{rows}"), "ann"))
    assert tweets[4].id == "1013558869728071713"


def test_one_broken_letter_among_few_is_not_another_encoding(tmp_path: Path) -> None:
    text = "user,text\n" + "ann,good morning 😀\n" * 20
    tweets = only(read(write(tmp_path / "a.csv", text.encode() + b"ann,caf\xe9\n")))
    assert tweets[0].text == "good morning 😀"
