"""The pure parts of the web page: commands, sessions, pictures, words, streams."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest

from bot.frontends.web import words
from bot.frontends.web.guard import is_loopback
from bot.frontends.web.pictures import Column, Part, avatar, columns, loss_curve, proportions
from bot.frontends.web.sessions import MOST_LINES, MOST_SESSIONS, Kind, Line, Session, Sessions, Visitor
from bot.frontends.web.streams import Event, until
from bot.frontends.web.typed import Explain, ListPersonas, Say, Train, Tweet, Typed, understood
from bot.pictures.curve import MOST_POINTS, Course, Dot

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("hello there", Say("hello there")),
        ("  @nell hello ", Say("@nell hello")),
        ("/tweet", Tweet(None, "")),
        ("/tweet nell", Tweet("nell", "")),
        ("/Tweet @NELL The lamp is", Tweet("nell", "The lamp is")),
        ("/tweet The lamp is", Tweet(None, "The lamp is")),
        ("/tweet @nobody", Tweet("nobody", "")),
        ("/train @NASA, esa nasa", Train(("nasa", "esa"))),
        ("/personas", ListPersonas()),
        ("/help", Explain(None)),
        ("/dance all night", Explain("/dance is no command here.")),
    ],
)
def test_what_was_typed_is_understood(text: str, meant: Typed) -> None:
    assert understood(text, ["nell", "crumb"]) == meant


def test_a_training_of_nobody_is_explained() -> None:
    meant = understood("/train @ ,", [])
    assert isinstance(meant, Explain)
    assert meant.problem


def test_a_channel_forgets_its_oldest_lines() -> None:
    session = Session()
    for number in range(MOST_LINES + 5):
        session.put(Line(str(number), Kind.SAID, NOON, "hello"))
    assert len(session.lines) == MOST_LINES
    assert session.lines[0].id == "5"


def test_a_replaced_line_stays_in_its_place_and_is_news() -> None:
    session = Session()
    session.put(Line("a", Kind.THINKING, NOON))
    session.put(Line("b", Kind.SAID, NOON))
    session.put(Line("a", Kind.ANSWER, NOON, "hello"))
    assert [line.id for line in session.lines] == ["a", "b"]
    assert [(revision, line.id) for revision, line in session.since(1)] == [(2, "b"), (3, "a")]


async def test_changes_come_as_they_happen() -> None:
    session = Session()
    session.put(Line("a", Kind.SAID, NOON))
    async with aclosing(session.changes(0)) as changes:
        assert (await anext(changes))[1].id == "a"
        coming = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0)
        session.put(Line("b", Kind.SAID, NOON))
        assert (await coming)[1].id == "b"


def test_the_visitor_who_was_quiet_longest_is_forgotten() -> None:
    sessions = Sessions()
    first, second = Visitor.fresh(), Visitor.fresh()
    sessions.of(first)
    sessions.of(second)
    for _ in range(MOST_SESSIONS - 2):
        sessions.of(Visitor.fresh())
    sessions.of(first)
    sessions.of(Visitor.fresh())
    assert sessions.has(first)
    assert not sessions.has(second)


def test_a_cookie_that_is_none_of_ours_is_nobody() -> None:
    visitor = Visitor.fresh()
    assert Visitor.from_cookie(visitor.key) == visitor
    assert Visitor.from_cookie("short") is None
    assert Visitor.from_cookie("x" * 42 + "\n") is None
    assert Visitor.from_cookie(None) is None


def test_a_visitors_names_say_nothing_about_the_key() -> None:
    visitor = Visitor.fresh()
    assert visitor.key not in visitor.token + visitor.author_id
    assert visitor.token != Visitor.fresh().token


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost", "LOCALHOST"])
def test_these_hosts_are_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org", "127.0.0.1.example.org", ""])
def test_these_hosts_may_be_reached_by_others(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("name", ["nell", "captain_crumb", "a" * 60, "0"])
def test_a_bird_is_drawn_from_its_name_alone(name: str) -> None:
    assert avatar(name) == avatar(name)
    assert avatar(name) != avatar(name + "x")
    ElementTree.fromstring(avatar(name))
    assert "style=" not in avatar(name)


def test_a_curve_has_both_lines_and_says_so_in_words() -> None:
    curve = loss_curve(Course([Dot(1, 4.2), Dot(60, 3.1)], [Dot(0, 4.3), Dot(60, 3.3)], 120, base=4.3, in_use=3.5))
    assert curve is not None
    picture = ElementTree.fromstring(curve.picture)
    assert picture.get("aria-label") == (
        "Loss while learning from 4.20 to 3.10, loss on held-out tweets from 4.30 to 3.30, the base 4.30, "
        "the version in use before 3.50"
    )
    assert curve.has_base
    assert curve.has_in_use
    assert curve.heights == ("4.5", "4", "3.5", "3")
    assert curve.steps == ("0", "60", "120")


@pytest.mark.parametrize("values", [[3.0], [3.0, 3.0], [0.0, 0.0001], [1e-9, 900.0], [float("nan"), 2.0]])
def test_every_course_can_be_drawn(values: list[float]) -> None:
    curve = loss_curve(Course([Dot(step, value) for step, value in enumerate(values)], [], 0))
    assert curve is not None
    ElementTree.fromstring(curve.picture)
    assert "nan" not in curve.picture
    assert 3 <= len(curve.heights) <= 7


def test_nothing_measured_is_no_curve() -> None:
    assert loss_curve(Course([], [], 100)) is None
    assert loss_curve(Course([Dot(1, float("inf"))], [], 100)) is None


def test_a_long_course_is_thinned() -> None:
    curve = loss_curve(Course([Dot(step, 3.0 + step % 2) for step in range(10_000)], [], 10_000))
    assert curve is not None
    assert curve.picture.count(" L") < MOST_POINTS


def test_columns_stand_side_by_side_and_a_part_of_each_is_filled() -> None:
    drawn = columns([Column("2023", 10, 4), Column("2024", 0, 0), Column("2025", 5, 5)], 'told & "shown"')
    assert drawn is not None
    picture = ElementTree.fromstring(drawn.picture)
    assert picture.get("aria-label") == 'told & "shown"'
    *grid, whole, filled = picture
    assert len(grid) == len(drawn.heights)
    assert drawn.heights == ("10", "5", "0")
    tops = [[float(top) for top in re.findall(r"M\S+ (\S+?)h", str(path.get("d")))] for path in (whole, filled)]
    assert tops == [[0.0, 80.0], [96.0, 80.0]]
    assert drawn.names == ("2023", "2024", "2025")
    assert drawn.is_each_named


@pytest.mark.parametrize("counts", [[0], [1], [3] * 240, [1, 10**9], list(range(100))])
def test_every_number_of_columns_can_be_drawn(counts: list[int]) -> None:
    drawn = columns([Column(str(number), count, count // 2) for number, count in enumerate(counts)], "")
    assert drawn is not None
    ElementTree.fromstring(drawn.picture)
    places = [float(left) for left in re.findall(r"M(\S+) \S+h\d", str(drawn.picture))]
    assert all(0 <= place <= 400 for place in places)
    assert all(float(height.replace(",", "")) % 1 == 0 for height in drawn.heights)
    assert len(drawn.names) == min(len(counts), 3)


def test_nothing_is_no_columns() -> None:
    assert columns([], "") is None


def test_a_bar_is_divided_as_the_counts_are() -> None:
    bar = ElementTree.fromstring(proportions([Part("kept", 3, "kept"), Part("short", 1, "short")]))
    assert [(part.get("class"), part.get("x"), part.get("width")) for part in bar] == [
        ("kept", "0.0", "300.0"),
        ("short", "300.0", "100.0"),
    ]
    ElementTree.fromstring(proportions([Part("kept", 0, "kept")]))


def test_values_are_put_in_words() -> None:
    assert words.number(2362) == "2,362"
    assert words.figure(3.14159) == "3.142"
    assert words.figure(None) == "–"
    assert words.share(0.874) == "87 %"
    assert [words.portion(count, 1000) for count in (0, 1, 10, 874)] == ["0 %", "<1 %", "1 %", "87 %"]
    assert words.portion(0, 0) == "0 %"
    assert [words.duration(seconds) for seconds in (None, 40, 170, 7500)] == ["–", "40 s", "3 min", "2 h 5 min"]
    assert words.change(3.1, 3.9) == "−21 %"
    assert words.change(4.0, 3.9) == "+3 %"
    assert "1 Nov 2026, 12:00 UTC" in words.moment(NOON)
    assert words.moment(None) == ""


def test_commands_in_a_sentence_are_marked_and_everything_is_escaped() -> None:
    assert words.marked("run `mockingbird train` <b>now</b>") == (
        "run <code>mockingbird train</code> &lt;b&gt;now&lt;/b&gt;"
    )


def test_an_event_stays_on_its_lines_whatever_is_in_it() -> None:
    encoded = Event("line", {"html": "one\ntwo\r\n\nevent: evil"}, 7).encoded()
    assert encoded.decode().splitlines()[:2] == ["id: 7", "event: line"]
    assert encoded.count(b"\n") == 4


async def test_a_quiet_stream_gives_signs_of_life_and_ends_when_told() -> None:
    async def silence() -> AsyncGenerator[str]:
        yield "first"
        await asyncio.Event().wait()

    closing = asyncio.Event()
    async with aclosing(silence()) as source, aclosing(until(closing, source, quiet_s=0.01)) as news:
        assert await anext(news) == "first"
        assert await anext(news) is None
        closing.set()
        assert [each async for each in news] == []


async def test_a_stream_ends_with_its_source() -> None:
    async def short() -> AsyncGenerator[str]:
        yield "first"

    async with aclosing(short()) as source:
        assert [each async for each in until(asyncio.Event(), source, quiet_s=20)] == ["first"]
