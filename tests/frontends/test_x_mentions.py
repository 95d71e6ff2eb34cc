"""Whoever calls an account is answered once, and nobody else: the real client against X on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bot.config import Replies, X
from bot.doctor import Grade, usage
from bot.errors import Busy, DiskFull, MockingbirdError, Refused
from bot.forgetting.rooms import ConversationRoom
from bot.frontends.x import mention_reads
from bot.generation.draft import Sampling
from bot.loopback.x import LoopbackX, Moment, XAccount, XRefusal
from bot.personas.takedown import Subject
from bot.replies.incoming import Platform
from bot.replies.mention import MentionState
from bot.replies.mentions import Mentions
from bot.replies.outbox import Outbox
from bot.replies.posts import Posts, PostState
from tests.cut_off import cut_off
from tests.fakes import FakeClock, FakeSpeaker
from tests.frontends.x_mentions_stage import SETTINGS, Stage, stage_at
from tests.tweets.desk import contracts

POST = "POST /2/tweets"
MENTIONS = "GET /2/users/:id/mentions"
PEOPLE = "GET /2/users"
FOG = "The fog came in from the sea and the lamp was lit before dark."
ANSWERED, LEFT_ALONE = MentionState.ANSWERED, MentionState.LEFT_ALONE
ACCOUNTS: list[XAccount | str] = ["Nell", "Crumb", "ada", "bob", XAccount("weather_bot", description="Rain or shine")]


@pytest.fixture
async def x(clock: FakeClock) -> AsyncIterator[LoopbackX]:
    async with LoopbackX(ACCOUNTS, *contracts(), clock=clock) as x:
        yield x
    assert x.violations == []


@pytest.fixture
async def nell(tmp_path: Path, x: LoopbackX, clock: FakeClock) -> AsyncIterator[Stage]:
    """Answers mentions of @Nell."""
    async with stage_at(tmp_path / "stage.db", x, clock) as stage:
        yield stage


def said(x: LoopbackX, handle: str = "Nell") -> list[str]:
    """What stands on the account, the oldest first."""
    return [post.text for post in reversed(x.timeline(handle))]


async def later(stage: Stage, clock: FakeClock, minutes: float = 6) -> None:
    """The next turn."""
    clock.advance(minutes=minutes)
    await stage.frontend.turn()


# Who is answered


async def test_whoever_names_the_account_gets_a_reply(x: LoopbackX, nell: Stage) -> None:
    post = x.post_as("ada", "@Nell how is the weather out there?")
    await nell.frontend.turn()
    [reply] = x.timeline("Nell")
    assert (reply.text, reply.reply_to) == ("tweet number 1", post.id)
    assert nell.speaker.asked == [("nell", "how is the weather out there?")]
    assert await nell.states() == [ANSWERED]
    assert x.bill() == await nell.ledger.month_total() == Decimal("0.021")  # mention, author, reply


async def test_what_x_has_counted_as_read_is_what_the_ledger_has_of_mentions(x: LoopbackX, nell: Stage) -> None:
    for number in range(3):
        x.post_as("ada", f"@Nell how is the weather on day {number}?")
    await nell.frontend.turn()
    found = await usage(nell.client, nell.ledger)
    assert found.grade is Grade.OK
    assert found.text.startswith("X has counted 3 posts as read this month, the ledger ")


async def test_a_reply_to_a_post_of_the_account_calls_it(x: LoopbackX, nell: Stage) -> None:
    post = x.post_as("Nell", "The lamp is lit.")
    x.post_as("ada", "who lit it?", reply_to=post.id)
    await nell.frontend.turn()
    assert said(x) == ["The lamp is lit.", "tweet number 1"]


async def test_a_name_that_x_carries_along_calls_nobody(x: LoopbackX, nell: Stage) -> None:
    """In a reply to somebody else the names at the beginning are X's, not the author's."""
    bob = x.post_as("bob", "@Crumb hello")
    x.post_as("ada", "@Nell @bob I agree with you", reply_to=bob.id)
    x.post_as("ada", "@bob ask @Nell about that", reply_to=bob.id)
    await nell.frontend.turn()
    assert await nell.states() == [LEFT_ALONE, ANSWERED]
    assert (await nell.reasons())[0] == "it does not call the account"


async def test_bystanders_are_left_out_of_the_reply(x: LoopbackX, nell: Stage) -> None:
    x.post_as("ada", "@bob look what @Nell and @Crumb say")
    await nell.frontend.turn()
    [body] = [request.body for request in x.requests if request.route == POST]
    assert body is not None
    assert set(body["reply"]["exclude_reply_user_ids"]) == {x.account("bob").id, x.account("Crumb").id}


async def test_a_reply_names_nobody_and_holds_no_link(tmp_path: Path, x: LoopbackX, clock: FakeClock) -> None:
    texts = ("Ask @bob or see https://example.org today.",)
    async with stage_at(tmp_path / "stage.db", x, clock, texts=texts) as stage:
        x.post_as("ada", "@Nell who knows?")
        await stage.frontend.turn()
    assert said(x) == ["Ask bob or see today."]
    assert "post with link created" not in x.bill_by_kind()


async def test_two_accounts_of_ours_do_not_talk_to_each_other(tmp_path: Path, x: LoopbackX, clock: FakeClock) -> None:
    crumb = SETTINGS.model_copy(update={"persona": "crumb"})
    x.post_as("Crumb", "@Nell good morning")
    x.post_as("Nell", "@Crumb good morning to you")
    async with (
        stage_at(tmp_path / "stage.db", x, clock) as first,
        stage_at(tmp_path / "stage.db", x, clock, crumb, account="crumb", handle="Crumb") as second,
    ):
        await first.frontend.turn()
        await second.frontend.turn()
        assert await first.reasons() == ["it is by another account of ours"] * 2
    assert [route for route in (request.route for request in x.requests) if route == POST] == []


async def test_two_accounts_that_one_post_calls_answer_it_once_each_over_restarts(
    tmp_path: Path, x: LoopbackX, clock: FakeClock
) -> None:
    crumb = SETTINGS.model_copy(update={"persona": "crumb"})
    patient = Replies(cooldown_seconds=60)
    x.post_as("ada", "@Nell @Crumb good morning to both of you")
    for _ in range(3):
        async with (
            stage_at(tmp_path / "stage.db", x, clock, replies=patient) as first,
            stage_at(
                tmp_path / "stage.db", x, clock, crumb, account="crumb", handle="Crumb", replies=patient, texts=(FOG,)
            ) as other,
        ):
            await first.frontend.turn()
            await other.frontend.turn()
            states = await first.states()
        clock.advance(minutes=6)
    assert states == [ANSWERED, ANSWERED]
    assert (len(said(x)), len(said(x, "Crumb"))) == (1, 1)


async def test_a_bot_is_answered_only_where_the_settings_say_so(tmp_path: Path, x: LoopbackX, clock: FakeClock) -> None:
    x.post_as("weather_bot", "@Nell rain at noon")
    async with stage_at(tmp_path / "one.db", x, clock) as stage:
        await stage.frontend.turn()
        assert await stage.reasons() == ["its author is a bot"]
    bots_too = SETTINGS.model_copy(update={"answer_bots": True})
    async with stage_at(tmp_path / "two.db", x, clock, bots_too) as stage:
        await stage.frontend.turn()
        assert await stage.states() == [ANSWERED]


async def test_an_author_who_was_answered_is_not_looked_up_again(x: LoopbackX, clock: FakeClock, nell: Stage) -> None:
    for number in (1, 2, 3):
        clock.advance(days=1)
        x.post_as("ada", f"@Nell question {number}")
        await later(nell, clock)
    assert x.bill_by_kind()["user read"] == Decimal("0.010")
    assert x.bill() == await nell.ledger.month_total()


async def test_a_conversation_ends_after_so_many_answers(x: LoopbackX, clock: FakeClock, nell: Stage) -> None:
    x.post_as("ada", "@Nell tell me more")
    for _ in range(5):
        await later(nell, clock)
        x.post_as("ada", "and then?", reply_to=x.timeline("Nell")[0].id)
    assert len(said(x)) == SETTINGS.most_turns
    assert (await nell.reasons())[3] == "its author has had 3 answers in this conversation"
    x.post_as("ada", "@Nell something else")
    await later(nell, clock)
    assert len(said(x)) == SETTINGS.most_turns + 1


async def test_the_answer_knows_what_was_said_before(x: LoopbackX, clock: FakeClock, nell: Stage) -> None:
    x.post_as("ada", "@Nell tell me more")
    await nell.frontend.turn()
    x.post_as("ada", "and then?", reply_to=x.timeline("Nell")[0].id)
    await later(nell, clock)
    assert nell.speaker.thread == ("tweet number 1",)


async def test_the_answer_knows_what_a_quote_is_about(x: LoopbackX, clock: FakeClock, nell: Stage) -> None:
    x.post_as("ada", "@Nell tell me more")
    await nell.frontend.turn()
    x.post_as("bob", "@Nell is that so?", quotes=x.timeline("Nell")[0].id)
    await later(nell, clock)
    assert nell.speaker.thread == ("tweet number 1",)


async def test_in_a_pause_nobody_is_answered(tmp_path: Path, x: LoopbackX, clock: FakeClock) -> None:
    x.post_as("ada", "@Nell hello")
    paused = SETTINGS.model_copy(update={"paused": True})
    async with stage_at(tmp_path / "stage.db", x, clock, paused) as stage:
        async with asyncio.timeout(60):
            await stage.frontend.run()
    assert x.requests == []


async def test_no_reply_says_that_somebody_asks_too_often(tmp_path: Path, x: LoopbackX, clock: FakeClock) -> None:
    async with stage_at(tmp_path / "stage.db", x, clock, replies=Replies(requests_per_hour=2)) as stage:
        for number in range(4):
            x.post_as("ada", f"@Nell question {number}")
        await stage.frontend.turn()
        assert await stage.states() == [ANSWERED, ANSWERED, LEFT_ALONE, LEFT_ALONE]
    assert len(said(x)) == 2


# Once


async def test_a_second_delivery_is_silent(x: LoopbackX, clock: FakeClock, nell: Stage) -> None:
    x.post_as("ada", "@Nell hello")
    await nell.frontend.turn()
    async with nell.database.transaction() as transaction:
        await transaction.run("DELETE FROM marks")
    await later(nell, clock)
    assert said(x) == ["tweet number 1"]
    assert x.bill() == await nell.ledger.month_total()


@pytest.mark.slow
async def test_cut_off_anywhere_a_mention_is_answered_once(tmp_path: Path, clock: FakeClock) -> None:
    ends = set()
    for step in count(1):
        path = tmp_path / f"{step}.db"
        async with LoopbackX(ACCOUNTS, *contracts(), clock=clock) as x:
            x.post_as("ada", "@Nell how are you?")
            async with stage_at(path, x, clock) as stage:
                was_under_way = await cut_off(stage.frontend.turn(), step)
            async with stage_at(path, x, clock) as stage:
                for _ in range(3):
                    clock.advance(minutes=2)
                    await stage.frontend.turn()
                    clock.advance(minutes=6)
                [state] = await stage.states()
                spent = await stage.ledger.month_total()
            ends.add((state, len(said(x))))
            assert spent >= x.bill()
            assert x.violations == []
        if not was_under_way:
            break
    assert ends == {(ANSWERED, 1)}


@pytest.mark.parametrize("refusal", [XRefusal.ANSWER_LOST, XRefusal.UNAVAILABLE])
async def test_a_reply_whose_answer_is_missing_is_looked_for_before_it_is_sent_again(
    x: LoopbackX, clock: FakeClock, nell: Stage, refusal: XRefusal
) -> None:
    x.post_as("ada", "@Nell hello")
    x.fail_next(POST, refusal)
    await nell.frontend.turn()
    assert await nell.states() == [MentionState.UNKNOWN]
    for _ in range(2):
        await later(nell, clock)
    assert (await nell.states(), len(said(x))) == ([ANSWERED], 1)
    assert x.bill() == await nell.ledger.month_total()


async def test_a_reply_that_never_arrives_is_handed_over_again_after_longer_and_longer_pauses(
    x: LoopbackX, clock: FakeClock, nell: Stage
) -> None:
    """Three times X says 504 and has done nothing: tries at minutes 0, 5, 15 and 35, and one reply."""
    x.post_as("ada", "@Nell hello")
    x.fail_next(POST, XRefusal.GATEWAY_TIMEOUT, 3)
    began, tried_at, tried = clock(), [], 0
    for _ in range(40):
        await nell.frontend.turn()
        if (so_far := [request.route for request in x.requests].count(POST)) > tried:
            tried = so_far
            tried_at.append(round((clock() - began).total_seconds() / 60))
        clock.advance(minutes=1)
    assert (tried_at, await nell.states(), len(said(x))) == ([0, 5, 15, 35], [ANSWERED], 1)
    assert x.bill() == await nell.ledger.month_total()


async def test_a_reply_that_has_not_arrived_in_a_day_is_given_up(
    tmp_path: Path, x: LoopbackX, clock: FakeClock
) -> None:
    x.post_as("ada", "@Nell hello")
    x.fail_next(POST, XRefusal.GATEWAY_TIMEOUT, 100)
    for _ in range(26):
        async with stage_at(tmp_path / "stage.db", x, clock) as stage:
            await stage.frontend.turn()
            await later(stage, clock, minutes=61)
            states, [reason], spent = await stage.states(), await stage.reasons(), await stage.ledger.month_total()
    assert states == [LEFT_ALONE]
    assert str(reason).startswith("no reply to it is known to have reached X: X is overloaded")
    assert (said(x), spent) == ([], x.bill())


async def test_a_reply_that_may_stand_beyond_what_was_looked_at_stays_paid(
    tmp_path: Path, x: LoopbackX, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the next start clears up what it was cut off at."""
    monkeypatch.setattr(mention_reads, "_LOOKED_AT", 0)
    x.post_as("ada", "@Nell hello")
    x.fail_next(POST, XRefusal.ANSWER_LOST)
    for _ in range(2):
        async with stage_at(tmp_path / "stage.db", x, clock) as stage:
            await stage.frontend.turn()
            await later(stage, clock)
            states, spent = await stage.states(), await stage.ledger.month_total()
    assert (states, len(said(x)), spent) == ([LEFT_ALONE], 1, x.bill())


@pytest.mark.parametrize("trouble", [Busy("Another process writes.", 10.0), DiskFull("The disk is full.")], ids=str)
async def test_a_reply_that_could_not_be_written_down_is_found_on_x_without_a_restart(
    x: LoopbackX, clock: FakeClock, nell: Stage, monkeypatch: pytest.MonkeyPatch, trouble: MockingbirdError
) -> None:
    """And nothing ends the task."""
    answered, tries = Mentions.answered, count()

    async def fails_at_first(self: Mentions, mention_id: str, reply_id: str) -> None:
        if next(tries) == 0:
            raise trouble
        await answered(self, mention_id, reply_id)

    monkeypatch.setattr(Mentions, "answered", fails_at_first)
    x.post_as("ada", "@Nell hello")
    await nell.frontend.turn()
    for _ in range(2):
        await later(nell, clock, minutes=16)
    assert (await nell.states(), len(said(x))) == ([ANSWERED], 1)
    assert await nell.ledger.month_total() == x.bill()


async def test_a_confirmation_that_has_not_arrived_in_a_day_is_given_up(
    x: LoopbackX, clock: FakeClock, nell: Stage
) -> None:
    x.post_as("ada", "@Nell stop")
    x.fail_next(POST, XRefusal.GATEWAY_TIMEOUT, 100)
    for _ in range(26):
        await nell.frontend.turn()
        await later(nell, clock, minutes=61)
    assert await nell.states() == [LEFT_ALONE]
    assert str((await nell.reasons())[0]).startswith("no reply to it is known to have reached X: X is overloaded")


async def test_what_x_refuses_after_a_try_that_is_in_doubt_is_not_handed_over_again(
    x: LoopbackX, clock: FakeClock, nell: Stage
) -> None:
    x.post_as("ada", "@Nell hello")
    x.fail_next(POST, XRefusal.GATEWAY_TIMEOUT)
    x.fail_next(POST, XRefusal.REPLY_NOT_ALLOWED)
    for _ in range(6):
        await nell.frontend.turn()
        clock.advance(minutes=6)
    assert await nell.states() == [LEFT_ALONE]
    assert "lets an app answer only" in str((await nell.reasons())[0])
    assert [request.route for request in x.requests].count(POST) == 2


async def test_after_a_restart_the_words_of_those_that_wait_are_read_again(
    tmp_path: Path, x: LoopbackX, clock: FakeClock
) -> None:
    x.post_as("ada", "@Nell first")
    x.fail_next(POST, XRefusal.WINDOW)
    async with stage_at(tmp_path / "stage.db", x, clock) as stage:
        await stage.frontend.turn()
        assert await stage.states() == [MentionState.WAITING]
    gone = x.post_as("bob", "@Nell second")
    async with stage_at(tmp_path / "stage.db", x, clock) as stage:
        x.fail_next(POST, XRefusal.WINDOW)
        await stage.frontend.turn()
    x.delete_behind(gone.id)
    clock.advance(minutes=20)
    async with stage_at(tmp_path / "stage.db", x, clock) as stage:
        await stage.frontend.turn()
        assert await stage.states() == [ANSWERED, LEFT_ALONE]
        assert (await stage.reasons())[1] == "X shows it no more"
        assert x.bill() == await stage.ledger.month_total()


async def test_what_was_said_during_a_long_downtime_is_left_alone(
    tmp_path: Path, x: LoopbackX, clock: FakeClock
) -> None:
    async with stage_at(tmp_path / "stage.db", x, clock) as stage:
        x.post_as("ada", "@Nell hello")
        await stage.frontend.turn()
    x.post_as("ada", "@Nell are you there?")
    clock.advance(days=2)
    x.post_as("ada", "@Nell anybody?")
    async with stage_at(tmp_path / "stage.db", x, clock, texts=("The lamp is lit.",)) as stage:
        await stage.frontend.turn()
        assert await stage.states() == [ANSWERED, LEFT_ALONE, ANSWERED]
        assert (await stage.reasons())[1] == "it is older than a day"


# Never the same twice

FOG_AGAIN = "The fog came in from the sea and the lamp was lit before night."


def list_of(stage: Stage, clock: FakeClock) -> Posts:
    """The posts of the same database."""
    return Posts(stage.database, FakeSpeaker(), Sampling(1.0, 1.0, 0, 10), 2, {"main": X(), "crumb": X()}, clock)


async def test_what_is_like_a_post_of_any_account_is_not_replied(
    tmp_path: Path, x: LoopbackX, clock: FakeClock
) -> None:
    """Of several drafts another one is; where there is none the mention is left alone."""
    texts = (FOG_AGAIN, "Rope and tar.", FOG_AGAIN, FOG)
    async with stage_at(tmp_path / "stage.db", x, clock, texts=texts, drafts=2) as nell:
        posts, outbox = list_of(nell, clock), Outbox(nell.database, "crumb", clock)
        post = await posts.submit("crumb", "crumb", "v1", 1, FOG, 0.9, "ann")
        await posts.approve(post.id, "ann")
        part = await outbox.next_part(post.id)
        assert part is not None
        await outbox.take(part)
        for handle in ("ada", "bob"):
            x.post_as(handle, "@Nell hello")
        await nell.frontend.turn()
        assert said(x) == ["Rope and tar."]
        assert await nell.states() == [ANSWERED, LEFT_ALONE]


async def test_what_is_like_a_reply_on_any_account_is_neither_posted_nor_replied(
    tmp_path: Path, x: LoopbackX, clock: FakeClock
) -> None:
    """Also while nobody knows whether the reply stands on X."""
    path = tmp_path / "stage.db"
    async with stage_at(path, x, clock, texts=(FOG,)) as nell:
        waiting = await list_of(nell, clock).submit("main", "nell", "v1", 1, FOG_AGAIN, 0.9, "ann")
        await list_of(nell, clock).approve(waiting.id, "ann")
        post = x.post_as("ada", "@Nell hello")
        x.cut_next(POST, Moment.AFTER)
        await nell.frontend.turn()
        assert await nell.states() == [MentionState.UNKNOWN]
        outbox = Outbox(nell.database, "main", clock)
        part = await outbox.next_part(waiting.id)
        assert part is not None
        assert not await outbox.take(part)
        assert (await list_of(nell, clock).post(waiting.id)).state is PostState.REFUSED
        with pytest.raises(Refused, match=f"much like the reply to {post.id} on main"):
            await list_of(nell, clock).submit("crumb", "crumb", "v1", 1, f"So: {FOG}", 0.9, "ann")
    async with stage_at(
        path, x, clock, X(persona="crumb", reply_to_mentions=True), account="crumb", handle="Crumb", texts=(FOG,)
    ) as crumb:
        x.post_as("bob", "@Crumb hello")
        await crumb.frontend.turn()
        assert said(x, "Crumb") == []


async def test_what_x_has_refused_as_a_reply_may_be_posted(tmp_path: Path, x: LoopbackX, clock: FakeClock) -> None:
    """It was not said."""
    async with stage_at(tmp_path / "stage.db", x, clock, texts=(FOG,)) as nell:
        x.post_as("ada", "@Nell hello")
        x.fail_next(POST, XRefusal.REPLY_NOT_ALLOWED)
        await nell.frontend.turn()
        assert await nell.states() == [LEFT_ALONE]
        post = await list_of(nell, clock).submit("main", "nell", "v1", 1, FOG_AGAIN, 0.9, "ann")
        assert post.state is PostState.DRAFTED


async def test_of_two_replies_that_are_made_at_once_the_second_is_not_said(nell: Stage, x: LoopbackX) -> None:
    """A draft is looked at once more when it is marked."""
    for handle in ("ada", "bob"):
        x.post_as(handle, "@Nell hello")
    x.fail_next(POST, XRefusal.WINDOW)
    await nell.frontend.turn()
    mentions = Mentions(nell.database, nell.conversation.opt_outs, "main", FakeClock())
    first, second = [noted.id for noted in await nell.noted()]
    assert await mentions.take(first, FOG, "nell")
    assert not await mentions.take(second, FOG_AGAIN, "nell")
    assert (await nell.reasons())[1] == (
        f"the answer was much like the reply to {first} on main, and X forbids saying the same again"
    )


async def test_a_takedown_removes_the_words_of_replies(tmp_path: Path, x: LoopbackX, clock: FakeClock) -> None:
    async with stage_at(tmp_path / "stage.db", x, clock, texts=(FOG,)) as nell:
        x.post_as("ada", "@Nell hello")
        await nell.frontend.turn()
        kept = "SELECT reply_persona, reply_text FROM x_mentions"
        assert [tuple(row) for row in await nell.database.all(kept)] == [("nell", FOG)]
        await nell.conversation.messages.forget(["nell"])
        assert [tuple(row) for row in await nell.database.all(kept)] == [(None, None)]


# Whoever wants no answers


async def test_whoever_opts_out_is_told_once_and_never_answered_again(
    x: LoopbackX, clock: FakeClock, nell: Stage
) -> None:
    x.post_as("ada", "@Nell hello")
    await nell.frontend.turn()
    for text in ("@Nell STOP!", "@Nell stop", "@Nell hello again"):
        x.post_as("ada", text)
        await later(nell, clock)
    assert len(said(x)) == 2
    assert said(x)[1].startswith("As you asked")
    assert await nell.conversation.opt_outs.has("x", x.account("ada").id)
    kept = [
        await nell.database.one(f"SELECT 1 FROM {table} WHERE author_id = ?", (x.account("ada").id,))
        for table in ("messages", "x_mentions")
    ]
    assert kept == [None, None]


@pytest.mark.slow
async def test_cut_off_anywhere_an_opt_out_is_honoured_and_confirmed_once(tmp_path: Path, clock: FakeClock) -> None:
    for step in count(1):
        path = tmp_path / f"{step}.db"
        async with LoopbackX(ACCOUNTS, *contracts(), clock=clock) as x:
            x.post_as("ada", "@Nell leave me alone")
            async with stage_at(path, x, clock) as stage:
                was_under_way = await cut_off(stage.frontend.turn(), step)
            async with stage_at(path, x, clock) as stage:
                for _ in range(3):
                    clock.advance(minutes=2)
                    await stage.frontend.turn()
                    clock.advance(minutes=6)
                assert await stage.conversation.opt_outs.has("x", x.account("ada").id)
            assert len(said(x)) == 1
        if not was_under_way:
            break


async def test_two_people_who_say_stop_in_one_second_are_both_told(x: LoopbackX, nell: Stage) -> None:
    """In other words, since X takes no text twice; and each of them once."""
    for handle in ("ada", "bob", "weather_bot"):
        x.post_as(handle, "@Nell stop")
    await nell.frontend.turn()
    assert await nell.states() == [ANSWERED] * 3
    assert len(set(said(x))) == 3
    assert {post.reply_to for post in x.timeline("Nell")} == {noted.id for noted in await nell.noted()}
    assert x.bill() == await nell.ledger.month_total()


async def test_where_x_has_every_wording_a_stop_is_honoured_in_silence(x: LoopbackX, nell: Stage) -> None:
    x.post_as("ada", "@Nell stop")
    x.fail_next(POST, XRefusal.DUPLICATE, 100)
    await nell.frontend.turn()
    assert await nell.reasons() == ["X has every wording of the confirmation already"]
    assert await nell.conversation.opt_outs.has("x", x.account("ada").id)


async def test_a_confirmation_that_x_calls_a_repetition_after_a_lost_answer_is_not_said_in_other_words(
    x: LoopbackX, clock: FakeClock, nell: Stage
) -> None:
    x.post_as("ada", "@Nell stop")
    x.fail_next(POST, XRefusal.GATEWAY_TIMEOUT)
    x.fail_next(POST, XRefusal.DUPLICATE, 100)
    for _ in range(6):
        await nell.frontend.turn()
        clock.advance(minutes=6)
    assert await nell.states() == [LEFT_ALONE]
    assert [request.route for request in x.requests].count(POST) == 2


async def test_the_confirmation_is_in_the_language_of_the_words(x: LoopbackX, nell: Stage) -> None:
    x.post_as("ada", "@Nell Lass mich in Ruhe!")
    await nell.frontend.turn()
    assert [text.partition(" (")[0] for text in said(x)] == ["Wie gewünscht antwortet dir dieses Konto nicht mehr"]


async def test_a_stop_that_is_not_meant_for_the_account_is_honoured_in_silence(x: LoopbackX, nell: Stage) -> None:
    bob = x.post_as("bob", "hello")
    x.post_as("ada", "@bob @Nell stop", reply_to=bob.id)
    await nell.frontend.turn()
    assert said(x) == []
    assert await nell.conversation.opt_outs.has("x", x.account("ada").id)


async def test_an_account_of_ours_that_says_stop_is_not_answered(x: LoopbackX, nell: Stage) -> None:
    for handle in ("Nell", "Crumb"):
        x.post_as(handle, "@Nell stop")
    await nell.frontend.turn()
    assert await nell.reasons() == ["it is the account's own", "it is by another account of ours"]
    assert not any([await nell.conversation.opt_outs.has("x", x.account(each).id) for each in ("Nell", "Crumb")])


# What X says


async def test_a_reply_that_x_does_not_allow_is_left_alone(x: LoopbackX, clock: FakeClock, nell: Stage) -> None:
    x.post_as("ada", "@Nell hello")
    x.fail_next(POST, XRefusal.REPLY_NOT_ALLOWED)
    for _ in range(3):
        await later(nell, clock)
    assert await nell.states() == [LEFT_ALONE]
    assert "mentioned or quoted" in str((await nell.reasons())[0])
    assert said(x) == []
    assert x.bill() == await nell.ledger.month_total()


async def test_a_mention_that_is_deleted_meanwhile_is_left_alone(x: LoopbackX, clock: FakeClock, nell: Stage) -> None:
    post = x.post_as("ada", "@Nell hello")
    x.fail_next(POST, XRefusal.WINDOW)
    await nell.frontend.turn()
    x.delete_behind(post.id)
    await later(nell, clock, minutes=20)
    assert await nell.states() == [LEFT_ALONE]
    assert "deleted or hidden" in str((await nell.reasons())[0])


@pytest.mark.parametrize("refusal", [XRefusal.WINDOW, XRefusal.CREDITS_DEPLETED, XRefusal.UNAUTHORIZED])
async def test_a_no_for_now_keeps_the_mention(x: LoopbackX, clock: FakeClock, nell: Stage, refusal: XRefusal) -> None:
    x.post_as("ada", "@Nell hello")
    x.fail_next(POST, refusal)
    await nell.frontend.turn()
    await later(nell, clock, minutes=14)
    assert (await nell.states(), said(x)) == ([MentionState.WAITING], [])
    await later(nell, clock, minutes=2)
    assert (await nell.states(), len(said(x))) == ([ANSWERED], 1)
    assert x.bill() == await nell.ledger.month_total()


async def test_while_x_takes_no_more_reads_nothing_is_asked(x: LoopbackX, clock: FakeClock, nell: Stage) -> None:
    x.fail_next(MENTIONS, XRefusal.WINDOW)
    with capture_logs() as logs:
        for _ in range(3):
            await later(nell, clock, minutes=4)
    assert len(x.requests) == 1
    assert [entry["event"] for entry in logs] == ["reading mentions pauses"]
    await later(nell, clock, minutes=10)
    assert len(x.requests) == 2


# What is held about it


async def test_a_takedown_finds_the_replies_of_a_persona_by_account(
    tmp_path: Path, x: LoopbackX, clock: FakeClock
) -> None:
    found = []
    for account, handle in (("main", "Nell"), ("second", "Crumb")):
        x.post_as("ada", f"@{handle} hello")
        async with stage_at(
            tmp_path / "stage.db", x, clock, texts=(f"from {handle}",), account=account, handle=handle
        ) as stage:
            await stage.frontend.turn()
            room, subject = ConversationRoom(stage.conversation), Subject(("nell",), ("nell",), "", ())
            found = list(await room.said(subject))
    ids = [x.timeline(handle)[0].id for handle in ("Nell", "Crumb")]
    assert [(each.platform, each.channel, each.id) for each in found] == [("x", "", ids[0]), ("x", "second", ids[1])]


async def test_the_account_answers_as_its_own_persona_whoever_is_named(x: LoopbackX, nell: Stage) -> None:
    x.post_as("ada", "@Nell crumb: what is in the oven?")
    await nell.frontend.turn()
    assert nell.speaker.asked == [("nell", "crumb: what is in the oven?")]


async def test_a_protected_author_is_not_answered(tmp_path: Path, x: LoopbackX, clock: FakeClock) -> None:
    x.post_as("ada", "@Nell hello")
    async with stage_at(tmp_path / "stage.db", x, clock) as stage:
        hold = x.hold_next("GET /2/users", Moment.BEFORE)
        turn = asyncio.create_task(stage.frontend.turn())
        await hold.arrived.wait()
        x.protect("ada")
        hold.release.set()
        await turn
        assert await stage.reasons() == ["its author is protected"]


# Money


async def test_at_the_cap_reads_stop_before_replies_do(tmp_path: Path, x: LoopbackX, clock: FakeClock) -> None:
    x.post_as("ada", "@Nell hello")
    x.fail_next(POST, XRefusal.WINDOW)
    async with stage_at(tmp_path / "stage.db", x, clock, cap="0.15", reserve="0.04") as stage:
        await stage.frontend.turn()
        x.post_as("bob", "@Nell hello, too")
        requests = len([request for request in x.requests if request.route == MENTIONS])
        await later(stage, clock, minutes=20)
        assert len([request for request in x.requests if request.route == MENTIONS]) == requests
        assert (await stage.states(), len(said(x))) == ([ANSWERED], 1)
        assert x.bill() == await stage.ledger.month_total()


async def test_an_account_that_spends_its_own_budget_too_fast_reads_mentions_less_often(
    tmp_path: Path, x: LoopbackX, clock: FakeClock
) -> None:
    """Also where the cap of all accounts is far away."""
    looks = []
    for own in (None, "0.50"):
        async with stage_at(tmp_path / f"{own}.db", x, clock, own=own) as nell:
            async with nell.ledger.hold("post", "nell", Decimal("0.30"), "A post") as call:
                await call.settle(1, Decimal("0.30"))
            looks.append(await nell.frontend.turn() - clock.now)
    assert looks == [timedelta(minutes=5), timedelta(hours=1)]


async def test_where_nothing_is_left_to_look_people_up_only_those_who_are_known_are_answered(
    tmp_path: Path, x: LoopbackX, clock: FakeClock
) -> None:
    async with stage_at(tmp_path / "stage.db", x, clock, cap="0.24", reserve="0.12") as stage:
        x.post_as("ada", "@Nell hello")
        await stage.frontend.turn()
        x.post_as("ada", "@Nell hello again")
        x.post_as("bob", "@Nell hello, too")
        x.fail_next("GET /2/users", XRefusal.WINDOW)
        await later(stage, clock)
        async with stage.ledger.hold("fetch", "ada", Decimal("0.100"), "A fetch") as call:
            await later(stage, clock, minutes=16)
            await call.settle(0, Decimal(0))
        assert await stage.states() == [ANSWERED, ANSWERED, MentionState.WAITING]


async def test_a_reply_that_would_go_over_the_cap_waits(x: LoopbackX, clock: FakeClock, nell: Stage) -> None:
    x.post_as("ada", "@Nell hello")
    x.fail_next(POST, XRefusal.WINDOW)
    await nell.frontend.turn()
    async with nell.ledger.hold("fetch", "ada", Decimal("19.98"), "A long fetch") as call:
        await later(nell, clock, minutes=20)
        assert await nell.states() == [MentionState.WAITING]
        await call.settle(0, Decimal(0))
    await later(nell, clock, minutes=61)
    assert (await nell.states(), len(said(x))) == ([ANSWERED], 1)


async def test_each_call_is_in_the_ledger_with_its_account(tmp_path: Path, x: LoopbackX, clock: FakeClock) -> None:
    crumb = SETTINGS.model_copy(update={"persona": "crumb"})
    x.post_as("ada", "@Crumb hello")
    async with stage_at(tmp_path / "stage.db", x, clock, crumb, account="crumb", handle="Crumb") as stage:
        await stage.frontend.turn()
        entries = (await stage.ledger.month()).entries
    assert {(entry.purpose, entry.account, entry.usd) for entry in entries} == {
        ("mention", "crumb", Decimal("0.015")),  # a post read, since another account owns the app, and a user read
        ("reply", "crumb", Decimal("0.010")),
    }
    assert x.bill() == Decimal("0.025")


async def test_a_lookup_whose_answer_was_lost_stays_paid_where_it_is_not_repeated(
    x: LoopbackX, clock: FakeClock, nell: Stage
) -> None:
    """Who was looked up has told another account meanwhile that no answers are wanted; somebody else is looked up."""
    x.post_as("ada", "@Nell hello")
    x.cut_next(PEOPLE, Moment.AFTER)
    await nell.frontend.turn()
    await nell.conversation.opt_outs.add(Platform.X, x.account("ada").id)
    x.post_as("bob", "@Nell good morning")
    await later(nell, clock)
    assert x.bill_by_kind()["user read"] == Decimal("0.020")
    assert await nell.ledger.month_total() == x.bill()


async def test_no_words_are_logged(x: LoopbackX, clock: FakeClock, nell: Stage) -> None:
    x.post_as("ada", "@Nell hello from the harbour")
    x.fail_next(POST, XRefusal.UNAVAILABLE)
    with capture_logs() as logs:
        for _ in range(3):
            await later(nell, clock)
    assert len(said(x)) == 1
    assert not any(word in str(logs) for word in ("harbour", "tweet number"))
