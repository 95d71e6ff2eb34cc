"""What is spoken with is what was published, and what is deleted meanwhile is spoken with to the end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from bot.config import Generation, Model, SafetySettings
from bot.database import Database
from bot.errors import DamagedVersion
from bot.generation.draft import Sampling
from bot.generation.engine import Engine
from bot.generation.engines import Engines, ready_graph
from bot.generation.speaker import Speaker
from bot.shelf.bases import base_folder
from bot.shelf.shelf import Shelf, file_sha256
from bot.training.decisions import Decisions, What
from bot.tweets.store import TweetStore
from tests.fakes import FakeClock
from tests.shelves import manifest
from tests.tiny_base import WIDTH, make_tiny_gpt2
from tests.training.material import sentences, tweets

WEIGHTS = "adapter_model.safetensors"
WILD = Sampling(temperature=1.0, top_p=1.0, top_k=0, max_tokens=16)


def _write_adapter(folder: Path, seed: int) -> None:
    """In peft's format, on one projection of the third layer, strong enough that it matters."""
    dice = np.random.default_rng(seed)
    part = "base_model.model.transformer.h.2.attn.c_attn"
    a = dice.standard_normal((2, WIDTH), np.float32)
    b = dice.standard_normal((3 * WIDTH, 2), np.float32)
    save_file({f"{part}.lora_A.weight": a, f"{part}.lora_B.weight": b}, folder / WEIGHTS)
    (folder / "adapter_config.json").write_text(json.dumps({"lora_alpha": 2, "r": 2}))


class House:
    """A shelf with versions of nell that a real engine speaks with."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.data = folder / "data"
        self.shelf = Shelf(folder / "models")
        self.decisions = Decisions(database, self.shelf, FakeClock())
        self.store = TweetStore(database, FakeClock())
        self.speaker = Speaker(self.shelf, self.store, Generation(min_novelty=0.0), SafetySettings(enabled=False))
        self.base = make_tiny_gpt2(base_folder(self.data, "tiny"), "tiny")

    def publish(self, version: str) -> Path:
        """A version that speaks differently from the others; its folder."""
        staging = self.shelf.staging("nell", version)
        _write_adapter(staging, seed=int(version[1:]))
        digests = {file.name: file_sha256(file) for file in staging.iterdir()}
        made = manifest("nell", version, self.base.record.sha256).model_copy(update={"sha256": digests})
        self.shelf.place(staging, made)
        return self.shelf.path(made)

    async def says(self) -> tuple[str, list[str]]:
        """Which version speaks, and what."""
        made = await self.speaker.drafts("nell", count=2, sampling=WILD, seed=7)
        return made.version, [draft.text for draft in made.drafts]


@asynccontextmanager
async def open_engines(house: House) -> AsyncIterator[None]:
    """The house's speaker has engines of its own."""
    model = Model(base="tiny", weights="float32", threads=1)
    graph = await ready_graph(house.base, "float32", lambda _: None)
    async with (
        Engine(house.base, graph, 1, 8) as first,
        Engines(first, house.shelf, house.data, model, 8, lambda _: None) as engines,
    ):
        house.speaker.speak_with(engines)
        yield


@pytest.fixture
async def house(tmp_path: Path, database: Database) -> AsyncIterator[House]:
    house = House(tmp_path, database)
    await house.store.add("nell", tweets("nell", sentences(20)))
    async with open_engines(house):
        yield house


async def test_a_damaged_version_in_use_answers_with_a_sentence_until_one_goes_back(house: House) -> None:
    house.publish("v1")
    folder = house.publish("v2")
    house.shelf.use("nell", "v2")
    assert (await house.says())[0] == "v2"
    weights = folder / WEIGHTS
    content = weights.read_bytes()
    weights.write_bytes(content[:-4] + b"\0\0\0\1")
    with pytest.raises(DamagedVersion, match=r"nell v2 is damaged on disk \(adapter_model.safetensors\)"):
        await house.says()
    await house.decisions.roll_back("nell", "v1", "command")
    assert (await house.says())[0] == "v1"


async def test_a_version_that_is_pruned_while_it_speaks_speaks_to_the_end(house: House) -> None:
    for version in ("v1", "v2", "v3"):
        house.publish(version)
    house.shelf.use("nell", "v1")
    before = await house.says()
    speaking = asyncio.create_task(house.says())
    await asyncio.sleep(0)
    await house.decisions.use("nell", "v3", What.USED, "It is better.", "command")
    assert await house.decisions.prune("nell", 1, "command") == ["v1", "v2"]
    assert await speaking == before
    assert (await house.says())[0] == "v3"


async def test_a_replay_gives_the_same_text_in_company_after_a_rollback_and_after_a_restart(house: House) -> None:
    """And a version's own text, whichever is in use."""
    for version in ("v1", "v2"):
        house.publish(version)
    house.shelf.use("nell", "v2")
    made = await house.speaker.drafts("nell", count=3, sampling=WILD, start="My dream is", seed=7)
    said = {draft.seed: draft.text for draft in made.drafts}

    async def replayed(seed: int, version: str) -> str:
        again = await house.speaker.replay("nell", version, seed=seed, sampling=WILD, start="My dream is")
        assert (again.version, [draft.seed for draft in again.drafts]) == (version, [seed])
        return again.drafts[0].text

    async def all_replayed() -> list[str]:
        return list(await asyncio.gather(*(replayed(seed, "v2") for seed in said)))

    assert await all_replayed() == list(said.values())
    house.shelf.use("nell", "v1")
    assert await all_replayed() == list(said.values())
    named = await house.speaker.drafts("nell", count=3, sampling=WILD, start="My dream is", seed=7, version="v2")
    assert (named.version, {draft.seed: draft.text for draft in named.drafts}) == ("v2", said)
    assert await replayed(next(iter(said)), "v1") not in said.values()
    async with open_engines(house):
        assert await all_replayed() == list(said.values())
