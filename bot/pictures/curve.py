"""How a training went, as a curve. Pure: measured values in, the scene for `curve.typ` or places for an SVG out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bot.pictures.bird import bird_svg

MOST_POINTS = 240  # a curve is drawn with at most so many points; more are averaged

Key = tuple[str, float, tuple[int, ...]]  # colour, thickness in pixels, lengths of dashes and gaps; of none a line

LOSS: Key = ("#838f96", 2.5, ())
HELD_OUT: Key = ("#1a6763", 5.0, ())
BASE: Key = ("#c98f3c", 3.0, (16, 10))
IN_USE: Key = ("#8f86b8", 4.0, (4, 8))


@dataclass(frozen=True, slots=True)
class Dot:
    """One measured value of a curve."""

    step: int  # optimiser steps done
    value: float  # nats per token


@dataclass(frozen=True, slots=True)
class Course:
    """Everything that the picture of a training shows; a value that is not finite is left out."""

    loss: Sequence[Dot]  # over the training tweets of the last steps
    held_out: Sequence[Dot]  # on the held-out tweets; at step 0 the base's own
    steps: int  # planned
    base: float | None = None  # the base's loss on the held-out tweets
    in_use: float | None = None  # that of the version in use, on the same tweets


@dataclass(frozen=True, slots=True)
class Plot:
    """A course laid out: places are (x, y), each from 0 to 1, from the upper left corner; labels go with places."""

    loss: list[tuple[float, float]]
    held_out: list[tuple[float, float]]
    base: float | None  # y
    in_use: float | None  # y
    heights: list[tuple[float, str]]  # y and label of each horizontal line, from the top down
    steps: list[tuple[float, str]]  # x and label of marks below, from left to right


def plot(course: Course) -> Plot | None:
    """The course laid out; None while there is nothing to draw."""
    loss = [dot for dot in course.loss if math.isfinite(dot.value)]
    held_out = [dot for dot in course.held_out if math.isfinite(dot.value)]
    dots = [*loss, *held_out]
    if not dots:
        return None
    last = max(course.steps, *(dot.step for dot in dots), 1)
    values = [dot.value for dot in dots]
    values += [value for value in (course.base, course.in_use) if value is not None and math.isfinite(value)]
    lines = round_lines(min(values), max(values))
    low, high = lines[0], lines[-1]

    def y(value: float) -> float:
        return (high - value) / (high - low)

    def level(value: float | None) -> float | None:
        return y(value) if value is not None and math.isfinite(value) else None

    return Plot(
        loss=[(dot.step / last, y(dot.value)) for dot in _thinned(loss)],
        held_out=[(dot.step / last, y(dot.value)) for dot in held_out],
        base=level(course.base),
        in_use=level(course.in_use),
        heights=[(y(line), f"{line:g}") for line in reversed(lines)],
        steps=[(share, f"{round(last * share):,}") for share in (0.0, 0.5, 1.0)],
    )


def scene(name: str, version: str | None, course: Course) -> dict[str, Any] | None:
    """The scene that `curve.typ` draws; None while there is nothing to draw."""
    laid = plot(course)
    if laid is None:
        return None
    shown = [
        ("training tweets", LOSS, laid.loss),
        ("held-out tweets", HELD_OUT, laid.held_out),
        ("the base", BASE, laid.base),
        ("version in use before", IN_USE, laid.in_use),
    ]
    return {
        "name": name,
        "below": f"How {version or 'it'} learned: loss, lower is better",
        "bird": bird_svg(name),
        "han": "Noto Sans CJK SC",
        "courses": [(laid.loss, LOSS), (laid.held_out, HELD_OUT)],
        "dots": laid.held_out,
        "levels": [(level, key) for level, key in ((laid.base, BASE), (laid.in_use, IN_USE)) if level is not None],
        "heights": laid.heights,
        "steps": laid.steps,
        "keys": [(label, key) for label, key, values in shown if values not in (None, [])],
    }


def told(course: Course) -> str:
    """The curve in words, for those who don't see it."""
    courses = (("Loss while learning", course.loss), ("loss on held-out tweets", course.held_out))
    finite = [(name, [dot.value for dot in dots if math.isfinite(dot.value)]) for name, dots in courses]
    words = [f"{name} from {values[0]:.2f} to {values[-1]:.2f}" for name, values in finite if values]
    levels = (("the base", course.base), ("the version in use before", course.in_use))
    words += [f"{name} {level:.2f}" for name, level in levels if level is not None and math.isfinite(level)]
    return ", ".join(words)


def round_lines(low: float, high: float, steps: Sequence[float] = (1, 2, 2.5, 5, 10)) -> list[float]:
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
