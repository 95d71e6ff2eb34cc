"""`mockingbird posts` as processes, beside a service that has the database open: the approval desk at a terminal."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bot.config import Generation, Prices, X
from bot.database import Database
from bot.generation.draft import Sampling
from bot.replies.desk import OF_THE_MODEL
from bot.replies.outbox import Outbox
from bot.replies.posts import Posts, PostState
from bot.tweets.costs import dollars
from tests.fakes import FakeSpeaker
from tests.posting import sent
from tests.processes import mockingbird, write_config
from tests.test_docs import read


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """As the running service holds it."""
    async with Database(tmp_path / "data" / "mockingbird.db") as database:
        yield database


@pytest.fixture
def posts(database: Database) -> Posts:
    """The service's own list, with one account in Berlin's time."""
    texts = ("The lamp is lit tonight.", "Fog over seven harbours, none of them mine.", "A gull took my bread.")
    settings = X(persona="nell", time_zone="Europe/Berlin")
    return Posts(database, FakeSpeaker(texts), Sampling.from_settings(Generation()), 1, {"main": settings}, now)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path, {"x": {"persona": "nell", "time_zone": "Europe/Berlin"}})


async def test_the_list_shows_what_helps_to_decide_and_when_a_post_expires(config: Path, posts: Posts) -> None:
    waiting, refused = await posts.propose("main", "nell"), await posts.propose("main", "nell")
    await posts.refuse(refused.id, "web", "too gloomy")
    shown = await mockingbird(config, "posts")
    assert shown.code == 0
    first, second, *_ = shown.out.split("\n\n")
    assert first.startswith("Post 1: nell v1 on main, waits, expires ")
    assert "(Europe/Berlin)" in first
    assert "24 of 280, $0.015, novelty 90%, nearest 1, " in first
    assert first.endswith("\nThe lamp is lit tonight.")
    assert second.splitlines()[0] == "Post 2: nell v1 on main, refused"
    assert "too gloomy" in second
    document = json.loads((await mockingbird(config, "posts", "--json")).out)
    assert [(each["id"], each["waits"], each["length"]) for each in document["posts"]] == [
        (1, True, 24),
        (2, False, 43),
    ]
    assert document["posts"][0]["expires_at"] == (waiting.expires_at.isoformat() if waiting.expires_at else None)
    missing = [key for key in document["posts"][0] if f"`{key}`" not in read("docs/x.md")]
    assert not missing, f"docs/x.md leaves these keys out: {missing}"


async def test_an_empty_list_says_so(config: Path, database: Database) -> None:
    shown = await mockingbird(config, "posts")
    assert (shown.code, shown.out, "No post waits" in shown.err) == (0, "", True)


async def test_what_was_approved_at_a_terminal_goes_out_as_it_was_shown(
    config: Path, posts: Posts, database: Database
) -> None:
    post = await posts.propose("main", "nell")
    done = await mockingbird(config, "posts", "approve", "1", "--yes")
    assert (done.code, "The lamp is lit tonight." in done.out) == (0, True)
    approved = await posts.post(post.id)
    assert (approved.state, approved.decided_by) == (PostState.APPROVED, "command")
    [part] = await posts.parts(post.id)
    assert (part.text, [each.id for each in await Outbox(database, "main", now).to_send()]) == (post.text, [1])


async def test_what_was_changed_meanwhile_is_not_approved(config: Path, posts: Posts) -> None:
    post = await posts.propose("main", "nell")
    await posts.edit(post.id, "The lamp is broken, and the oil is out.", "web")
    done = await mockingbird(config, "posts", "approve", "1", "--yes", "--seen", post.fingerprint)
    assert (done.code, "changed meanwhile" in done.err) == (2, True)
    assert (await posts.post(post.id)).state is PostState.DRAFTED


async def test_nothing_is_approved_when_nobody_says_yes(config: Path, posts: Posts) -> None:
    await posts.propose("main", "nell")
    assert (await mockingbird(config, "posts", "approve", "1")).code == 130  # standard input is at its end
    assert (await posts.post(1)).state is PostState.DRAFTED


async def test_edit_later_and_refuse_do_what_the_other_desks_do(config: Path, posts: Posts) -> None:
    for _ in range(2):
        await posts.propose("main", "nell")
    done = await mockingbird(config, "posts", "edit", "1", "--text", "Two lamps are lit.")
    assert (done.code, OF_THE_MODEL in done.out) == (0, True)
    edited = await posts.post(1)
    assert (edited.text, edited.generated) == ("Two lamps are lit.", "The lamp is lit tonight.")
    at = f"{now() + timedelta(days=30):%Y-%m-%d} 10:00"
    done = await mockingbird(config, "posts", "later", "1", "--at", at, "--yes")
    assert (done.code, f"from {at} (Europe/Berlin) on" in done.err) == (0, True)
    assert (await posts.post(1)).not_before == datetime.fromisoformat(at).replace(tzinfo=ZoneInfo("Europe/Berlin"))
    assert (await mockingbird(config, "posts", "refuse", "2", "--reason", "dull")).code == 0
    refused = await posts.post(2)
    assert (refused.state, refused.reason) == (PostState.REFUSED, "dull")


async def test_delete_says_the_price_and_leaves_the_rest_to_the_service(
    config: Path, posts: Posts, database: Database
) -> None:
    post = await posts.propose("main", "nell")
    refused = await mockingbird(config, "posts", "delete", "1", "--yes")
    assert (refused.code, "nothing of it is known to stand on X" in refused.err) == (2, True)
    await posts.approve(post.id, "web")
    await sent(database, now, post.id, "77")
    done = await mockingbird(config, "posts", "delete", "1", "--yes")
    assert (done.code, f"costs {dollars(Prices().post_delete)}" in done.err) == (0, True)
    assert (await posts.post(1)).delete_wanted_by == "command"


async def test_no_other_draft_is_made_for_a_post_that_waits_no_more(config: Path, posts: Posts) -> None:
    """Without loading the base first."""
    await posts.propose("main", "nell")
    await posts.refuse(1, "web")
    done = await mockingbird(config, "posts", "another", "1")
    assert (done.code, "is refused already" in done.err) == (2, True)
