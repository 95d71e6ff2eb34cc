"""Engines beside that of the configured base: whole models, and other bases that are prepared."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from bot.config import Model
from bot.errors import Refused, UnknownPersona, UnknownVersion
from bot.generation.draft import Request, Sampling
from bot.generation.engine import Engine
from bot.generation.engines import Engines, ready_graph
from bot.generation.graph_description import graph_folder
from bot.shelf.bases import Base, base_folder, embedded_record
from bot.shelf.forms import whole_model
from bot.shelf.manifest import Manifest
from bot.shelf.shelf import Shelf
from tests.generation.test_engine import engine_logits, reference_logits
from tests.shelves import manifest, whole_version
from tests.tiny_base import make_tiny_gpt2, make_tiny_llama

WILD = Sampling(temperature=1.0, top_p=0.95, top_k=0, max_tokens=16)
TOKENS = [0, 40, 17, 99, 230, 5, 61, 12]
MAKERS: dict[str, Callable[[Path], Base]] = {"gpt2": make_tiny_gpt2, "llama": make_tiny_llama}


@dataclass
class House:
    """A base, a shelf, and the engines over them."""

    base: Base
    shelf: Shelf
    data: Path
    engines: Engines
    told: list[str] = field(default_factory=list)  # progress


@asynccontextmanager
async def house(folder: Path, limit: int = 2) -> AsyncIterator[House]:
    """With a tiny GPT-2 as the configured base, and memory for so many of its size beside it."""
    data = folder / "data"
    base = make_tiny_gpt2(base_folder(data, "tiny"), "tiny")
    shelf, told = Shelf(folder / "models"), list[str]()
    graph = await ready_graph(base, "float32", told.append)
    size = sum(file.stat().st_size for file in graph.iterdir())
    model = Model(base="tiny", weights="float32", threads=1, memory_mb=(limit + 0.5) * size / 2**20)
    told.clear()
    async with Engine(base, graph, 1, 8) as first, Engines(first, shelf, data, model, 8, told.append) as engines:
        yield House(base, shelf, data, engines, told)


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
async def test_a_whole_model_says_what_transformers_says(tmp_path: Path, kind: str) -> None:
    """It speaks by itself, whatever the configured base is; its graph is built once and lies beside the version."""
    model = MAKERS[kind](tmp_path / "theirs")
    async with house(tmp_path) as here:
        version = whole_version(here.shelf, "nell", model.model)
        async with here.engines.lend(version) as voice:
            assert voice.adapter is None
            logits = engine_logits(voice.engine, None, TOKENS, 4)
        np.testing.assert_allclose(logits, reference_logits(model, None, TOKENS)[3:], rtol=1e-3, atol=2e-4)
        assert len(here.told) == 1
        home = here.shelf.path(version).parent
        assert (graph_folder(home / ".graphs-v1", "float32") / "graph.json").is_file()
        assert sorted(path.name for path in here.shelf.path(version).iterdir()) == sorted(
            ["config.json", "generation_config.json", "manifest.json", "model.safetensors", "tokenizer.json"]
        )


async def test_eight_bit_weights_of_a_whole_model_stay_within_the_stated_error(tmp_path: Path) -> None:
    """Under 6% of the logits' norm, as for a base."""
    model = make_tiny_llama(tmp_path / "theirs")
    version = whole_version(Shelf(tmp_path / "models"), "nell", model.model)
    whole = whole_model(Shelf(tmp_path / "models").path(version))
    async with Engine(whole, await ready_graph(whole, "int8", print), 1, 1) as engine:
        logits = engine_logits(engine, None, TOKENS, 4)
    wanted = reference_logits(model, None, TOKENS)[3:]
    assert 0 < np.linalg.norm(logits - wanted) / np.linalg.norm(wanted) < 0.06


async def test_two_requests_for_one_voice_build_and_open_it_once(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        version = whole_version(here.shelf, "nell", here.base.model)

        async def speak(seed: int) -> Engine:
            async with here.engines.lend(version) as voice:
                await voice.engine.generate(Request(None, "", (seed,), WILD))
                return voice.engine

        first, second = await asyncio.gather(speak(1), speak(2))
        assert first is second
        assert len(here.told) == 1


async def test_the_one_used_longest_ago_makes_room_but_none_that_speaks_is_closed(tmp_path: Path) -> None:
    """With two open and both lent, the third voice waits until one is given back."""
    async with house(tmp_path, limit=2) as here:
        nell, crumb, bruno = (
            whole_version(here.shelf, name, here.base.model, base=f"of {name}") for name in ("nell", "crumb", "bruno")
        )
        async with here.engines.lend(nell) as first:
            async with here.engines.lend(crumb) as second:
                third = asyncio.create_task(_speak(here.engines, bruno))
                done, _ = await asyncio.wait([third], timeout=0.5)
                assert not done
                assert await second.engine.generate(Request(None, "", (1,), WILD))
            await third
            assert await first.engine.generate(Request(None, "", (1,), WILD))  # it was lent, so crumb had to go
        async with here.engines.lend(nell) as again:
            assert again.engine is first.engine
        with pytest.raises(RuntimeError, match="shut down"):
            await second.engine.generate(Request(None, "", (1,), WILD))


async def test_a_model_that_is_too_big_alone_is_refused_with_both_figures(tmp_path: Path) -> None:
    async with house(tmp_path, limit=0) as here:  # half of what it takes
        version = whole_version(here.shelf, "nell", here.base.model)
        with pytest.raises(Refused, match=r"nell is a model of its own that takes \d+ MB, and .* memory_mb is \d+"):
            async with here.engines.lend(version):
                pass


async def test_a_base_that_comes_along_is_made_ready_for_the_version_that_stands_on_it(tmp_path: Path) -> None:
    """Once, and only when somebody asks; with other weights than the version's it is not the base that is meant."""
    async with house(tmp_path, limit=40) as here:
        for name, digest in (("nell", embedded_record().sha256), ("crumb", "1" * 64)):
            here.shelf.place(
                here.shelf.staging(name, "1"),
                manifest(name, base_sha256=digest).model_copy(update={"base": "embedded"}),
            )
            here.shelf.use(name, "v1")

        async def lent() -> str:
            async with here.engines.lend(here.shelf.current("nell")) as voice:
                return voice.engine.base.record.spec

        assert set(await asyncio.gather(lent(), lent(), lent())) == {"embedded"}
        assert sum("Making the base embedded ready" in each for each in here.told) == 1
        with pytest.raises(Refused, match="crumb was trained on another edition of the base embedded"):
            async with here.engines.lend(here.shelf.current("crumb")):
                pass


async def test_a_version_on_another_prepared_base_speaks_and_one_on_none_is_refused(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        other = make_tiny_llama(base_folder(here.data, "other"), "other")
        for name, spec, digest in (("nell", "other", other.record.sha256), ("crumb", "nowhere", "1" * 64)):
            here.shelf.place(
                here.shelf.staging(name, "1"),
                manifest(name, base_sha256=digest).model_copy(update={"base": spec}),
            )
            here.shelf.use(name, "v1")
        async with here.engines.lend(here.shelf.current("nell")) as voice:
            assert voice.engine.base == other
            assert voice.adapter == here.shelf.folder / "nell" / "v1"
        with pytest.raises(Refused, match="trained on the base nowhere"):
            async with here.engines.lend(here.shelf.current("crumb")):
                pass


async def test_what_is_removed_is_let_go_and_never_built_again(tmp_path: Path) -> None:
    """Nothing of it stays on the shelf, not even when somebody still had its manifest in hand."""
    async with house(tmp_path) as here:
        version = whole_version(here.shelf, "nell", here.base.model)
        await _speak(here.engines, version)
        here.shelf.remove("nell")
        await here.engines.drop_what_is_gone()
        assert not here.engines._held
        late = whole_version(here.shelf, "crumb", here.base.model)
        here.shelf.retire("crumb")
        with pytest.raises(UnknownPersona):
            await _speak(here.engines, late)
        here.shelf.remove("crumb")
        assert [path.name for path in here.shelf.folder.iterdir() if path.is_dir()] == []


@pytest.mark.parametrize("removed", [False, True], ids=["stays", "removed"])
async def test_an_engine_that_made_room_meanwhile_is_not_asked_to_let_go(tmp_path: Path, removed: bool) -> None:
    """While one engine is busy, the next on the list is closed in favour of a third, whether or not its files stay."""
    async with house(tmp_path, limit=2) as here:
        nell, crumb, bruno = (
            whole_version(here.shelf, name, here.base.model, base=f"of {name}") for name in ("nell", "crumb", "bruno")
        )
        goes_on = threading.Event()
        async with here.engines.lend(nell) as busy:
            await _speak(here.engines, crumb)
            busy.engine._executor.submit(goes_on.wait)
            dropping = asyncio.create_task(here.engines.drop_what_is_gone())
            done, _ = await asyncio.wait([dropping], timeout=0.5)
            assert not done
            if removed:
                here.shelf.remove("crumb")
            await _speak(here.engines, bruno)  # crumb made room
            goes_on.set()
            await dropping
            assert len(here.engines._held) == 2


async def test_a_version_that_is_pruned_before_it_speaks_is_told_as_such(tmp_path: Path) -> None:
    """As a whole model nothing is built of it any more, and as an adapter it is not read: never a raw error."""
    async with house(tmp_path) as here:
        whole_version(here.shelf, "nell", here.base.model)
        current = here.shelf.current("nell")
        gone = current.model_copy(update={"version": "v2"})
        with pytest.raises(UnknownVersion, match="nell has no version v2"):
            await _speak(here.engines, gone)
        held_at_hand = whole_version(here.shelf, "crumb", here.base.model)
        shutil.copytree(here.shelf.path(held_at_hand), here.shelf.folder / "crumb" / "v2")
        base = here.engines._base_of(held_at_hand.model_copy(update={"version": "v2"}))
        assert base is not None
        here.shelf.prune("crumb", "v2")
        with pytest.raises(UnknownVersion, match="crumb has no version v2"):
            await here.engines._open(base, held_at_hand.model_copy(update={"version": "v2"}))
        assert not here.told
        adapter = manifest("nell", "v3", here.base.record.sha256)
        with pytest.raises(UnknownVersion, match="nell has no version v3"):
            async with here.engines.lend(adapter) as voice:
                await voice.engine.generate(Request(voice.adapter, "", (1,), WILD))
        here.shelf.remove("nell")
        with pytest.raises(UnknownPersona):
            await _speak(here.engines, current)


async def test_a_graph_whose_version_is_gone_is_swept(tmp_path: Path) -> None:
    """One that is there stays."""
    async with house(tmp_path) as here:
        for name in ("nell", "crumb"):
            await _speak(here.engines, whole_version(here.shelf, name, here.base.model))
        shutil.rmtree(here.shelf.folder / "nell" / "v1")
        here.shelf.sweep()
        assert [path.parent.name for path in here.shelf.folder.glob("*/.graphs-*")] == ["crumb"]


async def _speak(engines: Engines, version: Manifest) -> None:
    async with engines.lend(version) as voice:
        await voice.engine.generate(Request(None, "", (1,), WILD))
