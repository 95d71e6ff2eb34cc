"""Everything drawn: a bird for each persona, loss curves, columns, proportion bars. Pure: values in, inline SVG out.

No picture carries a style attribute or an id, so that the page's content policy needs no exception and a picture may
stand on a page twice. Colours of curves and bars come from the style sheet, by class.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

MOST_POINTS = 240  # a curve is drawn with at most so many points; more are averaged
MOST_SPACED = 60  # columns with a gap between them; more stand side by side
MOST_NAMED = 4  # columns that each have a name below them; of more only three do

_CRESTS = (
    "",
    "M37 16q2-9 9-10q-3 4-2 9z",
    "M36 17l1-9 4 6 3-8 3 8 4-4-2 8z",
    "M38 15c-2-6 2-9 6-8c-2 2-2 5 0 7z",
)
_BELLIES = (
    "",
    '<circle cx="34" cy="45" r="1.3"/><circle cx="39" cy="43" r="1.3"/><circle cx="36" cy="40" r="1.3"/>'
    '<circle cx="42" cy="39" r="1.3"/>',
    '<path d="M33 47q5 0 9-4M33 43q6 0 11-5M35 39q5 0 9-4" fill="none" stroke-width="1.6"/>',
)
_TAILS = ("M17 40L3 50l4 3 14-6z", "M17 38L2 41l3 5 15 0z", "M18 41L6 56l5 1 11-10z")


def avatar(name: str) -> Markup:
    """The bird of that name, always the same one: colours, crest, belly and tail follow from the name."""
    digest = hashlib.sha256(name.encode()).digest()
    air, coat = digest[0] * 360 // 256, (digest[0] * 360 // 256 + 120 + digest[1] * 120 // 256) % 360
    depth = 30 + digest[2] % 16
    plumage = f"hsl({coat},{28 + digest[3] % 30}%,{depth}%)"
    wing = f"hsl({coat},{28 + digest[3] % 30}%,{depth - 12}%)"
    belly = f"hsl({(coat + 20) % 360},45%,86%)"
    turn = ' transform="translate(64 0) scale(-1 1)"' if digest[4] % 2 else ""
    marks = _BELLIES[digest[5] % len(_BELLIES)]
    crest, tail = _CRESTS[digest[6] % len(_CRESTS)], _TAILS[digest[7] % len(_TAILS)]
    return Markup(
        '<svg class="avatar" viewBox="0 0 64 64" aria-hidden="true" focusable="false">'
        f'<rect width="64" height="64" rx="20" fill="hsl({air},38%,82%)"/>'
        f'<g{turn}><path d="M31 50v8m7-9v9" stroke="#4a3b2a" stroke-width="2" stroke-linecap="round"/>'
        f'<path d="{tail}" fill="{wing}"/>'
        f'<path d="M14 40C14 30 24 27 31 26C31 17 36 13 42 13C49 13 53 18 53 24C53 40 46 52 32 52C21 52 14 47 14 40Z"'
        f' fill="{plumage}"/>'
        f'<path d="M51 27C51 40 45 51 33 51C31 44 36 41 41 37C45 34 46 29 51 27Z" fill="{belly}"/>'
        f'<g fill="{wing}" stroke="{wing}">{marks}</g>'
        f'<path d="{crest}" fill="{wing}"/><path d="M52 20l9 4-9 4z" fill="hsl(36,85%,52%)"/>'
        f'<path d="M15 40C17 33 25 31 33 35C32 44 24 47 15 40Z" fill="{wing}"/>'
        '<circle cx="45" cy="22" r="3.2" fill="#fff"/><circle cx="45.7" cy="22" r="1.9" fill="#1c1a17"/></g></svg>'
    )


@dataclass(frozen=True, slots=True)
class Dot:
    """One measured value of a curve."""

    step: int  # optimiser steps done
    value: float  # nats per token


@dataclass(frozen=True, slots=True)
class Curve:
    """A drawn loss curve; the labels stand outside the picture, evenly spaced, so that they never shrink with it."""

    picture: Markup
    heights: tuple[str, ...]  # labels of the horizontal lines, from the top down
    steps: tuple[str, ...]  # labels below, from left to right


def loss_curve(loss: Sequence[Dot], held_out: Sequence[Dot], steps: int) -> Curve | None:
    """Training loss and held-out loss over `steps` planned steps; None while there is nothing to draw.

    The picture stretches to its box (strokes keep their width).
    """
    loss = [dot for dot in loss if math.isfinite(dot.value)]
    held_out = [dot for dot in held_out if math.isfinite(dot.value)]
    dots = [*loss, *held_out]
    if not dots:
        return None
    last = max(steps, *(dot.step for dot in dots), 1)
    lines = _round_lines(min(dot.value for dot in dots), max(dot.value for dot in dots))
    low, high = lines[0], lines[-1]

    def place(dot: Dot) -> str:
        return f"{dot.step / last * 400:.1f} {(high - dot.value) / (high - low) * 160:.1f}"

    grid = "".join(f'<path class="grid" d="M0 {160 * k / (len(lines) - 1):.1f}h400"/>' for k in range(len(lines)))
    picture = (
        '<svg class="curve" viewBox="0 0 400 160" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(_told(loss, held_out))}">{grid}'
        f'<path class="loss" d="{_path([place(dot) for dot in _thinned(loss)])}"/>'
        f'<path class="held-out" d="{_path([place(dot) for dot in held_out])}"/>'
        + "".join(f'<path class="held-out dot" d="M{place(dot)}h0"/>' for dot in held_out)
        + "</svg>"
    )
    heights = tuple(f"{line:g}" for line in reversed(lines))
    return Curve(Markup(picture), heights, tuple(f"{round(last * part):,}" for part in (0, 0.5, 1)))


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
    lines = _round_lines(0, max(4, *(column.whole for column in drawn)), steps=(1, 2, 5, 10))
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


def proportions(parts: Sequence[Part]) -> Markup:
    """A bar divided as the counts are; decoration, since the counts always stand beside it."""
    total = sum(part.count for part in parts) or 1
    at, stretches = 0.0, []
    for part in parts:
        width = part.count / total * 400
        stretches.append(f'<rect class="{part.shade}" x="{at:.1f}" width="{width:.1f}" height="10"/>')
        at += width
    return Markup(
        '<svg class="bar" viewBox="0 0 400 10" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        f"{''.join(stretches)}</svg>"
    )


def _round_lines(low: float, high: float, steps: Sequence[float] = (1, 2, 2.5, 5, 10)) -> list[float]:
    """Three to six evenly spaced round numbers that enclose the range, ascending."""
    span = max(high - low, 0.02)
    power = 10 ** math.floor(math.log10(span / 4))
    step = next(power * factor for factor in steps if power * factor >= span / 4)
    first, last = math.floor(low / step), math.ceil(high / step)
    last = max(last, first + 2)
    return [round(k * step, 6) for k in range(first, last + 1)]


def _thinned(dots: Sequence[Dot]) -> list[Dot]:
    """The same course in at most `MOST_POINTS` points, each the mean of a stretch."""
    size = math.ceil(len(dots) / MOST_POINTS) or 1
    stretches = [dots[start : start + size] for start in range(0, len(dots), size)]
    return [Dot(stretch[-1].step, sum(dot.value for dot in stretch) / len(stretch)) for stretch in stretches]


def _path(places: Sequence[str]) -> str:
    return f"M{' L'.join(places)}" if len(places) > 1 else ""


def _told(loss: Sequence[Dot], held_out: Sequence[Dot]) -> str:
    """The curve in words, for those who don't see it."""
    courses = (("Loss while learning", loss), ("loss on held-out tweets", held_out))
    told = [f"{name} from {dots[0].value:.2f} to {dots[-1].value:.2f}" for name, dots in courses if dots]
    return ", ".join(told)
