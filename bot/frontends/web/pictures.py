"""Everything drawn: a bird for each persona, loss curves, columns, proportion bars. Pure: values in, inline SVG out.

No picture carries a style attribute or an id, so that the page's content policy needs no exception and a picture may
stand on a page twice. Colours of curves and bars come from the style sheet, by class.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from bot.pictures.bird import bird
from bot.pictures.curve import Course, plot, round_lines, told

MOST_SPACED = 60  # columns with a gap between them; more stand side by side
MOST_NAMED = 4  # columns that each have a name below them; of more only three do


def avatar(name: str) -> Markup:
    """The bird of that name, always the same one: colours, crest, belly and tail follow from the name."""
    return Markup(f'<svg class="avatar" viewBox="0 0 64 64" aria-hidden="true" focusable="false">{bird(name)}</svg>')


@dataclass(frozen=True, slots=True)
class Curve:
    """A drawn loss curve; the labels stand outside the picture, evenly spaced, so that they never shrink with it."""

    picture: Markup
    heights: tuple[str, ...]  # labels of the horizontal lines, from the top down
    steps: tuple[str, ...]  # labels below, from left to right
    has_base: bool  # whether the base's loss is drawn
    has_in_use: bool  # whether that of the version in use before is


def loss_curve(course: Course) -> Curve | None:
    """Training loss and held-out loss, and what the base and the version in use reach; None without any point.

    The picture stretches to its box (strokes keep their width).
    """
    laid = plot(course)
    if laid is None:
        return None
    grid = "".join(f'<path class="grid" d="M0 {160 * y:.1f}h400"/>' for y, _ in laid.heights)
    levels = (("base", laid.base), ("in-use", laid.in_use))
    held_out = _places(laid.held_out)
    picture = (
        '<svg class="curve" viewBox="0 0 400 160" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(told(course))}">{grid}'
        + "".join(f'<path class="{name}" d="M0 {160 * y:.1f}h400"/>' for name, y in levels if y is not None)
        + f'<path class="loss" d="{_path(_places(laid.loss))}"/><path class="held-out" d="{_path(held_out)}"/>'
        + "".join(f'<path class="held-out dot" d="M{place}h0"/>' for place in held_out)
        + "</svg>"
    )
    heights, steps = (tuple(label for _, label in labels) for labels in (laid.heights, laid.steps))
    return Curve(Markup(picture), heights, steps, laid.base is not None, laid.in_use is not None)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a drawing, a part of it filled."""

    name: str  # what it stands for
    whole: int
    filled: int  # of the whole


@dataclass(frozen=True, slots=True)
class Columns:
    """Drawn columns; the labels stand outside the picture, so that they never shrink with it."""

    picture: Markup
    heights: tuple[str, ...]  # labels of the horizontal lines, from the top down
    names: tuple[str, ...]  # labels below, from left to right
    is_each_named: bool  # a label for each column, else for the first, the middle and the last


def columns(drawn: Sequence[Column], told: str) -> Columns | None:
    """Columns side by side; None where there are none. `told` is the drawing in words, for those who don't see it.

    The picture stretches to its box.
    """
    if not drawn:
        return None
    lines = round_lines(0, max(4, *(column.whole for column in drawn)), steps=(1, 2, 5, 10))
    width, gap = 400 / len(drawn), 0.2 if len(drawn) <= MOST_SPACED else 0.0
    thickness = min(width * (1 - gap), 40.0)

    def path(heights: Iterable[int]) -> str:
        scaled = ((number, height / lines[-1] * 160) for number, height in enumerate(heights) if height)
        return "".join(
            f"M{(number + 0.5) * width - thickness / 2:.2f} {160 - high:.2f}h{thickness:.2f}V160h-{thickness:.2f}z"
            for number, high in scaled
        )

    grid = "".join(f'<path class="grid" d="M0 {160 * k / (len(lines) - 1):.1f}h400"/>' for k in range(len(lines)))
    picture = (
        '<svg class="columns" viewBox="0 0 400 160" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(told)}">{grid}<path class="whole" d="{path(column.whole for column in drawn)}"/>'
        f'<path class="filled" d="{path(column.filled for column in drawn)}"/></svg>'
    )
    is_each_named = len(drawn) <= MOST_NAMED
    named = drawn if is_each_named else (drawn[0], drawn[(len(drawn) - 1) // 2], drawn[-1])
    heights = tuple(f"{line:,g}" for line in reversed(lines))
    return Columns(Markup(picture), heights, tuple(column.name for column in named), is_each_named)


@dataclass(frozen=True, slots=True)
class Part:
    """One stretch of a proportion bar."""

    label: str
    count: int
    shade: str  # class of the stretch


def proportions(parts: Sequence[Part], start: int = 0, whole: int = 0) -> Markup:
    """A bar divided as the counts are; decoration, since the counts always stand beside it.

    It begins after `start` and is as long as its counts, out of `whole`; without that it is a whole itself.
    """
    total = whole or sum(part.count for part in parts) or 1
    at, stretches = start / total * 400, []
    for part in parts:
        width = part.count / total * 400
        stretches.append(f'<rect class="{part.shade}" x="{at:.1f}" width="{width:.1f}" height="10"/>')
        at += width
    return Markup(
        '<svg class="bar" viewBox="0 0 400 10" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        f"{''.join(stretches)}</svg>"
    )


def _places(points: Sequence[tuple[float, float]]) -> list[str]:
    return [f"{400 * x:.1f} {160 * y:.1f}" for x, y in points]


def _path(places: Sequence[str]) -> str:
    return f"M{' L'.join(places)}" if len(places) > 1 else ""
