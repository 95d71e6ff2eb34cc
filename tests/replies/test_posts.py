"""A post is approved by a person, goes out once, and never says what was said before."""

from __future__ import annotations

import pytest

from bot.database import Database
from bot.errors import Refused
from bot.generation.draft import Sampling
from bot.replies.posts import Posts, PostState
from tests.fakes import FakeClock, FakeSpeaker

SAMPLING = Sampling(1.0, 1.0, 0, 10)


def posts(database: Database, clock: FakeClock, *texts: str, approval: bool = True) -> Posts:
    return Posts(database, FakeSpeaker(texts), SAMPLING, 2, approval, clock)


async def test_a_post_waits_until_a_person_approves_it(database: Database, clock: FakeClock) -> None:
    desk = posts(database, clock)
    post = await desk.propose("nell")
    assert post.state is PostState.DRAFTED
    assert await desk.to_send() == []
    approved = await desk.approve(post.id, "ann")
    assert (approved.state, approved.decided_by) == (PostState.APPROVED, "ann")
    assert await desk.to_send() == [approved]
    assert await desk.waiting() == []


async def test_without_approval_a_post_goes_straight_to_the_outbox(database: Database, clock: FakeClock) -> None:
    desk = posts(database, clock, approval=False)
    post = await desk.propose("nell")
    assert await desk.to_send() == [post]


async def test_a_decision_is_made_once(database: Database, clock: FakeClock) -> None:
    desk = posts(database, clock)
    post = await desk.propose("nell")
    await desk.refuse(post.id, "ann", "too wet")
    with pytest.raises(Refused, match="refused already"):
        await desk.approve(post.id, "ben")
    with pytest.raises(Refused, match="no post 77"):
        await desk.approve(77, "ben")


async def test_what_was_proposed_before_is_not_proposed_again(database: Database, clock: FakeClock) -> None:
    desk = posts(database, clock, "gulls.", "fog.", "gulls.", "rain.", "fog.", "gulls.")
    assert [(await desk.propose("nell")).text for _ in range(2)] == ["gulls.", "rain."]
    assert (await desk.propose("nell")).text == "fog."


async def test_only_repetitions_is_a_sentence_and_no_post(database: Database, clock: FakeClock) -> None:
    desk = posts(database, clock, "gulls.", "fog.", "gulls.", "gulls.")
    await desk.propose("nell")
    with pytest.raises(Refused, match="repeated earlier posts"):
        await desk.propose("nell")
    assert len(await desk.recent()) == 1


async def test_a_post_is_taken_for_sending_once(database: Database, clock: FakeClock) -> None:
    desk = posts(database, clock, approval=False)
    post = await desk.propose("nell")
    assert await desk.sending(post.id)
    assert not await desk.sending(post.id)
    await desk.sent(post.id, "1234")
    sent = await desk.post(post.id)
    assert (sent.state, sent.platform_id) == (PostState.SENT, "1234")


async def test_a_crash_while_sending_leaves_the_post_unknown_and_unsent(database: Database, clock: FakeClock) -> None:
    desk = posts(database, clock, approval=False)
    post = await desk.propose("nell")
    await desk.sending(post.id)
    assert await posts(database, clock).recover() == 1
    assert (await desk.post(post.id)).state is PostState.UNKNOWN
    assert await desk.to_send() == []


async def test_a_passing_trouble_keeps_the_post_for_the_next_try(database: Database, clock: FakeClock) -> None:
    desk = posts(database, clock, approval=False)
    post = await desk.propose("nell")
    await desk.sending(post.id)
    await desk.not_sent(post.id, "X is over its limit until 12:30.", again=True)
    assert [waiting.id for waiting in await desk.to_send()] == [post.id]


async def test_a_post_whose_answer_is_missing_is_unknown_and_stays_unsent(database: Database, clock: FakeClock) -> None:
    desk = posts(database, clock, approval=False)
    post = await desk.propose("nell")
    await desk.sending(post.id)
    await desk.unknown(post.id, "The connection broke.")
    left = await desk.post(post.id)
    assert (left.state, left.reason) == (PostState.UNKNOWN, "The connection broke.")
    assert await desk.to_send() == []
    assert await desk.recover() == 0


async def test_a_post_calls_nobody(database: Database, clock: FakeClock) -> None:
    post = await posts(database, clock, "look up, @nasa and ＠esa!").propose("nell")
    assert post.text == "look up, nasa and esa!"


async def test_what_was_said_already_waits_for_approval_also_where_posts_need_none(
    database: Database, clock: FakeClock
) -> None:
    desk = posts(database, clock, approval=False)
    post = await desk.submit("nell", "v1", 7, "Wind's backing north.", 0.9, "discord:1")
    assert await desk.waiting() == [post]
    assert (post.text, post.version, post.seed, post.novelty) == ("Wind's backing north.", "v1", 7, 0.9)


async def test_nothing_is_submitted_twice(database: Database, clock: FakeClock) -> None:
    desk = posts(database, clock)
    await desk.submit("nell", "v1", 7, "Wind's backing north.", 0.9, "discord:1")
    with pytest.raises(Refused, match="proposed before"):
        await desk.submit("nell", "v2", 8, "Wind's backing north.", 0.9, "discord:2")
