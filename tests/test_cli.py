"""The command line as a user meets it: what it prints, its exit codes, and that bad input loses nothing."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest

from bot.shelf.shelf import Shelf, file_sha256
from bot.training.job import ADAPTER
from tests.processes import ROOT, mockingbird, write_config
from tests.shelves import manifest

NELL = ROOT / "examples" / "lighthouse_nell.zip"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path, {})


async def test_import_counts_each_account_in_json(config: Path) -> None:
    outcome = await mockingbird(config, "import", str(NELL), "--json")
    assert outcome.code == 0
    (account,) = json.loads(outcome.out)["accounts"]
    assert account["handle"] == "lighthouse_nell"
    parts = ("retweets", "short", "duplicates", "kept")
    assert sum(account[part] for part in parts) == account["downloaded"] == 550
    again = await mockingbird(config, "import", str(NELL), "--json")
    assert json.loads(again.out) == json.loads(outcome.out)
    shown = await mockingbird(config, "tweets", "@Lighthouse_Nell", "--json")
    assert json.loads(shown.out)["account"] == account


async def test_a_portrait_is_a_page_of_tables_or_one_document(config: Path) -> None:
    await mockingbird(config, "import", str(NELL))
    shown = await mockingbird(config, "tweets", "lighthouse_nell", "--json")
    document = json.loads(shown.out)
    assert set(document) == {"account", "examples", "portrait"}
    portrait = document["portrait"]
    assert portrait["tweets"] == document["account"]["downloaded"] == sum(portrait["verdicts"].values())
    assert portrait["verdicts"]["kept"] == document["account"]["kept"]
    assert portrait["examples"]["kept"] == document["examples"]
    assert next(iter(portrait["languages"]["counts"])) == "en"
    printed = await mockingbird(config, "tweets", "lighthouse_nell")
    assert printed.code == 0
    assert max(map(len, printed.out.splitlines())) <= 80
    for each in ("550 tweets", "retweet", "2025 Q1", "81 to 100", "English", "hashtags", "█"):
        assert each in printed.out, each
    assert " ".join(document["examples"][0].split()) in " ".join(printed.out.split())


def broken_inputs(folder: Path) -> list[tuple[Sequence[str], int, str]]:
    """Command, exit code, and what the sentence on stderr says."""
    (folder / "empty.zip").write_bytes(b"")
    (folder / "broken.zip").write_bytes(b"PK\x03\x04 and then nothing")
    (folder / "table.csv").write_text("name,age\nnell,63\n")
    (folder / "few.csv").write_text("user,text\n" + "".join(f"few,the lamp was lit at {n} today\n" for n in range(9)))
    return [
        (["train"], 2, "Missing argument 'HANDLES"),
        (["train", "nobody"], 2, "No tweets of @nobody"),
        (["tweets", "nobody"], 2, "No tweets of @nobody"),
        (["say", "nobody"], 2, "no persona nobody"),
        (["say", "../../etc"], 2, "no persona"),
        (["say", "nobody", "--ban", "two words"], 2, "not one word"),
        (["say", "nobody", "--version", "v1"], 2, "no persona nobody"),
        (["say", "nobody", "--replay"], 2, "--replay needs --seed"),
        (["say", "nobody", "--stream", "--json"], 2, "Leave it out where --json"),
        (["say", "nobody", "--top-k", "-1"], 2, "--top-k"),
        (["say", "nobody", "--repetition-penalty", "9"], 2, "--repetition-penalty"),
        (["say", "nobody", "--temperature", "0.001"], 2, "temperature goes from 0.01 to 5"),
        (["rollback", "nobody"], 2, "no persona nobody"),
        (["import", str(folder / "missing.zip")], 2, "There is no file"),
        (["import", str(folder / "empty.zip")], 2, "is empty"),
        (["import", str(folder / "broken.zip")], 2, "broken.zip"),
        (["import", str(folder / "table.csv")], 2, "name, age"),
        (["fetch", "nasa", "--yes"], 2, "i_have_permission_to_train"),
        (["frobnicate"], 2, "No such command"),
    ]


async def test_bad_input_is_a_sentence_and_an_exit_code_and_changes_nothing(config: Path, tmp_path: Path) -> None:
    for arguments, code, sentence in broken_inputs(tmp_path):
        outcome = await mockingbird(config, *arguments)
        assert (outcome.code, sentence in " ".join(outcome.err.split())) == (code, True), outcome
        assert "Traceback" not in outcome.err
        assert outcome.out == ""
    counts = await mockingbird(config, "personas", "--json")
    assert json.loads(counts.out) == {"personas": [], "remarks": {}, "next_training": {}}


async def test_too_few_tweets_are_refused_before_anything_is_trained(config: Path, tmp_path: Path) -> None:
    broken_inputs(tmp_path)
    imported = await mockingbird(config, "import", str(tmp_path / "few.csv"), "--json")
    assert json.loads(imported.out)["accounts"][0]["verdict"] == "too little"
    outcome = await mockingbird(config, "train", "few")
    assert outcome.code == 2
    assert "6,000" in outcome.err
    assert not (tmp_path / "models").exists()


async def test_an_unreachable_hub_is_a_sentence_that_names_the_way_out(tmp_path: Path) -> None:
    config = write_config(tmp_path, {"model": {"base": "nobody/no-such-model"}})
    outcome = await mockingbird(config, "prepare")
    assert outcome.code == 3
    assert '"embedded"' in outcome.err
    assert "Traceback" not in outcome.err


async def test_a_wrong_setting_names_the_nearest_right_one(tmp_path: Path) -> None:
    config = write_config(tmp_path, {"web": {"prot": 81}})
    outcome = await mockingbird(config, "personas")
    assert outcome.code == 2
    assert "did you mean port" in outcome.err


async def test_a_port_in_use_is_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = write_config(tmp_path, {"web": {"port": taken.getsockname()[1]}})
        outcome = await mockingbird(config, "serve")
    assert outcome.code == 3
    assert "taken by another program" in outcome.err


async def test_discord_without_a_token_is_a_sentence_that_names_the_variable(tmp_path: Path) -> None:
    config = write_config(tmp_path, {"discord": {"enabled": True}})
    outcome = await mockingbird(config, "serve")
    assert outcome.code == 2
    assert "DISCORD_TOKEN" in outcome.err


async def test_doctor_finds_what_is_wrong_and_what_to_do(tmp_path: Path) -> None:
    nobody = {"enabled": True, "api_base": "http://127.0.0.1:9/api"}  # where nobody answers
    config = write_config(tmp_path, {"discord": nobody, "web": {"host": "0.0.0.0"}})
    outcome = await mockingbird(config, "doctor", "--json")
    assert outcome.code == 2
    findings = {finding["about"]: finding for finding in json.loads(outcome.out)["findings"]}
    assert findings["discord"]["grade"] == findings["web"]["grade"] == "wrong"
    token = "MTIzNDU2Nzg5MDEyMzQ1Njc4.x.y"  # no real one: its first part says 123456789012345678
    outcome = await mockingbird(config, "doctor", extra={"DISCORD_TOKEN": token, "MOCKINGBIRD_WEB_PASSWORD": "pw"})
    assert outcome.code == 0
    assert "client_id=123456789012345678" in "".join(outcome.out.split())
    assert "Discord did not answer (ClientConnectorError)." in outcome.out
    assert token not in outcome.out


async def test_doctor_names_the_settings_with_their_sections(tmp_path: Path) -> None:
    shown = await mockingbird(write_config(tmp_path, {"x": {"enabled": True}}), "doctor")
    assert "[x] reply_to_mentions" in shown.out


async def test_what_a_version_was_made_of_is_one_document_or_a_page_that_adds_up(tmp_path: Path) -> None:
    shipped = {"paths": {"models": str(ROOT / "models"), "examples": str(ROOT / "examples")}}
    config = write_config(tmp_path, shipped)
    shown = await mockingbird(config, "explore", "lighthouse_nell", "--json")
    assert shown.code == 0
    made = json.loads(shown.out)
    assert set(made) == {"persona", "version", "stored", "epochs", "accounts", "together", "portrait"}
    (account,) = made["accounts"]
    assert set(account) == {
        "handle", "steps", "epoch", "characters", "tokens", "first", "boundary", "last", "new", "answers"
    }  # fmt: skip
    assert set(account["steps"][0]) == {"name", "is_left_out", "tweets", "examples"}
    remaining = 0
    for step in account["steps"]:
        if step["name"] == "train":
            break
        assert step["is_left_out"] or remaining in (0, step["tweets"])
        remaining = remaining - step["tweets"] if step["is_left_out"] else step["tweets"]
    assert remaining == sum(step["tweets"] for step in account["steps"] if step["name"] in ("train", "held_out"))
    printed = await mockingbird(config, "explore", "lighthouse_nell", "--version", made["version"])
    assert max(map(len, printed.out.splitlines())) <= 80
    for each in ("= downloaded", "− retweets", "█", "kept aside from", "English", "@lighthouse_nell"):
        assert each in printed.out, each


async def test_pictures_are_drawn_again_into_a_folder_and_never_into_the_shelf(tmp_path: Path) -> None:
    config = write_config(tmp_path, {"paths": {"models": str(ROOT / "models")}})
    drawn = await mockingbird(config, "draw", "lighthouse_nell", "--to", str(tmp_path / "new"), "--json")
    made = json.loads(drawn.out)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(made["drawn"] + made["taken_over"])
    assert made["taken_over"] == ["curve.png"]  # the rows of its training are not here
    again = await mockingbird(config, "draw", "lighthouse_nell", "--to", str(tmp_path / "new"))
    assert (again.code, "Name an empty folder" in " ".join(again.err.split())) == (2, True)


async def test_versions_shows_what_was_decided_and_rollback_is_one_of_it(config: Path, tmp_path: Path) -> None:
    """At once, by name or to the one before, with a reason and by whom; a damaged version is not gone back to."""
    shelf = Shelf(tmp_path / "models")
    for version, parent in (("v1", None), ("v2", "v1")):
        staging = shelf.staging("nell", version)
        (staging / ADAPTER).write_bytes(version.encode())
        made = {"parent": parent, "sha256": {ADAPTER: file_sha256(staging / ADAPTER)}}
        shelf.place(staging, manifest("nell", version).model_copy(update=made))
    shelf.use("nell", "v2")
    first = await mockingbird(config, "rollback", "@Nell")
    assert (first.code, first.out) == (0, "nell speaks as v1 again (rolled back from v2).\n")
    assert (await mockingbird(config, "rollback", "nell", "v1")).out == "nell speaks as v1 already.\n"
    shown = json.loads((await mockingbird(config, "versions", "nell", "--json")).out)
    assert (shown["current"], [each["version"] for each in shown["versions"]]) == ("v1", ["v1", "v2"])
    [decision] = shown["decisions"]
    assert decision.pop("at")
    assert decision == {
        "from": "v2",
        "version": "v1",
        "what": "rolled back",
        "why": "It speaks instead of v2.",
        "by": "command",
    }
    assert "v1 rolled back instead of v2, by command: It speaks" in (await mockingbird(config, "versions", "nell")).out

    (tmp_path / "models" / "nell" / "v2" / ADAPTER).write_bytes(b"v3")
    refused = await mockingbird(config, "rollback", "nell", "v2")
    assert refused.code == 3 and "nell v2 is damaged on disk" in refused.err
    assert shelf.current("nell").version == "v1"
    (tmp_path / "models" / "nell" / "v1" / ADAPTER).write_bytes(b"v3")
    examined = json.loads((await mockingbird(config, "doctor", "--json")).out)
    assert "v1 is damaged" in next(each["text"] for each in examined["findings"] if each["about"] == "nell")
