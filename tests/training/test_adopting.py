"""Models that somebody else trained become versions: whole or as an adapter, from either form, and from no evil one."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from bot.app.engines import open_engines
from bot.app.rooms import Rooms, open_rooms
from bot.config import Config, Generation, load
from bot.errors import BaseUnavailable, JudgingFailed, NotPermitted, UsageError
from bot.generation.draft import Sampling
from bot.shelf.bases import END_TOKEN, Base, base_folder, find_base
from bot.shelf.manifest import Manifest
from bot.training import adopting
from bot.training.adoptions import HELD_OUT, OWN_WORDS, WHOLE, Likeness, Order, Wanted
from bot.training.dataset import text_bytes, tokenise
from bot.training.evaluation import Sampled
from bot.training.finetune import score_of_whole
from bot.training.halves import Whole
from bot.training.learner import load_base
from bot.training.loss import score
from bot.training.orphans import Stop
from bot.training.prepare import prepare_base
from bot.training.rows import rows_of
from bot.tweets.store import Basis
from tests.processes import environment, write_config
from tests.shelves import manifest as manifest_of
from tests.tiny_base import make_tiny_gpt2, make_tiny_llama
from tests.training.material import job, sentences, tweets

HUGGINGTWEETS = {  # as that project wrote it into config.json
    "do_sample": True,
    "max_length": 160,
    "min_length": 10,
    "prefix": "<|endoftext|>",
    "temperature": 1.0,
    "top_p": 0.95,
}


def settings(folder: Path) -> Config:
    """With a tiny GPT-2 as base, no examples, and few samples to judge by."""
    make_tiny_gpt2(base_folder(folder / "data", "tiny"), "tiny")
    file = write_config(folder, {"judging": {"samples": 0, "tweets": 20}, "training": {"threads": 1}})
    return load(file, {})


@asynccontextmanager
async def rooms_in(folder: Path, *handles: str) -> AsyncIterator[Rooms]:
    """The rooms, with sixty tweets of each handle stored."""
    async with open_rooms(settings(folder)) as rooms:
        for number, handle in enumerate(handles):
            await rooms.store.add(handle, tweets(handle, sentences(60, seed=number)))
        yield rooms


def old_form(base: Base, folder: Path) -> Path:
    """The model as huggingtweets' are: pytorch_model.bin, no tokenizer.json, and how it is sampled in config.json."""
    import torch
    from transformers import AutoModelForCausalLM

    folder.mkdir()
    weights = AutoModelForCausalLM.from_pretrained(base.model).state_dict()
    torch.save(weights, folder / "pytorch_model.bin")
    config = json.loads((base.model / "config.json").read_text())
    config["task_specific_params"] = {"text-generation": HUGGINGTWEETS}
    (folder / "config.json").write_text(json.dumps(config))
    tokens = json.loads((base.model / "tokenizer.json").read_text())["model"]
    (folder / "vocab.json").write_text(json.dumps(tokens["vocab"]))
    merges = ["#version: 0.2", *(" ".join(pair) for pair in tokens["merges"])]
    (folder / "merges.txt").write_text("\n".join(merges) + "\n")
    return folder


def order(spec: Path | str, **changes: object) -> Order:
    values: dict[str, object] = {"name": "nell", "handles": ("nell",), "basis": Basis.INVENTED, **changes}
    return Order(str(spec), **values)  # type: ignore[arg-type]


def wanted(spec: Path, base: Base, folder: Path, rank: int | None = None) -> Wanted:
    """What the child is asked for, to ask it in this process."""
    return Wanted(
        base=base.model,
        end_id=base.record.end_id,
        threads=1,
        spec=str(spec),
        base_name="tiny",
        folder=folder,
        rank=rank,
        tweets=20,
        seed=1,
    )


async def adopted(rooms: Rooms, order: Order) -> tuple[Manifest, Likeness | None]:
    return await rooms.adoptions.adopt(order, lambda told: None)


def files_of_nell(folder: Path) -> list[str]:
    """Every file below models/ and data/ that an adoption could have left."""
    places = [folder / "models" / "nell", folder / "data" / "adopting"]
    return [str(path) for place in places for path in place.rglob("*") if path.is_file()]


async def test_a_model_in_the_old_form_is_adopted_speaks_and_is_forgotten(tmp_path: Path) -> None:
    """Without a stored tweet nothing is claimed about it; it is sampled as it came; no file of it stays."""
    theirs = make_tiny_gpt2(tmp_path / "theirs")
    async with rooms_in(tmp_path) as rooms:
        manifest, _ = await adopted(rooms, order(old_form(theirs, tmp_path / "nell-tweets")))
        assert manifest == rooms.shelf.current("nell")
        assert (manifest.form, manifest.adopted_from, manifest.version) == ("whole", "nell-tweets", "v1")
        assert (manifest.metrics, manifest.counts, manifest.fingerprint) == (None, (), "")
        assert manifest.consent == {"nell": "invented"}
        taken = {name: value for name, value in HUGGINGTWEETS.items() if name not in ("do_sample", "prefix")}
        assert manifest.hyperparameters["generation"] == taken
        folder = rooms.shelf.path(manifest)
        assert json.loads((folder / "generation_config.json").read_text())["temperature"] == 1.0
        card = (folder / "README.md").read_text()
        assert "nell-tweets" in card and "Nobody here could judge it" in card and "base_model" not in card
        async with open_engines(rooms.config, rooms.shelf, lambda told: None) as engines:
            rooms.speaker.speak_with(engines)
            sampling = Sampling.from_settings(rooms.config.generation)
            said = await rooms.speaker.drafts("nell", count=2, sampling=sampling, seed=1)
            assert said.drafts and said.version == "v1"
            async with engines.lend(manifest) as voice:
                np.testing.assert_array_equal(voice.engine._rows._end, theirs.record.end_id)
        assert list(rooms.shelf.folder.glob("nell/.graphs-v1/*/graph.json"))
        await rooms.takedowns.forget("nell", "test")
        assert files_of_nell(tmp_path) == []


async def test_a_new_name_stands_for_those_who_were_first(tmp_path: Path) -> None:
    """Of two adoptions that begin at once under one new name the second, of other people, is refused."""
    theirs = make_tiny_gpt2(tmp_path / "theirs")
    async with rooms_in(tmp_path) as rooms:
        orders = [order(theirs.model, handles=(handle,)) for handle in ("nell", "crumb")]
        first, second = await asyncio.gather(*(adopted(rooms, each) for each in orders), return_exceptions=True)
        refused = [each for each in (first, second) if isinstance(each, BaseException)]
        assert len(refused) == 1
        assert isinstance(refused[0], UsageError) and "Choose another name" in str(refused[0])
        assert len(rooms.shelf.versions("nell")) == 1


@pytest.mark.slow
async def test_it_is_judged_by_what_it_says_as_it_wants_to_be_sampled(tmp_path: Path) -> None:
    """With its own temperature, top_p and top_k, at the adoption and later; the rest is configured."""
    theirs = old_form(make_tiny_gpt2(tmp_path / "theirs"), tmp_path / "nell-tweets")
    config = json.loads((theirs / "config.json").read_text())
    config["task_specific_params"]["text-generation"]["top_k"] = 50
    (theirs / "config.json").write_text(json.dumps(config))
    asked: list[Mapping[str, float]] = []

    async def says_nothing(
        base: Base, adapter: Path, texts: Path, count: int, seed: int, sampling: Mapping[str, float]
    ) -> Sampled:
        asked.append(sampling)
        raise JudgingFailed("Enough is known.")

    async with rooms_in(tmp_path, "nell") as rooms:
        rooms.evaluator._judging = rooms.evaluator.judging.model_copy(update={"samples": 4})
        rooms.evaluator._sampler = says_nothing
        manifest, _ = await adopted(rooms, order(theirs))
        with pytest.raises(JudgingFailed, match="Enough"):
            await rooms.evaluator.of_version(manifest)
    assert asked == [{"temperature": 1.0, "top_p": 0.95, "top_k": 50}] * 2
    assert type(Sampling.from_settings(Generation()).as_made_for(manifest).top_k) is int


def test_its_settings_are_defaults_and_what_is_asked_for_counts() -> None:
    settings = {"temperature": 1.0, "top_p": 0.9, "max_length": 160}
    version = manifest_of("nell").model_copy(update={"hyperparameters": {"generation": settings}})
    plain = Sampling.from_settings(Generation()).as_made_for(version)
    assert (plain.temperature, plain.top_p, plain.top_k) == (1.0, 0.9, 0)
    asked = Sampling.from_settings(Generation(), temperature=0.3).as_made_for(version)
    assert (asked.temperature, asked.top_p) == (0.3, 0.9)


@pytest.mark.slow
async def test_a_llama_beside_stored_tweets_is_judged(tmp_path: Path) -> None:
    """At its adoption and by the command, beside a base with other sizes; both say the same."""
    theirs = make_tiny_llama(tmp_path / "theirs")
    async with rooms_in(tmp_path, "nell", "crumb") as rooms:
        manifest, _ = await adopted(rooms, order(theirs.model))
        assert manifest.metrics is not None and manifest.metrics.figures is not None
        assert manifest.metrics.held_out_tweets > 0
        assert not manifest.metrics.figures.same_data_set
        figures = await rooms.evaluator.of_version(manifest)
        assert figures.accounts == manifest.metrics.figures.accounts
        assert figures.accounts[0].loss != figures.accounts[0].base_loss
        assert (tmp_path / "data" / "adopting").exists() is False


class Evil:
    """A pickle that creates a file when it is loaded."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.file}",)


def test_weights_that_would_run_a_program_are_refused_and_run_nothing(tmp_path: Path) -> None:
    import torch

    folder = old_form(make_tiny_gpt2(tmp_path / "theirs"), tmp_path / "evil")
    weights = torch.load(folder / "pytorch_model.bin", weights_only=True)
    torch.save({**weights, "more": Evil(tmp_path / "ran")}, folder / "pytorch_model.bin")
    torch.load(folder / "pytorch_model.bin", weights_only=False)
    assert (tmp_path / "ran").exists()  # it is a real one
    (tmp_path / "ran").unlink()
    with pytest.raises(BaseUnavailable, match="hold more than numbers"):
        adopting.adopt(wanted(folder, make_tiny_gpt2(tmp_path / "base"), tmp_path / "made"))
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "made").exists()


def test_a_model_that_lacks_weights_is_refused(tmp_path: Path) -> None:
    """Transformers would fill them up with noise."""
    import torch

    folder = old_form(make_tiny_gpt2(tmp_path / "theirs"), tmp_path / "holes")
    weights = torch.load(folder / "pytorch_model.bin", weights_only=True)
    torch.save({name: each for name, each in weights.items() if "h.2.mlp" not in name}, folder / "pytorch_model.bin")
    with pytest.raises(BaseUnavailable, match=r"lacks 4 of its weights"):
        prepare_base(str(folder), tmp_path / "data")


async def test_nobody_is_imitated_without_a_reason_or_against_the_blocked_list(tmp_path: Path) -> None:
    async with rooms_in(tmp_path) as rooms:
        with pytest.raises(NotPermitted, match="--basis BASIS"):
            await adopted(rooms, order("somewhere", basis=None))
        with pytest.raises(UsageError, match="needs a note"):
            await adopted(rooms, order("somewhere", basis=Basis.PERMISSION))
        await rooms.takedowns.forget("nell", "test")
        with pytest.raises(NotPermitted):
            await adopted(rooms, order("somewhere"))


@pytest.mark.parametrize("adopts", [False, True], ids=["base", "adopted"])
def test_what_a_tokenizer_adds_or_cuts_off_is_not_taken_over(tmp_path: Path, adopts: bool) -> None:
    """A text is its own tokens between two end tokens, whatever else the file would make of it."""
    theirs = make_tiny_gpt2(tmp_path / "theirs")
    before = Tokenizer.from_file(str(theirs.model / "tokenizer.json"))
    texts = ["The lamp was lit before the fog came in.", "Come in."]
    wanted_ids = tokenise(before, texts, theirs.record.end_id)
    before.post_processor = TemplateProcessing(single=f"{END_TOKEN} $A", special_tokens=[(END_TOKEN, 0)])
    before.enable_padding(length=40, pad_id=theirs.record.end_id, pad_token=END_TOKEN)
    before.enable_truncation(12)
    before.save(str(theirs.model / "tokenizer.json"))
    if adopts:
        adopting.adopt(wanted(theirs.model, make_tiny_gpt2(tmp_path / "base"), tmp_path / "made"))
        folder = tmp_path / "made" / WHOLE
    else:
        folder = prepare_base(str(theirs.model), tmp_path / "data").model
    ours = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert tokenise(ours, texts, theirs.record.end_id) == wanted_ids
    assert ours.encode("Come in.").ids == wanted_ids[1][1:-1]


def test_a_training_sets_itself_beside_a_whole_model_in_use(tmp_path: Path) -> None:
    """For each token of the base; a model with the base's own tokens and weights is as good as the base."""
    base = make_tiny_gpt2(tmp_path / "base")
    texts = sentences(20)
    asked = job(base, tmp_path / "job", texts, texts, precision="float32")
    model = load_base(asked)
    tokenizer = Tokenizer.from_file(str(base.model / "tokenizer.json"))
    ids = tokenise(tokenizer, texts, base.record.end_id)
    rows, size, stop = rows_of(ids, model), text_bytes(tokenizer, texts, ids), Stop()
    own = score(Whole(model), rows, size, asked, stop)
    found = score_of_whole(base.model, rows, texts, size, asked, stop)
    assert found.loss == pytest.approx(own.loss)
    assert found.bits_per_byte == pytest.approx(own.bits_per_byte)


def tuned(base: Base, folder: Path, norms: float = 0.0) -> Path:
    """The base with a change of rank 2 in each projection, and with norms that were moved by so much."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(5)
    model = AutoModelForCausalLM.from_pretrained(base.model, dtype="float32")
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 2 and "wte" not in name and "wpe" not in name and "embed" not in name:
                weight.add_(0.05 * torch.randn(weight.shape[0], 2) @ torch.randn(2, weight.shape[1]))
            elif weight.ndim == 1:
                weight.add_(norms)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(base.model).save_pretrained(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("stored", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["with tweets", "without"])
async def test_a_change_that_fits_into_an_adapter_loses_nothing(tmp_path: Path, stored: bool) -> None:
    """Measured on held-out tweets, or where there are none on its own words; in the engine it says the same."""
    async with rooms_in(tmp_path, *(("nell",) if stored else ())) as rooms:
        base = find_base(rooms.config.paths.data, "tiny")
        assert base is not None
        manifest, likeness = await adopted(rooms, order(tuned(base, tmp_path / "theirs"), rank=4))
        assert manifest.form == "adapter" and likeness is not None
        assert likeness.measured_on == (HELD_OUT if stored else OWN_WORDS)
        assert likeness.held == pytest.approx(1.0, abs=1e-4)
        assert likeness.left_out == pytest.approx(0.0, abs=1e-4)
        assert likeness.adapter_loss == pytest.approx(likeness.whole_loss, abs=0.02)
        assert abs(likeness.adapter_loss - likeness.whole_loss) < abs(likeness.base_loss - likeness.whole_loss)
        assert manifest.hyperparameters["whole_loss"] == likeness.whole_loss
        async with open_engines(rooms.config, rooms.shelf, lambda told: None) as engines:
            rooms.speaker.speak_with(engines)
            sampling = Sampling.from_settings(rooms.config.generation)
            assert (await rooms.speaker.drafts("nell", count=1, sampling=sampling, seed=1)).drafts


@pytest.mark.slow
async def test_what_has_no_place_in_an_adapter_is_told(tmp_path: Path) -> None:
    """Norms and biases that moved; and a rank that is too small for the projections."""
    async with rooms_in(tmp_path) as rooms:
        base = find_base(rooms.config.paths.data, "tiny")
        assert base is not None
        _, likeness = await adopted(rooms, order(tuned(base, tmp_path / "theirs", norms=0.2), rank=1))
        assert likeness is not None
        assert 0.3 < likeness.held < 0.95
        assert 0.01 < likeness.left_out < 0.9
        assert likeness.adapter_loss != likeness.whole_loss


def test_a_model_of_another_kind_becomes_no_adapter(tmp_path: Path) -> None:
    theirs = make_tiny_llama(tmp_path / "theirs")
    with pytest.raises(UsageError, match="it is a llama, the base a gpt2"):
        adopting.adopt(wanted(theirs.model, make_tiny_gpt2(tmp_path / "base"), tmp_path / "made", rank=4))


@pytest.mark.slow
async def test_a_kill_leaves_nothing_half_and_what_it_left_is_swept(tmp_path: Path) -> None:
    """Killed while the model is read; on the shelf nobody sees anything, and the folder goes at the next start."""
    settings(tmp_path)
    theirs = make_tiny_gpt2(tmp_path / "theirs").model
    arguments = ("adopt", str(theirs), "--as", "nell", "--handle", "nell", "--basis", "invented")
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "--config", str(tmp_path / "config.toml"), *arguments),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=environment(),
    )
    assert child.stderr is not None
    async with asyncio.timeout(120):
        while b"Reading" not in await child.stderr.readline():
            pass
        child.send_signal(signal.SIGKILL)
        await child.communicate()
    async with open_rooms(load(tmp_path / "config.toml", {})) as rooms:
        assert rooms.shelf.personas() == []
        rooms.evaluator.sweep()
        assert files_of_nell(tmp_path) == []
        shutil.rmtree(tmp_path / "models", ignore_errors=True)
        manifest, _ = await adopted(rooms, order(theirs))
        assert manifest.version == "v1"
