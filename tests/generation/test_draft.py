"""What may be asked of the sampling, and where it comes from."""

from __future__ import annotations

import re

import pytest

from bot.config import Generation
from bot.errors import UsageError
from bot.generation.draft import RANGES, Sampling


def test_what_the_request_names_stands_over_the_settings() -> None:
    settings = Generation(temperature=0.7, top_k=40, min_tokens=5)
    sampling = Sampling.from_settings(settings, temperature=1.2, top_p=None, banned=("fog",))
    assert (sampling.temperature, sampling.top_p, sampling.top_k, sampling.min_tokens) == (1.2, 0.95, 40, 5)
    assert sampling.banned == ("fog",)
    assert sampling.asked == {"temperature", "banned"}


def test_every_range_has_a_setting() -> None:
    for name in RANGES:
        assert getattr(Sampling.from_settings(Generation()), name) == getattr(Generation(), name)


@pytest.mark.parametrize("name", RANGES)
def test_what_is_out_of_its_range_is_refused_with_the_range(name: str) -> None:
    least, most = RANGES[name]
    for value in (least - 1, most + 1):
        with pytest.raises(UsageError, match=re.escape(f"{name} goes from {least:g} to {most:g}")):
            Sampling.from_settings(Generation(), **{name: value})
