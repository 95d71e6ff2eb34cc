"""The model card of a version."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bot.shelf.card import PICTURES, Pushed, front_matter, hub_name, model_card, plain
from bot.shelf.figures import (
    AccountLoss,
    Authorship,
    Copies,
    Diversity,
    Figures,
    Others,
    Samples,
    Shape,
    StyleMargin,
    Toxicity,
)
from bot.shelf.manifest import HandleSplit, Manifest, Prediction, Tracked
from tests.shelves import manifest, metrics_of

FIGURES = Figures(
    accounts=tuple(
        AccountLoss(handle=handle, tweets=20, loss=3.01, bits_per_byte=1.1, base_loss=3.92, base_bits_per_byte=1.4)
        for handle in ("nell", "otis")
    ),
    others=Others(accounts=3, source="stored", tweets=90),
    margin=StyleMargin(own_gain=0.9, others_gain=0.2, margin=0.7),
    samples=Samples(count=1000, seed=1, temperature=0.8, top_p=0.95, top_k=0, max_tokens=80, passed=0.913),
    copies=Copies(exact=0.011, near=0.024, real_near=0.031),
    diversity=Diversity(
        words=900,
        distinct_1=0.41,
        real_distinct_1=0.42,
        distinct_2=0.83,
        real_distinct_2=0.84,
        new_4grams=0.951,
        real_new_4grams=0.962,
    ),
    shapes=(Shape(feature="characters", mean=81.5, real_mean=92.5, distance=0.27, real_distance=0.13),),
    authorship=Authorship(samples=0.871, real=0.882, others=0.093),
    toxicity=Toxicity(samples=0.014, real=0.015),
    seconds=80.0,
)


def judged() -> Manifest:
    """A version of two accounts about which everything is known."""
    one = manifest("nell")
    return one.model_copy(
        update={
            "handles": ("nell", "otis"),
            "counts": (one.counts[0], one.counts[0].model_copy(update={"handle": "otis"})),
            "consent": {"nell": "own", "otis": "permission"},
            "languages": ("en", "no"),
            "predictions": (Prediction(prompt="My dream is", text="My dream is a *lamp* | <b>#1</b>."),),
            "metrics": metrics_of(one).model_copy(update={"figures": FIGURES, "previous_held_out_loss": 3.25}),
        }
    )


@pytest.mark.parametrize(
    ("base", "name"),
    [
        ("embedded", "embedded"),
        ("smollm2", "HuggingFaceTB/SmolLM2-135M-Instruct"),
        ("gpt2", "gpt2"),
        ("openai-community/gpt2", "openai-community/gpt2"),
        ("./mine/gpt2-small", "gpt2-small"),
    ],
)
def test_a_base_has_a_name_that_means_something_to_others(base: str, name: str) -> None:
    """And never the folder of the machine where it lay."""
    assert hub_name(base) == name


def test_the_hub_can_read_the_card(tmp_path: Path) -> None:
    """Everything that huggingface_hub checks without asking the hub; `ModelCard.validate` asks it and isn't run."""
    from huggingface_hub import ModelCard

    (tmp_path / "README.md").write_text(model_card(judged(), PICTURES), encoding="utf-8")
    data = ModelCard.load(tmp_path / "README.md", ignore_metadata_errors=False).data
    assert data.get("library_name") == "peft"
    assert data.get("pipeline_tag") == "text-generation"
    assert data.get("base_model") == "tiny"
    assert data.get("language") == ["en", "no"]
    assert data.get("tags")[-1] == "ai-cyborg"
    assert data.get("widget") == [{"text": "My dream is"}]
    results = {result.metric_type: result for result in data.eval_results or []}
    assert {kind: result.metric_value for kind, result in results.items()} == {
        "loss": 3.1,
        "bits_per_byte": 1.2,
        "copy_rate": 0.024,
    }
    assert json.loads(json.dumps(data.to_dict()))["model-index"][0]["name"] == "nell v1"


def test_a_license_is_given_only_where_nobodys_words_were_learned() -> None:
    invented = manifest("nell").model_copy(update={"base": "smollm2", "consent": {"nell": "invented"}})
    assert 'license: "apache-2.0"' in front_matter(invented)
    assert "No licence is given" not in model_card(invented)
    real = invented.model_copy(update={"consent": {"nell": "own"}})
    assert "license:" not in front_matter(real)
    assert "No licence is given" in model_card(real)


def test_the_embedded_base_is_on_no_hub_and_gives_its_own_licence() -> None:
    invented = manifest("nell").model_copy(update={"base": "embedded", "consent": {"nell": "invented"}})
    assert "base_model" not in front_matter(invented)
    assert 'license: "cc-by-sa-3.0"' in front_matter(invented)


def test_a_base_in_a_folder_of_this_machine_is_not_named_to_the_hub() -> None:
    local = manifest("nell").model_copy(update={"base": "/opt/secret/gpt2-small"})
    assert "base_model" not in front_matter(local)
    assert "secret" not in model_card(local)


def test_one_account_is_a_bot_and_several_are_a_cyborg() -> None:
    assert "AI BOT of @nell" in model_card(manifest("nell"))
    assert "AI CYBORG of @nell and @otis" in model_card(judged())


def test_the_counts_of_each_account_stand_side_by_side() -> None:
    card = model_card(judged())
    assert "| Data | @nell | @otis |" in card
    for row in ("downloaded | 300 | 300", "Retweets | 20 | 20", "Repeated tweets | 2 | 2", "Tweets kept | 273 | 273"):
        assert row in card


def test_every_figure_is_shown_and_says_what_it_means() -> None:
    """Whatever is new in `Figures` has to be shown here as well."""
    card = model_card(judged())
    found = re.search(r"## How good it is.*?(?=\n## )", card, re.DOTALL)
    assert found is not None
    shown = found[0]
    told_elsewhere = {"seconds", "same_data_set"}
    for name in set(Figures.model_fields) - told_elsewhere:
        without = FIGURES.model_copy(update={name: () if name in ("accounts", "shapes") else None})
        metrics = metrics_of(judged()).model_copy(update={"figures": without})
        assert model_card(judged().model_copy(update={"metrics": metrics})) != card, name
    for value in ("3.100", "3.900", "1.200", "3.250", "3.010", "0.700", "1.1%", "2.4%", "3.1%", "0.410", "0.840"):
        assert value in shown
    for value in ("95.1%", "96.2%", "0.27", "92.50", "87.1%", "9.3%", "1.4%", "91.3%", "1,000 samples", "90 tweets"):
        assert value in shown
    rows = [line for line in shown.splitlines() if line.startswith("| ")]
    assert all(line.rstrip(" |").rpartition("|")[2].strip() for line in rows)


def test_every_setting_of_the_run_is_shown() -> None:
    settings = {"rank": 8, "learning_rate": 0.004, "schedule": "warm-up | cosine", "torch": "2.13.0+cpu"}
    card = model_card(manifest("nell").model_copy(update={"hyperparameters": settings}))
    for row in ("rank | 8", "learning rate | 0.004", r"schedule | warm-up \| cosine", "torch | 2.13.0+cpu", "seed | 1"):
        assert f"| {row} |" in card


def test_on_the_hub_it_says_what_lies_there_and_how_to_use_it() -> None:
    """An adapter that was merged is a whole model there; alone it is what it is on the shelf."""
    merged = model_card(judged(), PICTURES, Pushed("keeper/nell", "whole"))
    assert 'library_name: "transformers"' in merged and 'base_model_relation: "finetune"' in merged
    assert "merged into that base" in merged
    assert 'model="keeper/nell")\nsay("My dream is", num_return_sequences=5)\n' in merged
    alone = model_card(judged(), PICTURES, Pushed("keeper/nell", "adapter"))
    assert 'library_name: "peft"' in alone and "merged" not in alone
    assert 'model="keeper/nell")' in alone and "[peft]" in alone


def test_a_tracked_run_is_linked_where_it_can_be_seen() -> None:
    """Else it is named."""
    run = Tracked(service="wandb", run="a_b", url="https://wandb.ai/keeper/mockingbird/runs/a_b")
    assert f"[run a\\_b of Weights & Biases]({run.url})" in model_card(judged().model_copy(update={"tracked": run}))
    here = model_card(judged().model_copy(update={"tracked": Tracked(service="trackio", run="a_b")}))
    assert "looked at: run a\\_b of Trackio." in here
    assert "can be looked at" not in model_card(judged())


def test_why_an_account_may_be_learned_and_how_to_have_it_removed_is_said() -> None:
    card = model_card(judged())
    assert "| @otis | its owner has agreed |" in card
    assert "`mockingbird forget nell`, `mockingbird forget otis`" in card
    assert "Why it may learn" not in model_card(manifest("nell"))


def test_only_pictures_that_lie_beside_it_are_shown() -> None:
    assert not re.search(r"!\[", model_card(judged()))
    card = model_card(judged(), PICTURES)
    assert [name for name in PICTURES if f"]({name})" in card] == list(PICTURES)
    assert "https://" not in "".join(re.findall(r"!\[.*?\]\(.*?\)", card))


def test_what_it_says_and_whom_it_imitates_is_never_read_as_markdown() -> None:
    """Rendered, the names and texts are what they were."""
    page = judged().model_copy(update={"persona": "_nell_", "handles": ("_nell_", "a_b_c")})
    rendered = MarkdownIt("commonmark").enable("table").render(model_card(page, PICTURES).split("---\n", 2)[2])
    assert "<h1>_nell_ v1: AI CYBORG of @_nell_ and @a_b_c</h1>" in rendered
    assert "My dream is a *lamp* | &lt;b&gt;#1&lt;/b&gt;." in rendered
    assert "<b>" not in rendered


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=80))
def test_any_text_is_shown_literally(text: str) -> None:
    """As a paragraph in a quotation, where generated texts stand."""
    words = " ".join(text.split())
    if not words:
        return
    rendered = MarkdownIt("commonmark").render(f"> {plain(text)}")
    found = re.fullmatch(r"<blockquote>\n<p>(.*)</p>\n</blockquote>\n", rendered, re.DOTALL)
    assert found is not None
    shown = found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&amp;", "&")
    assert shown == words


@pytest.mark.parametrize("spec", ["gpt2", "embedded"])
def test_the_card_tells_how_to_use_it_and_that_works(spec: str, tmp_path: Path) -> None:
    """Its own lines of Python, on a version of a tiny base, without the hub."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from tests.tiny_base import make_tiny_gpt2

    base = make_tiny_gpt2(tmp_path / "base")
    version = tmp_path / "nell" / "v1"
    model = AutoModelForCausalLM.from_pretrained(base.model)
    get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=2, fan_in_fan_out=True)).save_pretrained(version)
    shutil.copyfile(base.model / "tokenizer.json", version / "tokenizer.json")
    if spec == "embedded":  # which no hub has
        (version / "adapter_config.json").write_text(
            (version / "adapter_config.json").read_text().replace(str(base.model), "embedded")
        )
    card = model_card(manifest("nell").model_copy(update={"base": spec, "base_sha256": "a" * 64}))
    found = re.search(r"```python\n(.*?)```", card, re.DOTALL)
    assert found is not None
    lines = found[1].replace('"nell/v1"', json.dumps(str(version))).replace("say(", "said = say(")
    lines = lines.replace('"data/bases/embedded-aaaaaaaaaaaa/model"', json.dumps(str(base.model)))
    names: dict[str, object] = {}
    exec(lines, names)
    said = names["said"]
    assert isinstance(said, list)
    assert len(said) == 5
    assert all(each["generated_text"].startswith("My dream is") for each in said)


def test_each_account_has_its_bits_per_byte_beside_the_base_and_the_version_before() -> None:
    accounts = [
        each.model_copy(update={"in_use_loss": 3.31, "in_use_bits_per_byte": 1.21}) for each in FIGURES.accounts
    ]
    figures = FIGURES.model_copy(update={"accounts": tuple(accounts)})
    base = judged()
    assert base.metrics is not None
    card = model_card(base.model_copy(update={"metrics": base.metrics.model_copy(update={"figures": figures})}))
    for handle in ("nell", "otis"):
        assert f"| Bits per byte of @{handle} | 1.100 | the base 1.400, the version before 1.210 |" in card
        assert f"| Held-out loss of @{handle} | 3.010 | the base 3.920, the version before 3.310 |" in card
    one = base.metrics.model_copy(update={"figures": figures.model_copy(update={"accounts": tuple(accounts[:1])})})
    card = model_card(manifest("nell").model_copy(update={"metrics": one}))
    assert "| Bits per byte | 1.200 | the base 1.500, the version before 1.210 |" in card
    assert "of @nell |" not in card


def test_what_became_of_the_kept_tweets_is_told_where_it_is_known() -> None:
    split = HandleSplit(
        handle="nell",
        said_before=1,
        said_elsewhere=2,
        known_already=3,
        train=240,
        held_out=27,
        epoch=240,
        characters=20_000,
        tokens=6_000,
        first=None,
        boundary=None,
        last=None,
    )
    card = model_card(manifest("nell").model_copy(update={"splits": (split,)}))
    for row in ("left out as said twice | 6", "learned from | 240", "kept aside to judge with | 27"):
        assert f"| of these {row} |" in card
    assert "of these" not in model_card(manifest("nell"))
