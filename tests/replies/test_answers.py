"""What was said is known to buttons and votes for a while; people who opt out leave nothing."""

from __future__ import annotations

import pytest

from bot.database import Database
from bot.replies.answers import Answers, Said, vote_of
from bot.replies.incoming import Incoming, Platform
from bot.replies.opt_outs import OptOuts
from tests.fakes import FakeClock


@pytest.fixture
def answers(database: Database, clock: FakeClock) -> Answers:
    return Answers(database, clock)


@pytest.fixture
def opt_outs(database: Database, clock: FakeClock) -> OptOuts:
    return OptOuts(database, clock)


async def say(answers: Answers, database: Database, clock: FakeClock, number: int, server: str = "1") -> str:
    """An answer to robin; its id."""
    incoming = Incoming(Platform.DISCORD, f"m{number}", "c", "robin", server_id=server)
    async with database.transaction() as transaction:
        await transaction.run(
            "INSERT INTO messages (platform, message_id, channel_id, author_id, state, received_at, server_id) "
            "VALUES ('discord', ?, 'c', 'robin', 'answered', ?, ?)",
            (incoming.message_id, clock().isoformat(), server),
        )
        await answers.keep(transaction, incoming, [Said(f"a{number}", "nell", "v1", 7, "Fog again.", 0.9)])
    return f"a{number}"


@pytest.mark.parametrize(
    ("emoji", "vote"), [("👍", 1), ("👍🏽", 1), ("❤️", 1), ("👎", -1), ("🤔", 0), ("custom:123", 0), ("", 0)]
)
def test_a_reaction_is_a_vote_for_or_against_or_none(emoji: str, vote: int) -> None:
    assert vote_of(emoji) == vote


async def test_a_vote_counts_once_and_can_be_taken_back(answers: Answers, database: Database, clock: FakeClock) -> None:
    answer = await say(answers, database, clock, 1)
    assert await answers.vote("discord", answer, "wren", "👍")
    assert not await answers.vote("discord", answer, "wren", "👍")
    assert not await answers.vote("discord", "of somebody else", "wren", "👍")
    assert await answers.vote("discord", answer, "robin", "❤️")
    kept = await answers.find("discord", answer)
    assert kept is not None and kept.votes == 2
    await answers.take_back("discord", answer, "wren", "👍")
    kept = await answers.find("discord", answer)
    assert kept is not None and kept.votes == 1


async def test_the_best_are_those_of_the_server_and_the_last_days(
    answers: Answers, database: Database, clock: FakeClock
) -> None:
    old = await say(answers, database, clock, 1)
    clock.advance(days=8)
    good, best, bad = [await say(answers, database, clock, number) for number in (2, 3, 4)]
    elsewhere = await say(answers, database, clock, 5, server="2")
    for answer in (old, good, best, elsewhere):
        await answers.vote("discord", answer, "wren", "👍")
    await answers.vote("discord", best, "robin", "👍")
    await answers.vote("discord", bad, "wren", "👎")
    assert [kept.said.answer_id for kept in await answers.best("discord", "1", 7, 10)] == [best, good]
    assert [kept.said.answer_id for kept in await answers.best("discord", "1", 7, 1)] == [best]


async def test_what_is_old_is_forgotten_with_its_votes_and_who_had_asked(
    answers: Answers, database: Database, clock: FakeClock
) -> None:
    """That a message was answered is not."""
    old = await say(answers, database, clock, 1)
    await answers.vote("discord", old, "wren", "👍")
    clock.advance(days=90)
    new = await say(answers, database, clock, 2)
    clock.advance(seconds=1)
    await answers.forget_old(90)
    assert await answers.find("discord", old) is None
    assert await answers.is_for("discord", new, "robin") and not await answers.is_for("discord", new, "wren")
    rows = await database.all("SELECT message_id, author_id FROM messages ORDER BY message_id")
    assert [tuple(row) for row in rows] == [("m1", ""), ("m2", "robin")]
    assert not await database.all("SELECT * FROM votes")


async def test_a_message_that_is_gone_is_not_known_any_more(
    answers: Answers, database: Database, clock: FakeClock
) -> None:
    answer = await say(answers, database, clock, 1)
    await answers.remove("discord", answer)
    assert await answers.find("discord", answer) is None


# Opting out


async def test_who_opts_out_leaves_nothing_but_that(
    opt_outs: OptOuts, answers: Answers, database: Database, clock: FakeClock
) -> None:
    answer = await say(answers, database, clock, 1)
    for voter in ("robin", "wren"):
        await answers.vote("discord", answer, voter, "👍")
    assert (await opt_outs.kept_about("discord", "robin"))["requests"] == 1
    await opt_outs.add("discord", "robin")
    await opt_outs.add("discord", "robin")
    assert await opt_outs.has("discord", "robin") and not await opt_outs.has("discord", "wren")
    assert not await opt_outs.has("web", "robin")
    assert set((await opt_outs.kept_about("discord", "robin")).values()) == {0}
    assert (await opt_outs.kept_about("discord", "wren"))["votes"] == 1
    await opt_outs.remove("discord", "robin")
    assert not await opt_outs.has("discord", "robin")


async def test_a_wish_waits_until_the_account_is_blocked(opt_outs: OptOuts, database: Database) -> None:
    for person in ("robin", "robin", "wren"):
        await opt_outs.request_removal("nasa", "discord", person)
    assert [wish.asked_by for wish in await opt_outs.removal_requests()] == ["robin", "wren"]
    async with database.transaction() as transaction:
        await transaction.run("INSERT INTO blocked (handle, reason, at) VALUES ('nasa', 'wish', '2026-11-01')")
    assert await opt_outs.removal_requests() == []


async def test_what_is_forgotten_already_is_not_written_again(
    answers: Answers, database: Database, clock: FakeClock
) -> None:
    """Each hour, of all messages that there ever were."""
    await say(answers, database, clock, 1)
    clock.advance(days=91)
    await answers.forget_old(90)
    async with database.transaction() as transaction:
        await transaction.run("CREATE TABLE written (n INTEGER)")
        await transaction.run(
            "CREATE TRIGGER t AFTER UPDATE ON messages BEGIN INSERT INTO written VALUES (1); END",
        )
    await answers.forget_old(90)
    assert await database.all("SELECT * FROM written") == []
