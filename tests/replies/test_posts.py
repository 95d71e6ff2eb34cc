"""A post is approved by a person, goes out once, and never says what was said before."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from bot.config import X
from bot.database import Database
from bot.errors import Refused
from bot.generation.draft import Sampling
from bot.replies.outbox import Outbox
from bot.replies.posts import Posts, PostState
from tests.fakes import FakeClock, FakeSpeaker
from tests.posting import handed_over, sent

SAMPLING = Sampling(1.0, 1.0, 0, 10)
FOG = "The fog came in from the sea and stayed all night over the harbour."


def posts(database: Database, clock: FakeClock, *texts: str, approval: bool = True) -> Posts:
    settings = X(persona="nell", approval=approval)
    accounts = {"main": settings, "otis": settings.model_copy(update={"persona": "otis"})}
    return Posts(database, FakeSpeaker(texts), SAMPLING, 2, accounts, clock)


# The list


async def test_a_post_waits_until_a_person_approves_it(database: Database, clock: FakeClock) -> None:
    desk, outbox = posts(database, clock), Outbox(database, "main", clock)
    post = await desk.propose("main", "nell")
    assert post.state is PostState.DRAFTED
    assert await outbox.to_send() == []
    approved = await desk.approve(post.id, "ann")
    assert (approved.state, approved.decided_by) == (PostState.APPROVED, "ann")
    assert await outbox.to_send() == [approved]
    assert await desk.waiting() == []


async def test_without_approval_a_post_goes_straight_to_the_outbox(database: Database, clock: FakeClock) -> None:
    desk = posts(database, clock, approval=False)
    post = await desk.propose("main", "nell")
    assert await Outbox(database, "main", clock).to_send() == [post]
    assert [part.text for part in await desk.parts(post.id)] == [post.text]


async def test_what_is_known_of_a_draft_is_on_the_list(database: Database, clock: FakeClock) -> None:
    post = await posts(database, clock, "The lamp is lit, you idiot.", "fog").propose("main", "nell")
    assert (post.novelty, post.nearest, post.length) == (0.9, "1", 27)
    assert post.offence is not None
    assert post.offence > 0.5


async def test_a_decision_is_made_once(database: Database, clock: FakeClock) -> None:
    desk = posts(database, clock)
    post = await desk.propose("main", "nell")
    await desk.refuse(post.id, "ann", "too wet")
    with pytest.raises(Refused, match="refused already"):
        await desk.approve(post.id, "ben")
    with pytest.raises(Refused, match="no post 77"):
        await desk.approve(77, "ben")


async def test_what_was_approved_may_be_refused_until_it_goes_out(database: Database, clock: FakeClock) -> None:
    desk = posts(database, clock)
    first, second = [await desk.propose("main", "nell") for _ in range(2)]
    for post in (first, second):
        await desk.approve(post.id, "ann")
    assert (await desk.refuse(first.id, "ben")).state is PostState.REFUSED
    await sent(database, clock, second.id, "1234")
    with pytest.raises(Refused, match="sent already"):
        await desk.refuse(second.id, "ben")


async def test_an_unknown_account_is_a_sentence(database: Database, clock: FakeClock) -> None:
    with pytest.raises(Refused, match="no account 'ada'"):
        await posts(database, clock).propose("ada", "nell")


async def test_a_post_calls_nobody(database: Database, clock: FakeClock) -> None:
    post = await posts(database, clock, "look up, @nasa and ＠esa!").propose("main", "nell")
    assert post.text == "look up, nasa and esa!"


async def test_another_draft_takes_the_place_of_one(database: Database, clock: FakeClock) -> None:
    desk = posts(database, clock)
    old = await desk.propose("otis", "otis")
    new = await desk.another(old.id, "ann")
    assert (new.account, new.persona, new.state) == ("otis", "otis", PostState.DRAFTED)
    replaced = await desk.post(old.id)
    assert (replaced.state, replaced.reason) == (PostState.REFUSED, "another draft took its place")


async def test_where_no_other_draft_can_be_had_the_first_one_still_waits(database: Database, clock: FakeClock) -> None:
    desk = posts(database, clock, "gulls.", "fog.", "gulls.", "gulls.")
    old = await desk.propose("main", "nell")
    with pytest.raises(Refused, match="repeated earlier posts"):
        await desk.another(old.id, "ann")
    assert await desk.waiting() == [old]


async def test_another_draft_waits_also_where_posts_need_no_approval(database: Database, clock: FakeClock) -> None:
    desk = posts(database, clock, approval=False)
    seen = await desk.submit("main", "nell", "v1", 1, FOG, 0.7, "ann")
    assert (await desk.another(seen.id, "ann")).state is PostState.DRAFTED


async def test_what_is_decided_while_another_draft_is_written_stands(database: Database, clock: FakeClock) -> None:
    speaker = FakeSpeaker()
    desk = Posts(database, speaker, SAMPLING, 2, {"main": X()}, clock)
    old = await desk.propose("main", "nell")
    speaker.free.clear()
    speaker.asking.clear()
    replacing = asyncio.create_task(desk.another(old.id, "ann"))
    await speaker.asking.wait()
    await desk.approve(old.id, "bob")
    speaker.free.set()
    with pytest.raises(Refused, match=r"Post 1 was decided about meanwhile, .* Post 2 waits"):
        await replacing
    assert (await desk.post(old.id)).state is PostState.APPROVED


async def test_a_text_that_was_seen_elsewhere_goes_on_the_list(database: Database, clock: FakeClock) -> None:
    desk = posts(database, clock)
    post = await desk.submit("otis", "otis", "v3", 17, FOG, 0.7, "discord:17")
    assert (post.account, post.version, post.seed, post.text) == ("otis", "v3", 17, FOG)
    with pytest.raises(Refused, match=f"much like post {post.id}"):
        await desk.submit("main", "nell", "v1", 1, FOG, 0.7, "discord:17")


async def test_what_waits_too_long_expires(database: Database, clock: FakeClock) -> None:
    desk, outbox = posts(database, clock), Outbox(database, "main", clock)
    draft, approved, later = [await desk.propose("main", "nell") for _ in range(3)]
    clock.advance(hours=47)
    await desk.approve(approved.id, "ann")
    await desk.approve(later.id, "ann", clock.now + timedelta(hours=10))
    clock.advance(hours=1)
    with pytest.raises(Refused, match="expired"):
        await desk.approve(draft.id, "ann")
    assert await outbox.expire() == 1
    clock.advance(hours=47)
    assert await outbox.expire() == 1
    assert (await desk.post(approved.id)).reason == "it waited too long"
    assert [post.id for post in await outbox.to_send()] == [later.id]


async def test_a_post_approved_for_later_waits_for_its_moment(database: Database, clock: FakeClock) -> None:
    desk, outbox = posts(database, clock), Outbox(database, "main", clock)
    post = await desk.propose("main", "nell")
    await desk.approve(post.id, "ann", clock.now + timedelta(hours=3))
    assert await outbox.to_send() == []
    clock.advance(hours=3)
    assert [each.id for each in await outbox.to_send()] == [post.id]


# Editing


async def test_an_edited_post_says_what_the_person_wrote_and_keeps_what_the_model_said(
    database: Database, clock: FakeClock
) -> None:
    desk = posts(database, clock)
    post = await desk.propose("main", "nell")
    for text in ("first try", FOG):
        edited = await desk.edit(post.id, text, "ann")
    assert (edited.text, edited.generated, edited.edited_by) == (FOG, post.text, "ann")
    await desk.approve(post.id, "ann")
    assert [part.text for part in await desk.parts(post.id)] == [FOG]
    with pytest.raises(Refused, match="approved already"):
        await desk.edit(post.id, "too late", "ann")


async def test_a_text_that_is_too_long_for_one_post_becomes_a_thread(database: Database, clock: FakeClock) -> None:
    desk = posts(database, clock)
    post = await desk.propose("main", "nell")
    sentences = [f"Sentence {number} is about rope and little else." for number in range(9)]
    edited = await desk.edit(post.id, " ".join(sentences), "ann")
    assert edited.length > 280
    await desk.approve(post.id, "ann")
    parts = await desk.parts(post.id)
    assert [part.of for part in parts] == [2, 2]
    assert " ".join(part.text for part in parts) == edited.text


@pytest.mark.parametrize(("text", "reason"), [("  ", "no text"), ("x" * 8000, "longer than"), ("$A $B", "cashtag")])
async def test_what_x_would_not_take_is_refused_at_editing(
    database: Database, clock: FakeClock, text: str, reason: str
) -> None:
    desk = posts(database, clock)
    post = await desk.propose("main", "nell")
    with pytest.raises(Refused, match=reason):
        await desk.edit(post.id, text, "ann")
    assert await desk.waiting() == [post]


# Never the same again


async def test_what_was_proposed_before_is_not_proposed_again(database: Database, clock: FakeClock) -> None:
    desk = posts(database, clock, "gulls.", "fog.", "gulls.", "rain.", "fog.", "gulls.")
    assert [(await desk.propose("main", "nell")).text for _ in range(2)] == ["gulls.", "rain."]
    assert (await desk.propose("main", "nell")).text == "fog."


async def test_only_repetitions_is_a_sentence_and_no_post(database: Database, clock: FakeClock) -> None:
    desk = posts(database, clock, "gulls.", "fog.", "gulls.", "gulls.")
    await desk.propose("main", "nell")
    with pytest.raises(Refused, match="repeated earlier posts"):
        await desk.propose("main", "nell")
    assert len(await desk.recent()) == 1


async def test_no_account_says_what_another_one_has_said(database: Database, clock: FakeClock) -> None:
    nearly = FOG.replace("all night", "for hours")
    desk = posts(database, clock, FOG, "a", nearly, "Quite another thing.", nearly, nearly)
    first = await desk.propose("main", "nell")
    second = await desk.propose("otis", "otis")
    assert (first.text, second.text) == (FOG, "Quite another thing.")
    with pytest.raises(Refused, match="much like post 1"):
        await desk.edit(second.id, nearly, "ann")
    await desk.refuse(first.id, "ann")  # nobody said it
    assert (await desk.propose("otis", "otis")).text == nearly


async def test_what_was_said_meanwhile_is_refused_before_it_is_sent(database: Database, clock: FakeClock) -> None:
    """Drafts of before there was such a check may be alike."""
    desk = posts(database, clock, approval=False)
    first, second = [await desk.propose("main", "nell") for _ in range(2)]
    await sent(database, clock, first.id, "1234")
    async with database.transaction() as transaction:
        await transaction.run("UPDATE posts SET text = ? || id", (FOG,))
    outbox = Outbox(database, "main", clock)
    part = await outbox.next_part(second.id)
    assert part is not None
    assert not await outbox.take(part)
    refused = await desk.post(second.id)
    assert (refused.state, refused.reason) == (
        PostState.REFUSED,
        "It is much like post 1, and X forbids saying the same again.",
    )


# The outbox


async def test_a_post_is_taken_for_sending_once(database: Database, clock: FakeClock) -> None:
    desk = posts(database, clock, approval=False)
    post = await desk.propose("main", "nell")
    outbox, part = await handed_over(database, clock, post.id)
    assert not await outbox.take(part)
    await outbox.arrived(part, "1234")
    done = await desk.post(post.id)
    assert (done.state, done.platform_id) == (PostState.SENT, "1234")


async def test_a_crash_while_sending_leaves_the_post_unknown_and_stops_the_account_alone(
    database: Database, clock: FakeClock
) -> None:
    desk = posts(database, clock, approval=False)
    first, second, other = [await desk.propose(name, "nell") for name in ("main", "main", "otis")]
    await handed_over(database, clock, first.id)
    outbox = Outbox(database, "main", clock)
    assert await outbox.recover() == 1
    assert (await desk.post(first.id)).state is PostState.UNKNOWN
    assert await outbox.to_send() == []
    part = await outbox.next_part(second.id)
    assert part is not None
    assert not await outbox.take(part)
    assert await Outbox(database, "otis", clock).to_send() == [other]


async def test_a_passing_trouble_keeps_the_post_for_the_next_try(database: Database, clock: FakeClock) -> None:
    post = await posts(database, clock, approval=False).propose("main", "nell")
    outbox, part = await handed_over(database, clock, post.id)
    await outbox.declined(part, "X is over its limit until 12:30.", again=True)
    assert [waiting.id for waiting in await outbox.to_send()] == [post.id]


async def test_a_crash_between_two_parts_goes_on_with_the_second(database: Database, clock: FakeClock) -> None:
    desk = posts(database, clock)
    post = await desk.propose("main", "nell")
    await desk.edit(post.id, "One word after the other. " * 15, "ann")
    await desk.approve(post.id, "ann")
    await sent(database, clock, post.id, "1234")
    outbox = Outbox(database, "main", clock)
    assert await outbox.recover() == 0
    [waiting] = await outbox.to_send()
    part = await outbox.next_part(waiting.id)
    assert part is not None
    assert (part.number, part.of, part.reply_to) == (2, 2, "1234")
