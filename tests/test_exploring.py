"""What a version was made of, on a terminal of 80 columns."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bot.cli.exploring import print_ingredients
from bot.shelf.manifest import HandleCounts, HandleSplit
from bot.training.ingredients import STEPS, Stored, ingredients
from tests.shelves import manifest

HANDLES = ("nhc_atlantic_hurricanes", "noaa", "noaafisheries_w", "nws", "nwstornado", "w" * 40)
DAY = datetime(2024, 1, 5, tzinfo=UTC)


def test_a_cyborg_of_many_large_accounts_fits_and_each_number_stands_on_its_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    counts = HandleCounts(
        handle="",
        downloaded=123_456,
        retweets=20_000,
        short=3_456,
        duplicates=10_000,
        kept=90_000,
        quotes=10,
        near_duplicates=100,
    )
    split = HandleSplit(
        handle="",
        said_before=7,
        said_elsewhere=493,
        known_already=12,
        train=80_488,
        held_out=9_000,
        epoch=60_321,
        characters=9_123_456,
        tokens=2_345_678,
        first=DAY,
        boundary=DAY,
        last=DAY,
    )
    version = manifest("six").model_copy(
        update={"handles": HANDLES, "counts": tuple(counts.model_copy(update={"handle": each}) for each in HANDLES)}
    )
    splits = [split.model_copy(update={"handle": each}) for each in HANDLES]
    print_ingredients(ingredients(version, Stored.GONE, splits, {}, None))
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    for title, number in (("characters", "9,123,456"), ("tokens", "2,345,678"), ("kept aside from", "2024-01-05")):
        assert f"{title} " in printed
        assert printed.count(number) >= len(HANDLES)
    for step in set(STEPS) - {"repeated"}:
        assert any(STEPS[step].title in line and line.endswith(tuple("0123456789")) for line in printed.splitlines())
    assert "740,736 (100%)" in printed
    assert printed.count("█" * 36) == 1  # the whole bar, of what was downloaded
