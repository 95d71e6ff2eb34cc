"""Without a reason on record nothing is trained, whoever asks; the reason stands in manifest and card."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.database import Database
from bot.errors import NotPermitted, UsageError
from bot.personas.consent import require_basis, require_note
from bot.shelf.card import model_card
from bot.tweets.store import Basis, TweetStore
from tests.fakes import FakeClock
from tests.processes import ROOT, mockingbird, write_config
from tests.shelves import manifest
from tests.training.material import House, sentences, settings, tweets


async def test_an_account_without_a_basis_is_not_trained(tmp_path: Path, database: Database, clock: FakeClock) -> None:
    """The sentence names the command that records one."""
    house = House(tmp_path, database, clock, settings())
    await house.store.add("nell", tweets("nell", sentences(120)), Basis.INVENTED)
    await house.store.add("otis", tweets("otis", sentences(240)[120:]))
    with pytest.raises(NotPermitted, match="`mockingbird basis otis BASIS`"):
        await house.trainings.request(["nell", "otis"])
    assert await house.trainings.recent(5) == []
    await house.store.set_basis("otis", Basis.PUBLIC_OFFICIAL)
    training = await house.trainings.request(["nell", "otis"])
    assert training.handles == ("nell", "otis")


async def test_every_account_has_to_have_one(database: Database, clock: FakeClock) -> None:
    store = TweetStore(database, clock)
    await store.add("ann", [], Basis.OWN)
    await store.add("bob", [])
    assert await require_basis(store, ["ann"]) == {"ann": "own"}
    with pytest.raises(NotPermitted, match="@bob"):
        await require_basis(store, ["ann", "bob"])


async def test_a_note_belongs_to_its_basis(database: Database, clock: FakeClock) -> None:
    store = TweetStore(database, clock)
    await store.set_basis("ann", Basis.PERMISSION, "her e-mail")
    await store.set_basis("ann", Basis.PERMISSION)
    assert await store.basis_note("ann") == "her e-mail"
    await store.set_basis("ann", Basis.OWN)
    assert await store.basis_note("ann") is None


async def test_an_import_with_another_basis_takes_the_note_away_too(database: Database, clock: FakeClock) -> None:
    store = TweetStore(database, clock)
    await store.set_basis("ann", Basis.PERMISSION, "her e-mail")
    await store.add("ann", [], Basis.PERMISSION)
    assert await store.basis_note("ann") == "her e-mail"
    await store.add("ann", [], Basis.OWN)
    assert await store.basis_note("ann") is None


@pytest.mark.parametrize("note", [None, "", "  "])
def test_a_permission_without_a_note_is_none(note: str | None) -> None:
    with pytest.raises(UsageError, match="--note"):
        require_note(Basis.PERMISSION, note)
    require_note(Basis.OWN, note)


def test_the_card_says_why_and_not_where_it_is_written() -> None:
    made = manifest("nell").model_copy(update={"consent": {"nell": "permission"}})
    assert "| @nell | its owner has agreed |" in model_card(made)
    assert "Why it may learn" not in model_card(manifest("nell"))


# --- The commands ---

NELL = ROOT / "examples" / "lighthouse_nell.zip"


@pytest.mark.slow
async def test_an_archive_counts_as_its_owners_and_a_table_as_nobodys(tmp_path: Path) -> None:
    config = write_config(tmp_path, {})
    (tmp_path / "few.csv").write_text("user,text\nann,the lamp was lit today\n")
    assert (await mockingbird(config, "import", str(NELL))).code == 0
    said = await mockingbird(config, "import", str(tmp_path / "few.csv"))
    assert "mockingbird basis ann BASIS" in " ".join(said.err.split())
    shown = await mockingbird(config, "basis", "lighthouse_nell", "--json")
    assert json.loads(shown.out) == {"handle": "lighthouse_nell", "basis": "own", "note": None}
    shown = await mockingbird(config, "basis", "ann", "--json")
    assert json.loads(shown.out)["basis"] is None
    assert (await mockingbird(config, "basis", "ann", "permission")).code == 2
    shown = await mockingbird(config, "basis", "@Ann", "permission", "--note", "her e-mail", "--json")
    assert json.loads(shown.out) == {"handle": "ann", "basis": "permission", "note": "her e-mail"}


@pytest.mark.slow
async def test_what_was_said_before_stands_over_the_rule_for_archives(tmp_path: Path) -> None:
    config = write_config(tmp_path, {})
    note = ("--basis", "permission", "--note", "her letter")
    assert (await mockingbird(config, "import", str(NELL), *note)).code == 0
    assert (await mockingbird(config, "import", str(NELL))).code == 0
    shown = await mockingbird(config, "basis", "lighthouse_nell", "--json")
    assert json.loads(shown.out) == {"handle": "lighthouse_nell", "basis": "permission", "note": "her letter"}
    assert (await mockingbird(config, "import", str(NELL), "--note", "her letter")).code == 2


@pytest.mark.slow
async def test_the_blocked_list_goes_out_and_comes_in(tmp_path: Path) -> None:
    config = write_config(tmp_path, {})
    file = tmp_path / "blocked.txt"
    file.write_text("nasa\nlighthouse_nell id=17 asked by e-mail\n")
    assert (await mockingbird(config, "blocked", "--import", str(file))).code == 0
    refused = await mockingbird(config, "import", str(NELL))
    assert (refused.code, "is blocked" in refused.err) == (2, True)
    assert (await mockingbird(config, "blocked", "--remove", "nasa")).code == 0
    assert (await mockingbird(config, "blocked", "--remove", "nasa")).code == 2
    assert (await mockingbird(config, "blocked", "--add", "ann", "--reason", "a letter")).code == 0
    out = tmp_path / "out.txt"
    assert (await mockingbird(config, "blocked", "--export", str(out))).code == 0
    assert out.read_text().splitlines()[1:] == ["ann a letter", "lighthouse_nell id=17 asked by e-mail"]
    listed = json.loads((await mockingbird(config, "blocked", "--json")).out)["blocked"]
    assert [(each["handle"], each["id"]) for each in listed] == [("ann", None), ("lighthouse_nell", "17")]
