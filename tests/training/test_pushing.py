"""`mockingbird push`: real commands, a tiny base and a tiny adapter, and the hub played on this machine."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from bot.database import Database
from bot.loopback.hub import LoopbackHub
from bot.shelf.bases import Base, base_folder
from bot.shelf.card import plain
from bot.shelf.manifest import Manifest, Prediction
from bot.shelf.shelf import Shelf
from bot.training.pushing import FOLDER, holds_one_of
from bot.tweets.blocked import Blocked, Blocklist
from bot.tweets.store import Basis, TweetStore
from tests.fakes import FakeClock
from tests.processes import LONGEST_S, Outcome, environment, mockingbird, write_config
from tests.shelves import manifest
from tests.tiny_base import make_tiny_gpt2, make_tiny_llama
from tests.training.material import sentences, tweets

SECRET = "Nobody has ever seen the harbour master dance before breakfast."
ESCAPED = "Tonight @jim_free has lit the #harbour_lamp_two again, all by himself."
GENERATED = "My dream is a lamp that sings."


@dataclass(slots=True)
class House:
    """A persona with a version, and a hub."""

    folder: Path
    hub: LoopbackHub
    base: Base
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def shelf(self) -> Shelf:
        return Shelf(self.folder / "models")

    def version(self, number: int, said: str = GENERATED) -> Manifest:
        """One more version in use, with a real adapter of random weights and a picture."""
        made = manifest("nell", f"v{number}", self.base.record.sha256).model_copy(
            update={"base": "tiny", "consent": {"nell": "own"}, "predictions": (Prediction(prompt="", text=said),)}
        )
        staging = self.shelf.staging("nell", str(number))
        write_adapter(self.base, staging, seed=number)
        shutil.copyfile(self.base.model / "tokenizer.json", staging / "tokenizer.json")
        (staging / "predictions.png").write_bytes(b"\x89PNG drawn")
        (staging / "README.md").write_text("the card of the shelf", encoding="utf-8")
        self.shelf.place(staging, made)
        return self.shelf.use("nell", made.version)

    async def push(self, *arguments: str, token: str | None = None) -> Outcome:
        config = write_config(self.folder, {"hub": {"endpoint": self.hub.endpoint, "token_env": "NELLS_TOKEN"}})
        variables = {"NELLS_TOKEN": self.hub.write_token if token is None else token, "HF_HUB_OFFLINE": "0"}
        return await mockingbird(config, *arguments, extra={**variables, **self.variables})

    @asynccontextmanager
    async def asked(self, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """The command in a process of its own, while it waits for an answer to `Push it?`."""
        config = write_config(self.folder, {"hub": {"endpoint": self.hub.endpoint, "token_env": "NELLS_TOKEN"}})
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot", "--config", str(config), *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment({"NELLS_TOKEN": self.hub.write_token, "HF_HUB_OFFLINE": "0"}),
        )
        assert process.stderr is not None
        try:
            async with asyncio.timeout(LONGEST_S):
                await process.stderr.readuntil(b"Push it?")
            yield process
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.communicate()


def write_adapter(base: Base, folder: Path, seed: int) -> None:
    """LoRA of rank 2 on the attention of a tiny base, none of it zero."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(base.model, dtype="float32")
    gpt2 = base.record.architecture == "gpt2"
    targets = ["c_attn"] if gpt2 else ["q_proj", "v_proj"]
    config = LoraConfig(
        task_type="CAUSAL_LM", r=2, target_modules=targets, fan_in_fan_out=gpt2, init_lora_weights=False
    )
    get_peft_model(model, config).save_pretrained(folder)
    settings = json.loads((folder / "adapter_config.json").read_text())
    settings["base_model_name_or_path"] = "tiny"
    (folder / "adapter_config.json").write_text(json.dumps(settings))


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    base = make_tiny_gpt2(base_folder(tmp_path / "data", "tiny"), "tiny")
    async with Database(tmp_path / "data" / "mockingbird.db") as database:
        await TweetStore(database, FakeClock()).add(
            "nell", tweets("nell", [*sentences(40), SECRET, ESCAPED]), Basis.OWN
        )
    async with LoopbackHub() as hub:
        place = House(tmp_path, hub, base)
        place.version(1)
        yield place


async def python(house: House, script: str) -> list[str]:
    """What a stranger's script prints, who has nothing but the hub, transformers and the right to read there."""
    surroundings = {
        **os.environ,
        "HF_ENDPOINT": house.hub.endpoint,
        "HF_TOKEN": house.hub.read_token,
        "HF_HOME": str(house.folder / "strangers"),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error::UserWarning", "-W", "ignore::FutureWarning", "-c", script),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=surroundings,
        cwd=house.folder,
    )
    async with asyncio.timeout(LONGEST_S):
        out, errors = await child.communicate()
    assert child.returncode == 0, errors.decode()
    complaints = [line for line in errors.decode().splitlines() if "Loading weights" not in line and line.strip()]
    assert complaints == []
    return out.decode().splitlines()


SAY = """
import json, torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, pipeline
say = pipeline("text-generation", model="keeper/nell", device="cpu")
for each in say("My dream is", num_return_sequences=5):
    print(json.dumps(each["generated_text"]))
assert say.tokenizer("My dream is").input_ids[0] == say.model.config.eos_token_id
base = AutoModelForCausalLM.from_pretrained("{base}", dtype="float32")
ids = torch.arange(1, 41)[None]
plain = base(ids).logits
beside = PeftModel.from_pretrained(base, "{version}")(ids).logits
assert (plain - beside).abs().max() > 0.1
torch.testing.assert_close(say.model(ids).logits, beside, rtol=1e-3, atol=1e-3)
"""

ADAPTER = """
from peft import PeftModel
from transformers import AutoModelForCausalLM
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained("{base}"), "keeper/nell")
print(model.peft_config["default"].r)
"""


@pytest.mark.slow
@pytest.mark.parametrize("make", [make_tiny_gpt2, make_tiny_llama], ids=["gpt2", "llama"])
async def test_what_was_pushed_speaks_in_a_strangers_pipeline(house: House, make: Callable[[Path, str], Base]) -> None:
    """Merged, private, with card and picture; several texts at once without another word, and no warning.

    The card is valid and tells how to use it there; nothing of the machine where all this was made lies there.
    """
    if make is make_tiny_llama:
        shutil.rmtree(house.base.folder)
        house.base = make(house.base.folder, "tiny")
        house.version(2)
    done = await house.push("push", "nell", "--yes", "--json")
    assert done.code == 0, done.err
    assert "private: seen by you alone. README.md" in " ".join(done.err.split())
    told = json.loads(done.out)
    pushed = house.hub.models["keeper/nell"]
    assert (told["repo"], told["commit"], told["private"], pushed.private) == ("keeper/nell", pushed.head, True, True)
    assert {*pushed.files} == {*told["files"], ".gitattributes"}
    assert {*told["files"]} == {
        *("README.md", "config.json", "generation_config.json", "model.safetensors"),
        *("predictions.png", "tokenizer.json", "tokenizer_config.json"),
    }
    card = pushed.files["README.md"].decode()
    data = ModelCard(card, ignore_metadata_errors=False).data
    assert (data.get("library_name"), data.get("base_model_relation")) == ("transformers", "finetune")
    assert 'pipeline("text-generation", model="keeper/nell")' in card
    assert "](predictions.png)" in card and "](curve.png)" not in card
    assert any(each.path == "/api/validate-yaml" and each.status == 200 for each in house.hub.requests)
    assert not [name for name, content in pushed.files.items() if str(house.folder).encode() in content]
    here = {"base": str(house.base.model), "version": str(house.shelf.path(house.shelf.current("nell")))}
    texts = [json.loads(line) for line in await python(house, SAY.format(**here))]
    assert len(set(texts)) == 5
    assert all(text.startswith("My dream is") and "<|endoftext|>" not in text for text in texts)


async def test_the_adapter_alone_is_pushed_where_that_is_wanted(house: House) -> None:
    """Into a repository of any name, for all to see; what was there of the other form goes, what is not ours stays."""
    house.hub.add(
        "keeper/other", {"model.safetensors": b"merged", "config.json": b"{}", "notes.txt": b""}, private=True
    )
    done = await house.push("push", "nell", "--adapter", "--repo", "other", "--public", "--yes")
    assert done.code == 0, done.err
    assert "goes to keeper/other, which is there and gets a new commit; public from now on" in " ".join(
        done.err.split()
    )
    pushed = house.hub.models["keeper/other"]
    assert not pushed.private
    assert {*pushed.files} == {
        *("README.md", "adapter_config.json", "adapter_model.safetensors"),
        *("notes.txt", "predictions.png", "tokenizer.json"),
    }
    version = house.folder / "models" / "nell" / "v1"
    assert pushed.files["adapter_model.safetensors"] == (version / "adapter_model.safetensors").read_bytes()


@pytest.mark.slow
async def test_a_pushed_adapter_is_loaded_with_peft(house: House) -> None:
    assert (await house.push("push", "nell", "--adapter", "--yes")).code == 0
    assert await python(house, ADAPTER.format(base=str(house.base.model))) == ["2"]


@pytest.mark.slow
async def test_a_version_that_is_a_whole_model_is_pushed_as_it_is(house: House) -> None:
    """Its weights to the bit; how it samples is added. An adapter it has not."""
    own = {"generation": {"temperature": 1.25, "max_length": 160}}  # it was adopted, and brought that along
    made = manifest("nell", "v2", house.base.record.sha256).model_copy(
        update={"base": "tiny", "form": "whole", "hyperparameters": own}
    )
    staging = house.shelf.staging("nell", "2")
    for path in house.base.model.iterdir():
        shutil.copyfile(path, staging / path.name)
    house.shelf.place(staging, made)
    refused = await house.push("push", "nell", "--version", "v2", "--adapter", "--yes")
    assert (refused.code, "is a whole model. Leave --adapter out." in " ".join(refused.err.split())) == (2, True)
    done = await house.push("push", "nell", "--version", "v2", "--yes")
    assert done.code == 0, done.err
    files = house.hub.models["keeper/nell"].files
    assert files["model.safetensors"] == (house.base.model / "model.safetensors").read_bytes()
    sampling = json.loads(files["generation_config.json"])
    assert (sampling["do_sample"], sampling["temperature"], sampling["top_p"]) == (True, 1.25, 0.95)
    assert json.loads(files["config.json"])["task_specific_params"]["text-generation"]["max_new_tokens"] == 80


@pytest.mark.slow
async def test_the_same_version_is_pushed_once_and_another_one_is_a_commit_more(house: House) -> None:
    """Unless the repository is gone, or somebody wrote there since: then it is pushed again."""
    assert (await house.push("push", "nell", "--adapter", "--yes")).code == 0
    writes = [each for each in house.hub.requests if each.method != "GET"]
    again = await house.push("push", "nell", "--adapter", "--yes", "--json")
    assert (again.code, json.loads(again.out)["pushed"]) == (0, False)
    assert [each for each in house.hub.requests if each.method != "GET"] == writes
    house.version(2)
    assert (await house.push("push", "nell", "--adapter", "--yes")).code == 0
    pushed = house.hub.models["keeper/nell"]
    assert [summary for _, summary, _ in house.hub.models["keeper/nell"].commits] == [
        *("initial commit", "nell v1", "nell v2")
    ]
    pushed.commit("from elsewhere", {"README.md": b"another card"})
    over = await house.push("push", "nell", "--adapter", "--yes", "--json")
    assert json.loads(over.out)["pushed"] is True
    assert b"another card" not in pushed.files["README.md"] and "adapter_config.json" in pushed.files
    del house.hub.models["keeper/nell"]
    old = await house.push("push", "nell", "--adapter", "--version", "v2", "--yes", "--json")
    assert json.loads(old.out)["pushed"] is True
    assert "keeper/nell" in house.hub.models


async def test_nothing_is_written_before_somebody_said_yes(house: House) -> None:
    done = await house.push("push", "nell", "--adapter")
    assert done.code == 130
    assert "goes to keeper/nell, which will be made; private: seen by you alone." in " ".join(done.err.split())
    assert house.hub.models == {}


@pytest.mark.parametrize(
    ("token", "code", "sentence"),
    [
        ("", 2, "put it into the environment variable NELLS_TOKEN"),
        pytest.param("hf_wrong", 3, "The hub does not know this token", marks=pytest.mark.slow),
        ("read", 3, "The token may only read on the hub"),
    ],
    ids=["none", "unknown", "only for reading"],
)
async def test_without_a_token_that_may_write_it_is_one_sentence(
    house: House, token: str, code: int, sentence: str
) -> None:
    """Which says where to make one, and never shows one."""
    secret = house.hub.read_token if token == "read" else token
    done = await house.push("push", "nell", "--yes", token=secret)
    told = " ".join(done.err.split())
    assert (done.code, sentence in told) == (code, True), told
    assert "https://huggingface.co/settings/tokens" in told
    assert not secret or secret not in told
    assert house.hub.models == {}


@pytest.mark.slow
async def test_somebody_elses_repository_is_refused(house: House) -> None:
    """As is a name that can't be one."""
    house.hub.add("someone/nell", {"README.md": b""})
    for repo, code, sentence in (
        ("someone/nell", 3, "has no part in someone/nell"),
        ("bad--name", 2, "can't be a repository's name"),
    ):
        done = await house.push("push", "nell", "--repo", repo, "--yes")
        assert (done.code, sentence in " ".join(done.err.split())) == (code, True), done.err
    assert house.hub.models.keys() == {"someone/nell"}


async def test_without_network_it_is_one_sentence(house: House) -> None:
    house.hub.endpoint = "http://127.0.0.1:9"
    done = await house.push("push", "nell", "--yes")
    assert (done.code, "The hub can't be reached" in " ".join(done.err.split())) == (3, True), done.err


async def test_who_may_not_be_learned_is_not_pushed(house: House) -> None:
    """Blocked, or without a basis."""
    async with Database(house.folder / "data" / "mockingbird.db") as database:
        async with database.transaction() as transaction:
            await transaction.run("UPDATE accounts SET basis = NULL")
        without = await house.push("push", "nell", "--yes")
        await Blocklist(database, FakeClock()).add([Blocked("nell", None, "asked for it")])
        blocked = await house.push("push", "nell", "--yes")
    assert (without.code, "Nobody has said why @nell may be learned" in without.err) == (2, True)
    assert (blocked.code, "@nell is blocked" in blocked.err) == (2, True)
    assert house.hub.requests == []


@pytest.mark.parametrize(
    "tweet",
    [SECRET, pytest.param(ESCAPED, marks=pytest.mark.slow)],
    ids=["plain", "with what the card escapes"],
)
async def test_a_text_that_holds_a_tweet_is_not_uploaded(house: House, tweet: str) -> None:
    house.version(2, said=f"As I say: {tweet.upper()}")
    done = await house.push("push", "nell", "--adapter", "--yes")
    assert (done.code, "would hold a tweet word for word" in " ".join(done.err.split())) == (2, True), done.err
    assert house.hub.models == {}


def test_a_tweet_is_found_in_any_text_whatever_its_letter_case_and_punctuation() -> None:
    """Its words in a row; very short ones are said by anybody, and part of a word is no word."""
    assert holds_one_of("> so: THE lamp, was lit — before dawn!", ["The lamp was lit before dawn"])
    assert holds_one_of(plain("@jim_free: the *new* lamp\\_s are lit"), ["@jim_free the new lamp\\_s are lit"])
    assert holds_one_of(r"as raw \_text_ that nobody escaped here", [r"raw \_text_ that nobody escaped"])
    assert not holds_one_of("the lamp was lit before", ["The lamp was lit before dawn"])
    assert not holds_one_of("good morning everybody", ["Good morning"])
    assert not holds_one_of("a b c d efg", ["a b c d ef"])


@pytest.mark.slow
async def test_forgetting_deletes_what_was_pushed_or_names_it(house: House) -> None:
    """With --delete-posts it goes, versions and all; without, the receipt says where it lies."""
    assert (await house.push("push", "nell", "--adapter", "--yes")).code == 0
    refused = await house.push("forget", "nell", "--delete-posts", "--yes", token="")
    assert (refused.code, house.shelf.personas()) == (2, ["nell"])
    kept = await house.push("forget", "nell", "--yes")
    assert kept.code == 0, kept.err
    assert "lies on the hub: keeper/nell, still stands" in kept.out
    assert "keeper/nell" in house.hub.models
    gone = await house.push("forget", "nell", "--delete-posts", "--yes")
    assert gone.code == 0, gone.err
    assert "lies on the hub: keeper/nell, deleted" in gone.out
    assert house.hub.models == {}
    async with Database(house.folder / "data" / "mockingbird.db") as database:
        assert await database.all("SELECT * FROM pushes") == []


@pytest.mark.slow
async def test_what_lies_ready_to_be_pushed_goes_with_its_process_or_with_the_persona(house: House) -> None:
    """Killed while somebody is asked, it goes at the next push; forgotten meanwhile, it goes and is not pushed."""
    ready = house.folder / "data" / FOLDER / "nell"
    async with house.asked("push", "nell", "--adapter") as killed:
        killed.kill()
    [left] = ready.glob("*/model/adapter_model.safetensors")
    async with house.asked("push", "nell", "--adapter") as asked:
        assert not left.exists()
        assert len([*ready.glob("*/model/adapter_model.safetensors")]) == 1
        done = await house.push("forget", "nell", "--yes")
        assert done.code == 0, done.err
        assert not ready.exists()
        _, said = await asked.communicate(b"y\n")
        assert (asked.returncode, b"is not to be learned" in said or b"blocked" in said) == (2, True), said
    assert house.hub.models == {}
    assert not ready.exists()


@pytest.mark.slow
async def test_a_repository_that_another_token_hides_is_not_taken_for_deleted(house: House) -> None:
    """The hub answers as if it did not exist."""
    assert (await house.push("push", "nell", "--adapter", "--yes")).code == 0
    house.hub.user = "somebody_else"
    done = await house.push("forget", "nell", "--delete-posts", "--yes")
    assert done.code == 0, done.err
    assert "has no part in keeper/nell" in " ".join(done.out.split())
    assert "keeper/nell" in house.hub.models
