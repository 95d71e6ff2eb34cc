"""The model card of a version."""

from __future__ import annotations

import pytest

from bot.shelf.card import hub_name, model_card
from tests.shelves import manifest


@pytest.mark.parametrize(
    ("base", "name"),
    [
        ("embedded", "HuggingFaceTB/SmolLM2-135M-Instruct"),
        ("gpt2", "gpt2"),
        ("openai-community/gpt2", "openai-community/gpt2"),
        ("./mine/gpt2-small", "gpt2-small"),
    ],
)
def test_a_base_has_a_name_that_means_something_to_others(base: str, name: str) -> None:
    """And never the folder of the machine where it lay."""
    assert hub_name(base) == name


def test_the_hub_can_read_the_card() -> None:
    """Its front matter names base, library and task."""
    from huggingface_hub import ModelCard

    data = ModelCard(model_card(manifest("nell"))).data
    assert data.get("library_name") == "peft"
    assert data.get("pipeline_tag") == "text-generation"


def test_the_card_shows_who_it_imitates_and_how_well() -> None:
    """One account is a bot, several are a cyborg."""
    one = manifest("nell")
    card = model_card(one)
    assert "AI BOT of @nell" in card
    assert "| Tweets kept | 273 |" in card
    assert f"{one.metrics.held_out_loss:.3f}" in card
    assert "## Removal" in card
    several = one.model_copy(update={"handles": ("nell", "otis")})
    assert "AI CYBORG of @nell, @otis" in model_card(several)
