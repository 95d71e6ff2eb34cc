"""Threads, lost answers, pictures, deletions and several accounts: the real client against X on this machine."""

from __future__ import annotations

import io
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path

import pytest
from PIL import Image

from bot.config import X
from bot.errors import Busy, DiskFull, MockingbirdError
from bot.loopback.openapi import OpenAPIContract
from bot.loopback.x import LoopbackX, Moment, XRefusal
from bot.replies.desk import Shown
from bot.replies.outbox import Outbox
from bot.replies.pictures import keep_picture
from bot.replies.post import Part
from bot.replies.posts import PostState
from tests.cut_off import cut_off
from tests.fakes import FakeClock
from tests.frontends.x_stage import POST, TIMELINE, XStage, published, x_stage

BY_HAND = X(persona="nell")
ONE = {"main": ("Nell", BY_HAND)}
TWO = {"main": ("Nell", BY_HAND), "otis": ("Otis", X(persona="otis", approval=False, post_every_minutes=60.0))}
THREAD = " ".join(f"Sentence {number} of this tells of rope, tar and sails." for number in range(12))


def described(name: str) -> OpenAPIContract | None:
    folder = os.environ.get("MOCKINGBIRD_TEST_SPECS")
    return OpenAPIContract.load(Path(folder) / name) if folder else None


@pytest.fixture(scope="module")
def contract() -> OpenAPIContract | None:
    return described("x-api-v2.159_xdk_2026-02-27_legacy_tweet_names.json")


@pytest.fixture(scope="module")
def post_contract() -> OpenAPIContract | None:
    return described("x-api-v2.167_docs_2026-08-22.json")


@pytest.fixture
async def x(
    contract: OpenAPIContract | None, post_contract: OpenAPIContract | None, clock: FakeClock
) -> AsyncIterator[LoopbackX]:
    async with LoopbackX(["Nell", "Otis"], contract, post_contract, clock=clock) as x:
        yield x
    assert x.violations == []


@pytest.fixture
async def stage(tmp_path: Path, x: LoopbackX, clock: FakeClock) -> AsyncIterator[XStage]:
    async with x_stage(tmp_path / "stage.db", x, clock, ONE) as stage:
        yield stage


async def parts_of(stage: XStage, number: int) -> list[str]:
    return [part.text for part in await stage.posts.parts(number)]


# Threads


async def test_a_thread_goes_out_part_by_part_each_answering_the_one_before(x: LoopbackX, stage: XStage) -> None:
    post = await stage.approved(THREAD)
    await stage.turn()
    assert published(x) == await parts_of(stage, post.id)
    first, *others = reversed(x.timeline("Nell"))
    assert [each.reply_to for each in others] == [each.id for each in [first, *others][:-1]]
    done = await stage.posts.post(post.id)
    assert (done.state, done.platform_id) == (PostState.SENT, first.id)
    assert await stage.ledger.month_total() == x.bill()


@pytest.mark.parametrize("moment", list(Moment))
async def test_a_thread_whose_connection_breaks_goes_on_where_it_was(
    tmp_path: Path, x: LoopbackX, clock: FakeClock, moment: Moment
) -> None:
    path = tmp_path / "stage.db"
    async with x_stage(path, x, clock, ONE) as stage:
        post = await stage.approved(THREAD)
        outbox, first = stage.outboxes["main"], await stage.outboxes["main"].next_part(post.id)
        assert first is not None
        await outbox.take(first)
        await outbox.arrived(first, x.post_as("Nell", first.text).id)
    async with x_stage(path, x, clock, ONE) as stage:  # the service stopped between two parts
        later = await stage.approved("Fog.")
        x.cut_next(POST, moment)
        await stage.turn()
        assert await stage.state(post.id) is PostState.UNKNOWN
    async with x_stage(path, x, clock, ONE) as stage:
        await stage.settle()
        assert published(x) == [*await parts_of(stage, post.id), later.text]
        assert await stage.state(post.id) is PostState.SENT


@pytest.mark.parametrize("trouble", [Busy("Another process writes.", 10.0), DiskFull("The disk is full.")], ids=str)
async def test_a_post_that_could_not_be_written_down_is_found_on_x_without_a_restart(
    x: LoopbackX, clock: FakeClock, stage: XStage, monkeypatch: pytest.MonkeyPatch, trouble: MockingbirdError
) -> None:
    """And nothing ends the task."""
    arrived, tries = Outbox.arrived, count()

    async def fails_at_first(self: Outbox, part: Part, platform_id: str) -> None:
        if next(tries) == 0:
            raise trouble
        await arrived(self, part, platform_id)

    monkeypatch.setattr(Outbox, "arrived", fails_at_first)
    post = await stage.approved("Fog.")
    await stage.turn()
    clock.advance(minutes=16)
    await stage.settle()
    assert (published(x), await stage.state(post.id)) == (["Fog."], PostState.SENT)
    assert await stage.ledger.month_total() == x.bill()


@pytest.mark.slow
async def test_a_thread_cut_off_anywhere_is_on_x_once(
    tmp_path: Path, contract: OpenAPIContract | None, clock: FakeClock
) -> None:
    for step in count(1, 3):
        async with LoopbackX(["Nell"], contract, clock=clock) as x:
            path = tmp_path / f"{step}.db"
            async with x_stage(path, x, clock, ONE) as stage:
                post = await stage.approved(THREAD)
                was_under_way = await cut_off(stage.turn(), step)
            async with x_stage(path, x, clock, ONE) as stage:
                await stage.settle()
                assert await stage.state(post.id) is PostState.SENT
                assert published(x) == await parts_of(stage, post.id)
                assert await stage.ledger.month_total() == x.bill()
        if not was_under_way:
            return


async def test_a_thread_that_the_cap_holds_up_goes_on_once_there_is_room(
    tmp_path: Path, x: LoopbackX, clock: FakeClock
) -> None:
    async with x_stage(tmp_path / "stage.db", x, clock, ONE, cap="0.04") as stage:
        post = await stage.approved(THREAD)
        await stage.turn()
        assert len(published(x)) == 2
        held_up = await stage.posts.post(post.id)
        assert held_up.state is PostState.APPROVED
        assert "monthly_budget_usd" in (held_up.reason or "")
        clock.advance(days=32)
        await stage.turn()
        assert published(x) == await parts_of(stage, post.id)
        assert await stage.state(post.id) is PostState.SENT


async def test_a_thread_that_is_held_up_half_sent_can_be_stopped_and_deleted(
    tmp_path: Path, x: LoopbackX, clock: FakeClock
) -> None:
    async with x_stage(tmp_path / "stage.db", x, clock, ONE, cap="0.04") as stage:
        post = await stage.approved(THREAD)
        await stage.turn()
        stopped = await stage.posts.refuse(post.id, "ann", "enough")
        standing = len(published(x))
        assert (stopped.state, standing > 0) == (PostState.REFUSED, True)
        clock.advance(days=32)
        await stage.turn()
        assert len(published(x)) == standing
        await stage.posts.delete(post.id, "ann")
        await stage.turn()
        assert (published(x), await stage.state(post.id)) == ([], PostState.DELETED)


async def test_deleting_a_thread_that_is_held_up_half_sent_stops_it(
    tmp_path: Path, x: LoopbackX, clock: FakeClock
) -> None:
    async with x_stage(tmp_path / "stage.db", x, clock, ONE, cap="0.04") as stage:
        post = await stage.approved(THREAD)
        await stage.turn()
        shown = Shown.of(await stage.posts.post(post.id), tuple(await stage.posts.parts(post.id)))
        assert (shown.can_be_refused, shown.can_be_deleted) == (True, True)
        await stage.posts.delete(post.id, "ann")
        clock.advance(days=32)
        await stage.turn()
        assert (published(x), await stage.state(post.id)) == ([], PostState.DELETED)


# In doubt


@pytest.mark.parametrize(
    "text", ["Fog & rain <at sea>.", "See https://example.org/a?b=c&d=e for the lamp", "Two\n\nparagraphs", "lamp.xyz"]
)
async def test_what_arrived_is_recognised_however_x_writes_it(x: LoopbackX, stage: XStage, text: str) -> None:
    post = await stage.approved(text)
    x.cut_next(POST, Moment.AFTER)
    await stage.settle()
    done = await stage.posts.post(post.id)
    assert (done.state, done.platform_id) == (PostState.SENT, x.timeline("Nell")[0].id)
    assert len(published(x)) == 1
    assert [each.route for each in x.requests].count(POST) <= 1


async def test_while_the_timeline_cannot_be_seen_nothing_is_sent(x: LoopbackX, stage: XStage) -> None:
    first, second = await stage.approved("Fog."), await stage.approved("Rain.")
    x.cut_next(POST, Moment.AFTER)
    x.fail_next(TIMELINE, XRefusal.UNAVAILABLE, times=5)
    for _ in range(5):
        await stage.turn()
        stage.clock.advance(minutes=1)
    assert published(x) == ["Fog."]
    assert await stage.state(first.id) is PostState.UNKNOWN
    assert await stage.state(second.id) is PostState.APPROVED
    await stage.settle()
    assert published(x) == ["Fog.", "Rain."]


async def test_what_is_surely_not_there_is_sent_again_but_not_before_a_timeline_shows_it(
    x: LoopbackX, stage: XStage
) -> None:
    post = await stage.approved("Fog.")
    x.cut_next(POST, Moment.BEFORE)
    for _ in range(5):
        await stage.turn()
        assert await stage.state(post.id) is PostState.UNKNOWN
        stage.clock.advance(minutes=1)
    await stage.settle()
    assert published(x) == ["Fog."]
    assert await stage.ledger.month_total() == x.bill()


async def test_a_repetition_after_a_lost_answer_is_looked_for_once_more(
    tmp_path: Path, x: LoopbackX, stage: XStage
) -> None:
    """The timeline lagged: the post was taken for not sent, and X knows better."""
    post = await stage.approved("Fog.")
    x.cut_next(POST, Moment.AFTER)
    await stage.turn()
    [part] = await stage.outboxes["main"].in_doubt()
    await stage.outboxes["main"].not_there(part, "the timeline does not show it yet")
    stage.clock.advance(minutes=2)
    await stage.turn()
    assert await stage.state(post.id) is PostState.UNKNOWN
    await stage.settle()
    assert await stage.state(post.id) is PostState.SENT
    assert published(x) == ["Fog."]
    assert await stage.ledger.month_total() == x.bill()  # also where that was taken for not charged


async def test_a_price_that_was_written_down_just_before_a_crash_goes_where_nothing_was_sent(
    tmp_path: Path, x: LoopbackX, clock: FakeClock, stage: XStage
) -> None:
    """The service was killed between the ledger and the outbox, and the post has expired since."""
    with suppress(RuntimeError):
        async with stage.ledger.hold("post", "nell", Decimal("0.015"), "Post 1", resource="Post 1"):
            raise RuntimeError
    assert await stage.ledger.month_total() == Decimal("0.015")
    async with x_stage(tmp_path / "stage.db", x, clock, ONE) as again:
        await again.turn()
        assert await again.ledger.month_total() == x.bill() == 0


async def test_looking_in_vain_for_a_lost_answer_costs_nothing_in_the_end(x: LoopbackX, stage: XStage) -> None:
    post = await stage.approved("Fog.")
    x.cut_next(POST, Moment.AFTER)
    x.cut_next(TIMELINE, Moment.BEFORE, times=4)
    await stage.settle()
    assert await stage.state(post.id) is PostState.SENT
    assert await stage.ledger.month_total() == x.bill()


async def test_what_became_of_a_post_is_looked_up_where_nothing_else_may_be_read(
    tmp_path: Path, x: LoopbackX, clock: FakeClock
) -> None:
    """All that is left of the month is kept for posting."""
    async with x_stage(tmp_path / "stage.db", x, clock, ONE, cap="0.20", reserve="0.20") as stage:
        for text in ("Fog.", "Rain."):
            await stage.approved(text)
            x.cut_next(POST, Moment.AFTER)
            await stage.settle()
        assert published(x) == ["Fog.", "Rain."]
        assert [entry.purpose for entry in (await stage.ledger.month()).entries] == ["look", "post"]
        assert await stage.ledger.month_total() == x.bill()


async def test_a_repetition_without_an_attempt_before_is_refused(x: LoopbackX, stage: XStage) -> None:
    x.post_as("Nell", "Fog.", created_at=stage.clock.now - timedelta(days=9))
    post = await stage.approved("Fog.")
    await stage.settle()
    assert await stage.state(post.id) is PostState.REFUSED
    assert published(x) == ["Fog."]


# When


async def test_what_an_outage_held_up_does_not_go_out_in_a_burst(x: LoopbackX, stage: XStage) -> None:
    for text in ("Fog.", "Rain.", "Wind."):
        await stage.approved(text)
    x.fail_next(POST, XRefusal.WINDOW, times=10)
    for _ in range(4):
        await stage.turn()
        stage.clock.advance(minutes=30)
    x.forget_plans()
    await stage.approved("Snow.")  # somebody has just approved it, and sees it go out
    seen = []
    for _ in range(7):
        await stage.turn()
        seen.append(len(published(x)))
        stage.clock.advance(minutes=5)
    assert seen == [2, 2, 2, 3, 3, 3, 4]
    assert published(x) == ["Fog.", "Snow.", "Rain.", "Wind."]


async def test_in_quiet_hours_and_on_a_full_day_posts_wait(tmp_path: Path, x: LoopbackX, clock: FakeClock) -> None:
    settings = X(persona="nell", quiet_hours="13:00-15:00", posts_per_day=2)
    async with x_stage(tmp_path / "stage.db", x, clock, {"main": ("Nell", settings)}) as stage:
        for text in ("Fog.", "Rain.", "Wind."):
            await stage.approved(text, not_before=clock.now + timedelta(hours=1))
        seen = []
        for _ in range(14):
            await stage.turn()
            seen.append(len(published(x)))
            clock.advance(hours=1)
    assert seen == [0, 0, 0, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3]


async def test_what_is_sent_again_counts_for_the_day_on_which_it_arrives(
    tmp_path: Path, x: LoopbackX, clock: FakeClock
) -> None:
    """Handed over before midnight in vain, it takes the place of another one after it."""
    settings = X(persona="nell", posts_per_day=2)
    async with x_stage(tmp_path / "stage.db", x, clock, {"main": ("Nell", settings)}) as stage:
        clock.now = datetime(2026, 11, 1, 23, 58, tzinfo=UTC)
        await stage.approved("Fog.")
        x.cut_next(POST, Moment.BEFORE)
        await stage.settle()
        for text in ("Rain.", "Wind."):
            await stage.approved(text)
            await stage.turn()
        assert published(x) == ["Fog.", "Rain."]
        clock.now = datetime(2026, 11, 3, tzinfo=UTC)
        await stage.turn()
        assert published(x) == ["Fog.", "Rain.", "Wind."]


async def test_what_x_does_after_midnight_counts_for_the_new_day(
    tmp_path: Path, x: LoopbackX, clock: FakeClock
) -> None:
    """Although it was handed over on the day before."""
    settings = X(persona="nell", posts_per_day=1)
    async with x_stage(tmp_path / "stage.db", x, clock, {"main": ("Nell", settings)}) as stage:
        clock.now = datetime(2026, 11, 1, 23, 59, tzinfo=UTC)
        await stage.approved("Fog.")
        x.cut_next(POST, Moment.BEFORE)
        await stage.turn()
        clock.advance(minutes=2)
        x.post_as("Nell", "Fog.")  # it was late
        await stage.turn()
        await stage.approved("Rain.")
        await stage.settle()
        assert published(x) == ["Fog."]


async def test_in_a_pause_nothing_goes_out(tmp_path: Path, x: LoopbackX, clock: FakeClock) -> None:
    async with x_stage(tmp_path / "stage.db", x, clock, {"main": ("Nell", X(persona="nell", paused=True))}) as stage:
        await stage.approved("Fog.")
        await stage.settle()
    assert x.requests == []


# Several accounts


async def test_each_account_posts_with_its_own_keys_and_never_what_another_has_said(
    tmp_path: Path, x: LoopbackX, clock: FakeClock
) -> None:
    fog = "The fog came in from the sea and stayed all night over the harbour."
    texts = (fog.replace("all night", "for hours"), "Bread is out at six.", "Cake.", "Rolls.")
    async with x_stage(tmp_path / "stage.db", x, clock, TWO, texts=texts) as stage:
        await stage.approved(fog)
        await stage.turn()
        await stage.turn("otis")
        assert (published(x, "Nell"), published(x, "Otis")) == ([fog], ["Bread is out at six."])
        assert await stage.ledger.month_total() == x.bill()


async def test_a_doubt_on_one_account_holds_up_no_other(tmp_path: Path, x: LoopbackX, clock: FakeClock) -> None:
    async with x_stage(tmp_path / "stage.db", x, clock, TWO) as stage:
        await stage.approved("Fog.")
        x.cut_next(POST, Moment.AFTER)
        x.fail_next(TIMELINE, XRefusal.UNAVAILABLE, times=50)
        await stage.settle()
        x.forget_holds()
        await stage.turn("otis")
        assert published(x, "Otis") == ["tweet number 1"]


async def test_a_look_with_anothers_app_is_charged_as_an_ordinary_read(
    tmp_path: Path, x: LoopbackX, clock: FakeClock
) -> None:
    accounts = {**TWO, "otis": ("Otis", BY_HAND)}
    async with x_stage(tmp_path / "stage.db", x, clock, accounts) as stage:
        for name in accounts:
            await stage.approved(f"Fog for {name}.", name)
            x.cut_next(POST, Moment.AFTER)
            await stage.settle(name)
        assert await stage.ledger.month_total() == x.bill()
        assert {"owned read", "post read"} <= set(x.bill_by_kind())


# Taking back


async def test_a_thread_is_taken_back_whole_for_its_price(x: LoopbackX, stage: XStage) -> None:
    post = await stage.approved(THREAD)
    await stage.turn()
    await stage.posts.delete(post.id, "ann")
    await stage.turn()
    gone = await stage.posts.post(post.id)
    assert (published(x), gone.state, gone.delete_wanted_by) == ([], PostState.DELETED, "ann")
    assert await stage.ledger.month_total() == x.bill()
    await stage.turn()
    assert await stage.ledger.month_total() == x.bill()


async def test_a_deletion_that_breaks_off_goes_on(x: LoopbackX, stage: XStage) -> None:
    post = await stage.approved(THREAD)
    await stage.turn()
    await stage.posts.delete(post.id, "ann")
    x.cut_next("DELETE /2/tweets/:id", Moment.AFTER)
    await stage.turn()
    assert await stage.state(post.id) is PostState.SENT
    stage.clock.advance(minutes=15)
    await stage.turn()
    assert (published(x), await stage.state(post.id)) == ([], PostState.DELETED)
    assert await stage.ledger.month_total() == x.bill()


async def test_a_post_that_is_gone_from_x_is_noticed_the_next_day(x: LoopbackX, stage: XStage) -> None:
    first, second = await stage.approved("Fog."), await stage.approved("Rain.")
    await stage.turn()
    x.delete_behind(x.timeline("Nell")[1].id)
    stage.clock.advance(hours=25)
    await stage.turn()
    gone = await stage.posts.post(first.id)
    assert (gone.state, gone.reason) == (PostState.DELETED, "gone from X")
    assert await stage.state(second.id) is PostState.SENT
    assert await stage.ledger.month_total() == x.bill()
    requests = len(x.requests)
    stage.clock.advance(hours=5)
    await stage.turn()
    assert len(x.requests) == requests


# Pictures


async def test_a_picture_goes_with_its_post_and_its_description_and_without_what_the_camera_knew(
    x: LoopbackX, stage: XStage
) -> None:
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    file = io.BytesIO()
    Image.new("RGB", (30, 20), "navy").save(file, "JPEG", exif=exif)
    name = keep_picture(file.getvalue(), stage.pictures)
    post = await stage.approved("The lamp is lit.", picture=name)
    x.cut_next(POST, Moment.AFTER)
    await stage.settle()
    [media] = x.media.values()
    assert (media.alt_text, media.media_type) == ("A lamp.", "image/jpeg")
    assert b"a camera" not in media.data
    [shown] = x.timeline("Nell")
    assert shown.media == (media.id,)
    assert await stage.state(post.id) is PostState.SENT


async def test_a_post_whose_picture_is_gone_is_not_sent_without_it(x: LoopbackX, stage: XStage) -> None:
    post = await stage.approved("The lamp is lit.", picture="gone.png")
    await stage.turn()
    refused = await stage.posts.post(post.id)
    assert (refused.state, x.requests) == (PostState.REFUSED, [])
    assert refused.reason is not None
    assert "picture" in refused.reason
