"""The pictures, drawn by the real typst: every script fits, nothing is cut off, and nothing is read as markup."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from bot.pictures import avatar, painter, pipeline, predictions
from bot.pictures.bird import bird_svg
from bot.pictures.curve import Course, Dot, plot, scene, told
from bot.pictures.drawing import PNG, draw
from bot.pictures.predictions import LONGEST_PEOPLE, breakable, is_right_to_left, people
from bot.shelf.manifest import Manifest, Prediction
from tests.shelves import manifest, metrics_of

# Texts of the length of a tweet: each ends with a place for one more character, which has to be seen.
TEXTS = {
    "short": "My dream is to sleep",
    "long": "My dream is " + "to see the tide turn twice before breakfast and " * 5 + "then to sleep",
    "capitals": "MY DREAM IS " + "TO WIN THE FOG AND MAKE THE HARBOUR GREAT AGAIN " * 5 + "SO SAD",
    "one word": "My dream is " + "Donaudampfschifffahrtselektrizität" * 8,
    "Japanese": "灯台の猫が月を見ている。今夜は霧が深くて、船の灯りがひとつも見えない。" * 4,
    "Arabic": "حلمي أن أرى البحر من نافذة المنارة كل صباح وأن أكتب رسالة إلى NASA " * 4,
    "Hebrew": "החלום שלי הוא לראות את הים כל בוקר, לשתות קפה ולקרוא (בעברית) " * 4,
    "lines": "My dream is\n\nto see\nthe tide\nturn twice\nbefore\nbreakfast",
    "emoji": "My dream is 👩🏽‍🚀🧑🏿‍🤝‍🧑🏻 and 👨‍👩‍👧‍👦 of 🏳️‍🌈🇩🇪🏴󠁧󠁢󠁳󠁣󠁴󠁿 1️⃣ " * 4,
    "markup": 'My dream is #panic("x") $1/0$ *a* _b_ `c` @d <e> \\f [g] ',
}


@pytest.fixture(scope="module")
def paint(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., bytes]:
    """The social picture of a version that says a text."""
    fonts = tmp_path_factory.mktemp("fonts")

    def painted(text: str, prompt: str = "", version: Manifest | None = None) -> bytes:
        said = Prediction(prompt=prompt, text=text)
        return painter.paint("predictions", predictions.scene(version or manifest("nell"), said), fonts)

    return painted


def size(png: bytes) -> tuple[int, int]:
    """Width and height in pixels."""
    assert png.startswith(PNG)
    width, height = struct.unpack(">II", png[16:24])
    return width, height


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_of_any_kind_is_drawn_to_its_last_character(name: str, paint: Callable[..., bytes]) -> None:
    drawn = paint(TEXTS[name] + "x", "My dream is")
    assert size(drawn) == (1200, 630)
    assert drawn != paint(TEXTS[name] + "y", "My dream is")
    assert drawn == paint(TEXTS[name] + "x", "My dream is")


@pytest.mark.parametrize("pair", ["灯台", "光明", "가나", "مس", "אב", "กข", "कख", "Жя", "αω", "☕✨", "🫠🥹"])
def test_letters_and_emoji_have_shapes_of_their_own(pair: str, paint: Callable[..., bytes]) -> None:
    """A letter that no font has would be the same box as any other."""
    assert paint(pair[0]) != paint(pair[1])


def test_what_is_joined_is_one_emoji(paint: Callable[..., bytes]) -> None:
    """Skin tones, families and flags are not their parts side by side."""
    for joined, parts in (("👍🏿", "👍"), ("👩‍🚀", "👩🚀"), ("🇩🇪", "🇪🇩"), ("❤️‍🔥", "❤️🔥")):
        assert paint(joined) != paint(parts)


@given(st.lists(st.from_regex(r"[a-z0-9_]{1,40}", fullmatch=True), max_size=9))
def test_whom_it_was_learned_from_fits_a_line_and_counts_everybody(handles: list[str]) -> None:
    line = people(handles)
    assert len(line) <= LONGEST_PEOPLE
    named = line.count("@")
    others = regex.search(r"and (\d+) others?$", line)
    assert named + (int(others[1]) if others else 0) == len(handles)
    assert line.startswith("".join(f"@{handle}" for handle in handles[:1]))


def test_a_long_name_and_three_handles_have_room(paint: Callable[..., bytes]) -> None:
    handles = ("kr00ney_fifteen", "nerdwallet_offic", "producthunt_long")
    cyborg = manifest("a" * 59 + "b").model_copy(update={"handles": handles})
    drawn = paint("hello there", version=cyborg)
    others = (
        cyborg.model_copy(update={"persona": "a" * 60}),
        cyborg.model_copy(update={"handles": (*handles[:2], "producthunt_lonx")}),
        cyborg.model_copy(update={"handles": handles[:1]}),
    )
    for other in others:
        assert paint("hello there", version=other) != drawn


def test_without_the_packages_of_fonts_something_is_drawn_and_what_is_missing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pymupdf_fonts", None)
    monkeypatch.setitem(sys.modules, "noto_cjk_sans_otc", None)
    said = Prediction(prompt="", text="hello 灯")
    drawn = painter.paint("predictions", predictions.scene(manifest("nell"), said), tmp_path)
    assert size(drawn) == (1200, 630)
    complaints = capsys.readouterr().err
    assert "pymupdf-fonts is not installed" in complaints
    assert "noto-cjk-sans-otc is not installed" in complaints


def test_a_picture_is_drawn_by_a_process_of_its_own() -> None:
    drawn = draw("pipeline", pipeline.scene(manifest("nell"), metrics_of(manifest("nell"))))
    assert drawn is not None
    assert size(drawn)[0] == 1200


def test_what_can_not_be_drawn_is_none_and_the_log_says_why_without_the_text() -> None:
    with capture_logs() as logs:
        assert draw("predictions", {"name": "a secret text"}) is None
    assert [entry["event"] for entry in logs] == ["a picture was not drawn"]
    assert "a secret text" not in str(logs)


@given(st.text(max_size=300))
def test_places_to_break_a_word_change_nothing_else(text: str) -> None:
    broken = breakable(text)
    assert broken.replace("\u200b", "") == text.replace("\u200b", "")
    by_rule = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Arabic}]")  # these break otherwise
    words = [word for word in broken.split() if not by_rule.search(word)]
    assert all(len(regex.findall(r"\X", part)) <= 17 for word in words for part in word.split("\u200b"))


def test_emoji_are_never_divided_and_japanese_breaks_by_its_own_rules() -> None:
    assert "\u200b" not in breakable("灯台の猫が月を見ている。今夜は霧が深くて、船の灯りがひとつも見えない。")
    family = "👨‍👩‍👧‍👦"
    assert breakable(family * 20).split("\u200b") == [family] * 20


@pytest.mark.parametrize(
    ("text", "rtl"), [("hello שלום", False), ("שלום hello", True), ("12 مرحبا", True), ("灯", False), ("", False)]
)
def test_the_first_letter_gives_the_direction(text: str, rtl: bool) -> None:
    assert is_right_to_left(text) is rtl


def test_the_same_name_has_the_same_bird() -> None:
    assert bird_svg("nell") == bird_svg("nell") != bird_svg("otis")


# --- The curve ---

COURSE = Course([Dot(1, 4.2), Dot(60, 3.1)], [Dot(0, 4.3), Dot(60, 3.3)], 120, base=4.3, in_use=3.5)


def test_a_curve_shows_four_courses_and_names_them(tmp_path: Path) -> None:
    laid = scene("nell", "v2", COURSE)
    assert laid is not None
    assert [label for label, _ in laid["keys"]] == [
        "training tweets",
        "held-out tweets",
        "the base",
        "version in use before",
    ]
    drawn = painter.paint("curve", laid, tmp_path)
    assert size(drawn) == (1200, 630)
    without = scene("nell", "v2", Course(COURSE.loss, COURSE.held_out, COURSE.steps, base=4.3))
    assert without is not None
    assert painter.paint("curve", without, tmp_path) != drawn
    assert told(COURSE).endswith("the base 4.30, the version in use before 3.50")


def test_nothing_measured_is_no_picture() -> None:
    assert scene("nell", None, Course([Dot(1, float("inf"))], [], 100, base=3.0)) is None


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=300),
    st.none() | st.floats(min_value=0, max_value=20),
    st.none() | st.floats(),
)
def test_every_place_lies_inside_the_plot(values: list[float], base: float | None, in_use: float | None) -> None:
    values = [value if not abs(value) > 1e6 else float("inf") for value in values]
    in_use = in_use if in_use is None or abs(in_use) < 1e6 else float("nan")
    laid = plot(Course([Dot(step, value) for step, value in enumerate(values)], [], 10, base, in_use))
    if laid is None:
        return
    heights = [y for _, y in laid.loss] + [y for y in (laid.base, laid.in_use) if y is not None]
    assert all(-1e-9 <= y <= 1 + 1e-9 for y in heights)
    assert all(0 <= x <= 1 for x, _ in laid.loss)


def test_a_face_is_a_square_of_its_own_for_each_persona() -> None:
    nell, crumb = (draw("avatar", avatar.scene(name)) for name in ("nell", "crumb"))
    assert nell is not None and size(nell) == (256, 256)
    assert nell != crumb
