"""Bases from the hub, played on this machine: `mockingbird prepare` and the process in which a base is made ready."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bot.loopback.hub import LoopbackHub
from bot.shelf.bases import base_folder, find_base
from bot.shelf.shelf import Shelf
from bot.training.child import environment
from tests.processes import LONGEST_S, mockingbird, write_config
from tests.tiny_base import make_tiny_gpt2, tiny_tokenizer

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel

WEIGHTS = "model.safetensors"
MEBIBYTE = 2**20


@pytest.fixture
async def hub() -> AsyncIterator[LoopbackHub]:
    async with LoopbackHub() as server:
        yield server


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def tiny(folder: Path) -> dict[str, bytes]:
    """The files of a tiny GPT-2."""
    return files_in(make_tiny_gpt2(folder / "theirs").model)


def wide_gpt2() -> GPT2LMHeadModel:
    """A GPT-2 whose weights are larger than the 10 MiB pieces in which the hub's library reads."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    end = tiny_tokenizer().token_to_id("<|endoftext|>")
    torch.manual_seed(1)
    return GPT2LMHeadModel(
        GPT2Config(vocab_size=512, n_positions=64, n_embd=384, n_layer=2, n_head=6, bos_token_id=end, eos_token_id=end)
    )


async def prepare(folder: Path, base: str, cache: Path, **variables: str) -> tuple[int, str]:
    """The process in which a base is made ready: its exit code and what it says on standard error."""
    surroundings = {**os.environ, "HF_HOME": str(cache), "HF_HUB_OFFLINE": "0", **variables}
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "ignore::FutureWarning", "-m", "bot.training.prepare", base, str(folder)),
        stderr=asyncio.subprocess.PIPE,
        env=environment(surroundings, may_ask_the_hub=True),
    )
    async with asyncio.timeout(LONGEST_S):
        _, errors = await child.communicate()
    return child.returncode or 0, errors.decode()


@pytest.mark.slow
async def test_a_base_is_downloaded_and_made_ready(tmp_path: Path, hub: LoopbackHub) -> None:
    """By the command, once: a second start asks nobody. No token goes where the files lie."""
    hub.add("someone/tiny-gpt2", tiny(tmp_path))
    config = write_config(tmp_path, {"model": {"base": "someone/tiny-gpt2"}, "hub": {"endpoint": hub.endpoint}})
    surroundings = {"HF_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "0", "HF_TOKEN": hub.read_token}
    done = await mockingbird(config, "prepare", extra=surroundings)
    assert done.code == 0, done.err
    base = find_base(tmp_path / "data", "someone/tiny-gpt2")
    assert base is not None and base.record.architecture == "gpt2"
    assert len(hub.downloads(WEIGHTS)) == 1
    assert not any(each.authorised for each in hub.requests if each.path.startswith("/cdn/"))
    assert any(each.authorised for each in hub.requests)
    asked = len(hub.requests)
    assert (await mockingbird(config, "prepare", extra=surroundings)).code == 0
    assert len(hub.requests) == asked


@pytest.mark.slow
async def test_weights_in_several_files_are_one_base(tmp_path: Path, hub: LoopbackHub) -> None:
    wide_gpt2().save_pretrained(tmp_path / "parts", max_shard_size="4MB")
    tiny_tokenizer().save(str(tmp_path / "parts" / "tokenizer.json"))
    files = files_in(tmp_path / "parts")
    assert sum(name.endswith(".safetensors") for name in files) > 1
    hub.add("someone/parts", files)
    code, errors = await prepare(tmp_path, "someone/parts", tmp_path / "cache", HF_ENDPOINT=hub.endpoint)
    assert code == 0, errors
    base = find_base(tmp_path, "someone/parts")
    assert base is not None
    assert not list(base.model.glob("model-*"))


@pytest.mark.parametrize("reset", [False, True], ids=["in good order", "hard"])
@pytest.mark.slow
async def test_a_download_goes_on_where_it_was_broken_off(tmp_path: Path, hub: LoopbackHub, reset: bool) -> None:
    """The rest alone is asked for, and what was put together is the file to the last bit.

    Broken off hard, the library does not go on by itself; that is one sentence, and the next try succeeds.
    """
    wide_gpt2().save_pretrained(tmp_path / "theirs")
    tiny_tokenizer().save(str(tmp_path / "theirs" / "tokenizer.json"))
    files = files_in(tmp_path / "theirs")
    assert len(files[WEIGHTS]) > 12 * MEBIBYTE
    hub.add("someone/wide", files)
    hub.cut_off(WEIGHTS, after=11 * MEBIBYTE, reset=reset)
    code, errors = await prepare(tmp_path, "someone/wide", tmp_path / "cache", HF_ENDPOINT=hub.endpoint)
    if reset and code:
        assert (code, "broke off" in errors) == (3, True), errors
        code, errors = await prepare(tmp_path, "someone/wide", tmp_path / "cache", HF_ENDPOINT=hub.endpoint)
    else:
        assert [each.range for each in hub.downloads(WEIGHTS)] == [None, f"bytes={10 * MEBIBYTE}-"]
    assert code == 0, errors
    digest = hashlib.sha256(files[WEIGHTS]).hexdigest()
    kept = next((tmp_path / "cache").rglob(f"blobs/{digest}"))
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == digest


async def test_a_model_that_is_not_there_is_one_sentence(tmp_path: Path, hub: LoopbackHub) -> None:
    """Whether somebody is known to the hub or not, and also where it is somebody else's and private."""
    hub.add("someone/private", tiny(tmp_path), private=True)
    for base, token in (("someone/nothing", ""), ("someone/private", hub.read_token)):
        code, errors = await prepare(tmp_path, base, tmp_path / "cache", HF_ENDPOINT=hub.endpoint, HF_TOKEN=token)
        assert code == 3
        assert errors.startswith(f"The hub knows no model {base}."), errors


async def test_a_gated_model_is_one_sentence(tmp_path: Path, hub: LoopbackHub) -> None:
    """Its page is open, its files are not."""
    hub.add("someone/gated", tiny(tmp_path), gated=True)
    settings = {"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": hub.read_token}
    code, errors = await prepare(tmp_path, "someone/gated", tmp_path / "cache", **settings)
    assert (code, hub.downloads(WEIGHTS)) == (3, [])
    assert errors.strip().splitlines()[-1].startswith("someone/gated is gated on the hub. Ask for access there"), errors


@pytest.mark.slow
async def test_a_model_from_the_hub_is_adopted_and_no_copy_outlives_it(tmp_path: Path, hub: LoopbackHub) -> None:
    """By the command. No cache keeps it, so when the account is forgotten it is gone; without network it is not had."""
    files = tiny(tmp_path)
    hub.add("someone/sayings", files)
    make_tiny_gpt2(base_folder(tmp_path / "data", "tiny"), "tiny")
    config, cache = write_config(tmp_path, {"hub": {"endpoint": hub.endpoint}}), tmp_path / "cache"
    surroundings = {"HF_HOME": str(cache), "HF_HUB_OFFLINE": "0"}
    adopt = ("adopt", "someone/sayings", "--as", "nell", "--handle", "nell", "--basis", "invented")
    done = await mockingbird(config, *adopt, extra=surroundings)
    assert done.code == 0, done.err
    [version] = Shelf(tmp_path / "models").versions("nell")
    assert (version.form, version.adopted_from) == ("whole", "someone/sayings")
    assert len(hub.downloads(WEIGHTS)) == 1
    digest = hashlib.sha256(files[WEIGHTS]).hexdigest()
    kept = [path for path in (*cache.rglob("*"), *(tmp_path / "data").rglob("*")) if path.is_file()]
    assert not [path for path in kept if "sayings" in str(path) or digest in str(path)]
    away = await mockingbird(config, *adopt, extra={**surroundings, "HF_HUB_OFFLINE": "1"})
    assert (away.code, "The hub can't be reached" in " ".join(away.err.split())) == (3, True)


@pytest.mark.slow
async def test_without_network_what_was_downloaded_before_is_enough(tmp_path: Path, hub: LoopbackHub) -> None:
    """And what was not is one sentence. It is all the same whether the network is away or is not to be used."""
    hub.add("someone/tiny-gpt2", tiny(tmp_path))
    cache, nowhere = tmp_path / "cache", "http://127.0.0.1:9"
    code, errors = await prepare(tmp_path / "first", "someone/tiny-gpt2", cache, HF_ENDPOINT=hub.endpoint)
    assert code == 0, errors
    asked = len(hub.requests)
    code, errors = await prepare(tmp_path / "second", "someone/tiny-gpt2", cache, HF_ENDPOINT=nowhere)
    assert code == 0, errors
    assert find_base(tmp_path / "second", "someone/tiny-gpt2") is not None
    for settings in ({"HF_ENDPOINT": nowhere}, {"HF_ENDPOINT": hub.endpoint, "HF_HUB_OFFLINE": "1"}):
        code, errors = await prepare(tmp_path / "third", "someone/other", cache, **settings)
        assert code == 3
        assert "The hub can't be reached and someone/other was not downloaded before" in errors
    assert len(hub.requests) == asked


@pytest.mark.slow
async def test_a_hub_that_breaks_off_every_time_is_one_sentence(tmp_path: Path, hub: LoopbackHub) -> None:
    """It was tried several times before, and nothing half made is left."""
    hub.add("someone/tiny-gpt2", tiny(tmp_path))
    for _ in range(20):
        hub.cut_off(WEIGHTS, after=1_000)
    code, errors = await prepare(tmp_path, "someone/tiny-gpt2", tmp_path / "cache", HF_ENDPOINT=hub.endpoint)
    assert code == 3
    assert "The download of someone/tiny-gpt2 broke off" in errors
    assert len(hub.downloads(WEIGHTS)) > 3
    assert find_base(tmp_path, "someone/tiny-gpt2") is None
