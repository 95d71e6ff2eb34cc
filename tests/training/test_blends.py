"""Blends: which versions may be blended, what comes of it, that it goes with its people, and by what it is judged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from bot.config import Judging, Training
from bot.database import Database
from bot.errors import DamagedVersion, MockingbirdError, NotPermitted, TooFewTweets, UnknownPersona, UsageError
from bot.shelf.blending import read_adapter
from bot.shelf.card import CARD
from bot.shelf.forms import TOKENIZER, files_of
from bot.shelf.manifest import Manifest
from bot.shelf.shelf import Shelf
from bot.training.blends import Blends, Order, Wanted, parse_parts
from bot.training.dataset import build
from bot.training.decisions import Decisions, What
from bot.training.exploring import Explorer
from bot.training.ingredients import Stored, told
from bot.training.rebuilding import Match, Rebuilt, together
from bot.training.redrawing import redrawn
from bot.tweets.store import Basis
from tests.fakes import FakeClock
from tests.forgetting_stage import Town, town
from tests.processes import ROOT, mockingbird, write_config
from tests.shelves import adapter_version, whole_version
from tests.training.material import House, dated, sentences, settings, tweets
from tests.training.test_evaluation import Parrot


@pytest.fixture
async def place(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Town]:
    """Nell and otis with tweets and adapters, and wanda, of whom nobody has said why she may be learned."""
    async with town(tmp_path, clock) as ready:
        for number, handle in enumerate(("nell", "otis", "wanda"), start=1):
            await ready.settle(handle)
            adapter_version(ready.shelf, handle, seed=number, rank=number)
        async with ready.database.transaction() as transaction:
            await transaction.run("UPDATE accounts SET basis = NULL WHERE handle = 'wanda'")
        yield ready


def order(text: str = "nell:60 otis:40", name: str = "duo", as_given: bool = False) -> Order:
    return Order(parse_parts(text), name, "test", as_given)


def shares(manifest: Manifest) -> list[tuple[str, str, float]]:
    return [(part.persona, part.version, round(part.weight, 9)) for part in manifest.blended_from]


# --- What is asked for ---


def test_parts_are_read_as_they_are_written() -> None:
    assert parse_parts("@Nell:60%, otis/v2:40") == (Wanted("nell", None, 60.0), Wanted("otis", "v2", 40.0))
    assert parse_parts("a:.7 b-c:0.3") == (Wanted("a", None, 0.7), Wanted("b-c", None, 0.3))
    assert parse_parts("nell otis") == (Wanted("nell", None, 1.0), Wanted("otis", None, 1.0))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "2 to 8 parts"),
        ("nell:60", "2 to 8 parts"),
        (" ".join("abcdefghi"), "2 to 8 parts"),
        ("nell:60 otis:", "'otis:' is no part"),
        ("nell:-1 otis:2", "'nell:-1' is no part"),
        ("../nell:1 otis:2", "is no part"),
        ("nell:0 otis:2", "above 0"),
        ("nell:1e9 otis:2", "is no part"),
        ("nell:5000 otis:2", "at most 1000"),
        ("nell:60 otis", "Some parts have a weight"),
    ],
)
def test_what_can_not_be_a_blend_is_said_with_an_example(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_parts(text)


# --- What comes of it ---


async def test_a_blend_is_a_version_in_use_like_any_other(place: Town) -> None:
    """With its parts pinned, the reasons of both people, a row that says who and why, and whole files."""
    manifest = await place.blends.blend(order())
    assert manifest == place.shelf.current("duo")
    assert (manifest.version, manifest.form, manifest.kind) == ("v1", "adapter", "AI CYBORG")
    assert (manifest.handles, manifest.consent) == (("nell", "otis"), {"nell": "own", "otis": "own"})
    assert (manifest.metrics, manifest.counts, manifest.fingerprint) == (None, (), "")
    assert shares(manifest) == [("nell", "v1", 0.6), ("otis", "v1", 0.4)]
    assert manifest.blended_from[0].weights_sha256 == place.shelf.current("nell").sha256["adapter_model.safetensors"]
    assert read_adapter(place.shelf.verified(manifest)).rank == manifest.hyperparameters["rank"] == 3
    assert place.shelf.damaged(manifest) == []
    (decision,) = await Decisions(place.database, place.shelf, FakeClock()).of("duo")
    assert (decision.what, decision.by) == (What.BLENDED, "test")
    assert decision.why == "It was blended of nell v1 (60%) and otis v1 (40%), as was asked."
    assert not (place.folder / "blending").exists()


async def test_its_card_says_that_nothing_was_trained_and_of_what_it_is_made(place: Town) -> None:
    """And the same card is drawn again; there is no picture of a training that never was."""
    manifest = await place.blends.blend(order())
    card = (place.shelf.path(manifest) / CARD).read_text(encoding="utf-8")
    for each in ("AI CYBORG", "Nothing was trained", "| nell | v1 | @nell | 60% |", "`mockingbird evaluate duo`"):
        assert each in card
    for each in ("seed", "fingerprint", "What it learned from", "These settings", "The figures above"):
        assert each not in card
    again = redrawn(manifest, place.shelf.path(manifest), ())
    assert ({*again.drawn}, again.drawn[CARD].decode()) == ({CARD}, card)


async def test_weights_sum_to_one_unless_they_are_to_count_as_they_are(place: Town) -> None:
    assert shares(await place.blends.blend(order("nell:3 otis:1"))) == [("nell", "v1", 0.75), ("otis", "v1", 0.25)]
    raw = await place.blends.blend(order("nell:1 otis:.8", as_given=True))
    assert shares(raw) == [("nell", "v1", 1.0), ("otis", "v1", 0.8)]
    assert (raw.version, raw.parent) == ("v2", "v1")


async def test_a_blend_of_a_blend_names_those_that_were_trained(place: Town) -> None:
    await place.blends.blend(order("nell:50 otis:50"))
    again = await place.blends.blend(order("duo:80 nell:20", "trio"))
    assert shares(again) == [("nell", "v1", 0.6), ("otis", "v1", 0.4)]


async def test_a_blend_stays_as_it_is_when_a_part_has_learned_again(place: Town) -> None:
    """Asked again it becomes a new version, of what is in use then, and one can go back."""
    first = await place.blends.blend(order())
    adapter_version(place.shelf, "nell", seed=9, version="v2")
    assert place.shelf.current("duo") == first
    second = await place.blends.blend(order())
    assert shares(second) == [("nell", "v2", 0.6), ("otis", "v1", 0.4)]
    pinned = await place.blends.blend(order("nell/v1:60 otis:40"))
    assert shares(pinned) == shares(first)
    decisions = Decisions(place.database, place.shelf, FakeClock())
    assert await decisions.roll_back("duo", None, "test") is not None
    assert place.shelf.current("duo") == second


async def test_old_blends_are_pruned_by_the_rule_for_all_versions(place: Town) -> None:
    """Kept are the one in use and the one before it, here; a part may be pruned without harm."""
    decisions = Decisions(place.database, place.shelf, FakeClock())
    blends = Blends(place.shelf, place.store, place.folder, place.blends._evaluator, decisions, 1, FakeClock())
    for _ in range(3):
        last = await blends.blend(order())
    assert [each.version for each in place.shelf.versions("duo")] == ["v2", "v3"]
    adapter_version(place.shelf, "nell", seed=9, version="v2")
    await decisions.prune("nell", 1, "test")
    assert place.shelf.damaged(last) == []


# --- What is refused ---


async def refused(place: Town, text: str, name: str = "duo") -> MockingbirdError:
    with pytest.raises(MockingbirdError) as caught:
        await place.blends.blend(order(text, name))
    assert "duo" not in place.shelf.personas()
    return caught.value


async def test_only_adapters_on_one_base_add_up(place: Town, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for name in (*files_of("whole"), TOKENIZER):
        (theirs / name).write_text("{}")
    whole_version(place.shelf, "whale", theirs)
    adapter_version(place.shelf, "elsewhere", base_sha256="1" * 64)
    assert "only adapters can be blended" in str(await refused(place, "nell whale"))
    assert "different bases" in str(await refused(place, "nell elsewhere"))
    assert "named twice" in str(await refused(place, "nell:1 nell/v1:2"))
    assert isinstance(await refused(place, "nell nobody"), UnknownPersona)


async def test_what_may_not_be_learned_may_not_be_blended(place: Town) -> None:
    assert "why @wanda may be learned" in str(await refused(place, "nell wanda"))
    await place.takedowns.forget("otis", "test")
    adapter_version(place.shelf, "otis")  # as a copy of the shelf would have it
    assert "@otis is blocked" in str(await refused(place, "nell otis"))


async def test_a_name_stands_for_the_same_people_for_ever(place: Town) -> None:
    assert "Choose another name" in str(await refused(place, "nell otis", "nell"))
    assert isinstance(await refused(place, "nell otis", "a b"), UsageError)


async def test_a_damaged_part_is_refused(place: Town) -> None:
    (place.shelf.folder / "nell" / "v1" / "adapter_model.safetensors").write_bytes(b"broken")
    assert isinstance(await refused(place, "nell otis"), DamagedVersion)
    assert not (place.folder / "blending").exists()


# --- Forgetting, and learning again ---


async def test_whoever_is_forgotten_takes_every_blend_along(place: Town) -> None:
    await place.blends.blend(order())
    await place.blends.blend(order("duo:50 otis:50", "trio"))
    done = await place.takedowns.forget("nell", "test")
    assert done.receipt.personas == ("duo", "nell", "trio")
    assert place.shelf.personas() == ["otis", "wanda"]
    with pytest.raises(NotPermitted):
        await place.store.require_free(("nell",))


async def test_a_takedown_waits_for_what_is_being_blended_and_sweeps_after_a_kill(place: Town) -> None:
    left = [place.folder / "blending", place.shelf.folder / "duo" / ".staging-blended"]
    for folder in left:
        folder.mkdir(parents=True)
        (folder / "adapter_model.safetensors").write_bytes(b"of nell")
    async with place.blends._alone():
        forgetting = asyncio.create_task(place.takedowns.forget("nell", "test"))
        async with asyncio.timeout(20):
            while not await place.blocklist.all():  # noqa: ASYNC110 - a row
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        assert not forgetting.done()
    await asyncio.wait_for(forgetting, 20)
    assert not any(folder.exists() for folder in left)


async def test_a_blend_does_not_learn_by_itself(place: Town, clock: FakeClock) -> None:
    """However much has come; a persona that was trained, and went back to that, does."""
    await place.blends.blend(order())
    clock.advance(hours=1_000)
    for handle in ("nell", "otis"):
        await place.store.add(handle, tweets(handle, sentences(300), first=1_000))
    assert await place.trainings.due() == ["nell", "otis"]
    trained = adapter_version(place.shelf, "duo", version="v2", handles=("nell", "otis"))
    assert "duo" in await place.trainings.due()
    await place.blends.blend(order())
    assert "duo" not in await place.trainings.due()
    place.shelf.use("duo", trained.version)
    assert "duo" in await place.trainings.due()


async def test_what_it_was_made_of_is_its_parts_to_tell(place: Town) -> None:
    manifest = await place.blends.blend(order())
    found = await Explorer(place.shelf, place.database.path, Training()).of_version(manifest)
    assert found.stored is Stored.BLENDED
    assert "`mockingbird explore PART --version VERSION`" in told(found)[0]


# --- By what it is judged ---


def part(**texts: Sequence[str]) -> Rebuilt:
    """What a version of these accounts was made of."""
    return Rebuilt(build({name: dated(each) for name, each in texts.items()}, settings(), "sha"), Match.SAME)


def test_what_any_part_has_learned_is_not_judged_with() -> None:
    """Otis's part is older: what it kept aside, the other one has learned."""
    said, more = sentences(120), sentences(200, seed=2)[120:]
    older, newer = part(otis=said[:60]), part(otis=said, nell=more)
    found = together([older, newer])
    assert set(older.data_set.held_out) <= set(newer.data_set.train)
    assert not {*found.data_set.held_out} & {*older.data_set.train, *newer.data_set.train}
    assert set(found.data_set.held_out) == set(newer.data_set.held_out) - set(older.data_set.train)
    assert set(found.data_set.train) == {*older.data_set.train, *newer.data_set.train}
    assert [each.handle for each in found.data_set.splits] == ["nell", "otis"]
    assert sum(each.held_out for each in found.data_set.splits) == len(found.data_set.held_out)


def test_a_blend_is_judged_on_its_own_data_set_only_if_every_part_is() -> None:
    one, other = part(otis=sentences(60)), part(nell=sentences(60, seed=3))
    assert together([one, other]).match is Match.SAME
    assert together([one, Rebuilt(other.data_set, Match.GROWN)]).match is Match.GROWN
    assert not together([Rebuilt(one.data_set, Match.CHANGED), other]).is_its_own
    assert together([one]) is one


def test_parts_that_learned_all_of_each_other_leave_nothing() -> None:
    said = sentences(60)
    one, other = part(otis=said), part(otis=said[::-1])
    with pytest.raises(TooFewTweets, match="Nothing is left"):
        together([Rebuilt(each.data_set, Match.SAME) for each in (one, other)])


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_a_blend_of_what_was_trained_is_judged_on_request(
    tmp_path: Path, database: Database, clock: FakeClock
) -> None:
    """Each part's data set is put together again with its own settings; more tweets since then change nothing."""
    judging = Judging(samples=0, max_near_copies=1.0)
    house = House(tmp_path, database, clock, settings(), sampler=Parrot(), judging=judging)
    for handle, seed in (("nell", 1), ("otis", 2)):
        await house.store.add(handle, tweets(handle, sentences(90, seed)), basis=Basis.INVENTED)
        if handle == "nell":
            house.make_base()
        await trained_as(house, handle)
    assert house.evaluator is not None
    blends = Blends(house.shelf, house.store, tmp_path, house.evaluator, house.decisions, 0, clock)
    blend = await blends.blend(order())
    clock.advance(hours=1)
    await house.store.add("nell", tweets("nell", sentences(160)[90:], first=300))
    figures = await house.evaluator.of_version(blend)
    assert figures.same_data_set
    assert [each.handle for each in figures.accounts] == ["nell", "otis"]
    for account in figures.accounts:
        (split,) = house.shelf.current(account.handle).splits
        assert 0 < account.tweets <= split.held_out
        assert account.loss < account.base_loss


async def trained_as(house: House, persona: str) -> None:
    """A version of that persona in use, whatever is decided about it."""
    worker = asyncio.create_task(house.trainings.run())
    try:
        requested = await house.trainings.request([persona])
        async with asyncio.timeout(120):
            async for training in house.trainings.watch(requested.id):
                if training.ended:
                    assert training.version, training.reason
                    house.shelf.use(persona, training.version)
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)


# --- The command ---


@pytest.mark.slow
async def test_the_command_says_what_it_made(tmp_path: Path) -> None:
    config = write_config(tmp_path, {})
    shelf = Shelf(tmp_path / "models")
    for handle in ("lighthouse_nell", "captain_crumb"):
        outcome = await mockingbird(config, "import", str(ROOT / "examples" / f"{handle}.zip"), "--basis", "invented")
        assert outcome.code == 0, outcome.err
        adapter_version(shelf, handle)
    parts = ("@Lighthouse_Nell:60", "captain_crumb:40")
    made = await mockingbird(config, "blend", *parts, "--as", "duo", "--json")
    assert made.code == 0, made.err
    document = json.loads(made.out)
    assert document["parts"][0] == {"persona": "lighthouse_nell", "version": "v1", "weight": 0.6}
    assert (document["persona"], document["version"], document["kind"]) == ("duo", "v1", "AI CYBORG")
    printed = await mockingbird(config, "blend", *parts, "--as", "duo")
    assert "Blended of lighthouse_nell v1 (60%) and captain_crumb v1 (40%); rank 4." in printed.out
    assert "blended instead of v1" in (await mockingbird(config, "versions", "duo")).out
    assert (await mockingbird(config, "blend", "nobody", "duo", "--as", "trio")).code == 2
    (shelf.folder / "captain_crumb" / "v1" / "adapter_config.json").write_text("{}")
    assert (await mockingbird(config, "blend", *parts, "--as", "duo")).code == 3
