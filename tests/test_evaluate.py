"""`mockingbird evaluate`: a tiny base, a real training, real samples, and both ways to look at the figures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from bot.shelf.bases import base_folder
from bot.shelf.figures import Figures
from bot.shelf.shelf import Shelf
from tests.processes import ROOT, mockingbird, write_config
from tests.tiny_base import make_tiny_gpt2

QUICK = {"layers": 1, "rank": 2, "epochs": 1, "threads": 1, "min_characters": 1000}
JUDGING = {"samples": 40, "tweets": 20, "max_near_copies": 1.0, "max_exact_copies": 1.0, "max_more_toxicity": 1.0}


@pytest.mark.timeout(400)
@pytest.mark.slow
async def test_a_version_is_judged_by_its_training_and_by_the_command(tmp_path: Path) -> None:
    """With what the training found out beside it; the manifest is never written to again."""
    make_tiny_gpt2(base_folder(tmp_path / "data", "tiny"), "tiny")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    config = write_config(
        tmp_path,
        {
            "paths": {"examples": "examples"},
            "training": QUICK,
            "judging": JUDGING,
            "generation": {"max_tokens": 24},
        },
    )
    trained = await mockingbird(config, "train", "captain_crumb", "--json")
    assert trained.code == 0, trained.err
    told = json.loads(trained.out)
    assert told["state"] == "published", told["reason"]
    assert "near copies of tweets" in told["reason"]
    judged = Figures.model_validate(told["metrics"]["figures"])
    assert judged.samples is not None and judged.samples.count == 40
    assert judged.others is not None and judged.others.source == "stored"
    shelf = Shelf(tmp_path / "models")
    before = (shelf.path(shelf.current("captain_crumb")) / "manifest.json").read_bytes()

    evaluated = await mockingbird(config, "evaluate", "@Captain_Crumb", "v1", "--json")
    assert evaluated.code == 0, evaluated.err
    document = json.loads(evaluated.out)
    again = Figures.model_validate(document["figures"])
    assert again.model_copy(update={"seconds": 0.0}) == judged.model_copy(update={"seconds": 0.0})
    assert document["in_use"] == {"version": "v1", "figures": document["figures"]}
    assert (shelf.path(shelf.current("captain_crumb")) / "manifest.json").read_bytes() == before

    config = write_config(tmp_path, {"training": QUICK, "judging": {"samples": 0}})
    printed = await mockingbird(config, "evaluate", "captain_crumb")
    assert printed.code == 0, printed.err
    for each in ("@captain_crumb", "style margin", "in use: this one", "real tweets"):
        assert each in " ".join(printed.out.split()), printed.out
    assert "near copies" not in printed.out  # there were no samples, so there is no such figure
    assert "No samples were drawn" in printed.err


async def test_whom_nobody_has_trained_nobody_can_judge(tmp_path: Path) -> None:
    outcome = await mockingbird(write_config(tmp_path, {}), "evaluate", "nobody")
    assert (outcome.code, "There is no persona nobody" in outcome.err) == (2, True)
