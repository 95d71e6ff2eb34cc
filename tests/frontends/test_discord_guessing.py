"""Real or bot on Discord: who may play about whom, what counts, and what a restart or a takedown leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from copy import copy
from dataclasses import replace
from pathlib import Path

import pytest

from bot.database import Database
from bot.loopback.discord import LoopbackInteraction, Message
from bot.loopback.discord.people import Permission
from bot.loopback.discord.world import MessageFlag
from bot.tweets.store import Basis
from bot.tweets.tweet import Source, Tweet
from tests.fakes import FakeClock
from tests.frontends.discord_stage import Stage, staged
from tests.loopback.songbird import PATIENCE

REAL = tuple(f"The lamp sings louder on night number {word}." for word in range(1, 8))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def stage(tmp_path: Path, database: Database, clock: FakeClock) -> AsyncIterator[Stage]:
    async with staged(tmp_path, database, clock=clock) as ready:
        await remember(ready, "nell", REAL)
        yield ready


async def remember(stage: Stage, handle: str, texts: tuple[str, ...], basis: Basis = Basis.INVENTED) -> None:
    """These are real tweets of that account."""
    tweets = [Tweet(handle, text, str(at), None, False, None, Source.X_API) for at, text in enumerate(texts, start=100)]
    await stage.store.add(handle, tweets, basis)


async def played(stage: Stage, **options: str) -> Message:
    """robin begins a game; its message."""
    return await (await stage.use("guess play", "robin", **options)).answered(PATIENCE)


async def press(stage: Stage, message: Message, who: str, label: str) -> LoopbackInteraction:
    """Somebody presses a button, which has had its effect when this returns."""
    interaction = await stage.server.press(message, stage.server.world.user(who), label)
    await interaction.acknowledged(PATIENCE)
    if label in ("Real", "Bot"):
        await interaction.answered(PATIENCE)
    return interaction


async def move(stage: Stage, message: Message, label: str, shows: str) -> None:
    """robin moves the game on; the message then shows that."""
    await press(stage, message, "robin", label)
    await stage.server.until(lambda: shows in message.content, PATIENCE, shows)


def is_real(message: Message) -> bool:
    """Whether the message shows a real tweet."""
    return any(text in message.content for text in REAL)


async def refusal(interaction: LoopbackInteraction) -> str:
    """What the person alone is told."""
    if interaction.original is not None and not interaction.original.deleted and interaction.original.content:
        told = interaction.original
    else:
        [told] = await interaction.followed_up(PATIENCE)
    assert MessageFlag.EPHEMERAL in told.flags
    return told.content


async def to_the_end(stage: Stage, shown: Message, start: int = 1) -> list[bool]:
    """Play the rest: wren always knows, robin always says the bot; which texts were real."""
    real = []
    for number in range(start, 6):
        await stage.server.until(lambda: f"Round {number} of 5" in shown.content, PATIENCE)  # noqa: B023
        real.append(is_real(shown))
        await press(stage, shown, "wren", "Real" if real[-1] else "Bot")
        await press(stage, shown, "robin", "Bot")
        await move(stage, shown, "Reveal", "It is **real**" if real[-1] else "It was **the bot**")
        await move(stage, shown, "Next", f"Round {number + 1}" if number < 5 else "The game is over")
    return real


async def test_five_rounds_mix_real_tweets_with_drafts_and_end_with_a_scoreboard(stage: Stage) -> None:
    wren, robin = (stage.server.world.user(name).id for name in ("wren", "robin"))
    async with stage.running():
        shown = await played(stage)
        real = await to_the_end(stage, shown)
        board = await (await stage.use("guess scores", "robin")).answered(PATIENCE)
    assert 1 <= sum(real) <= 4
    assert f"<@{wren}>: 5 of 5\n<@{robin}>: {5 - sum(real)} of 5" in shown.content
    assert f"🥇 <@{wren}> 5 right of 5 (100%)" in board.content
    assert not is_real(shown) and shown.components == []
    row = await stage.database.one("SELECT started_by, rounds FROM guess_games")
    assert row is not None and (row["started_by"], row["rounds"]) == ("", "[]")


async def test_real_tweets_are_nowhere_but_among_the_tweets(stage: Stage) -> None:
    async with stage.running():
        await played(stage)
    row = await stage.database.one("SELECT rounds FROM guess_games")
    assert row is not None and not any(text in row["rounds"] for text in REAL)
    assert '"handle": "nell"' in row["rounds"]


async def test_the_last_press_before_the_answer_counts_and_none_after_it(stage: Stage) -> None:
    async with stage.running():
        shown = await played(stage)
        truth, wrong = ("Real", "Bot") if is_real(shown) else ("Bot", "Real")
        before = copy(shown)
        await press(stage, shown, "wren", wrong)
        noted = await press(stage, shown, "wren", truth)
        assert "Noted" in await refusal(noted)
        await move(stage, shown, "Reveal", "knew")
        late = await press_again(stage, before, "robin", truth)
    assert "came too late" in late
    row = await stage.database.one("SELECT count(*) AS number, sum(is_right) AS correct FROM guesses")
    assert row is not None and (row["number"], row["correct"]) == (1, 1)


async def press_again(stage: Stage, message: Message, who: str, label: str) -> str:
    """Press a button that was there a moment ago; what the person is told."""
    interaction = await stage.server.press(message, stage.server.world.user(who), label)
    await interaction.acknowledged(PATIENCE)
    [told] = await interaction.followed_up(PATIENCE)
    return told.content


async def test_two_who_press_next_at_once_move_on_by_one_round(stage: Stage) -> None:
    async with stage.running():
        shown = await played(stage)
        await move(stage, shown, "Reveal", "Nobody has guessed.")
        robin, wren = stage.server.world.user("robin"), stage.server.world.user("wren")  # wren may manage messages
        both = [await stage.server.press(shown, who, "Next") for who in (robin, wren)]
        for each in both:
            await each.acknowledged(PATIENCE)
        await stage.server.until(lambda: "Round 2 of 5" in shown.content, PATIENCE)
    row = await stage.database.one("SELECT round, is_revealed FROM guess_games")
    assert row is not None and (row["round"], row["is_revealed"]) == (1, 0)


async def test_a_restart_in_the_middle_loses_nothing(stage: Stage) -> None:
    wren = stage.server.world.user("wren").id
    async with stage.running():
        shown = await played(stage)
        await press(stage, shown, "wren", "Real" if is_real(shown) else "Bot")
    async with stage.running():
        await move(stage, shown, "Reveal", f"<@{wren}> knew.")
        await move(stage, shown, "Next", "Round 2 of 5")
        await to_the_end(stage, shown, start=2)
    assert f"<@{wren}>: 5 of 5" in shown.content


@pytest.mark.parametrize("basis", [Basis.PERMISSION, Basis.PUBLIC_OFFICIAL])
async def test_what_may_only_be_learned_is_not_shown(stage: Stage, basis: Basis) -> None:
    await remember(stage, "crumb", REAL, basis)
    async with stage.running():
        told = await refusal(await stage.use("guess play", "robin", persona="crumb"))
    assert "may be learned from, not shown" in told
    assert stage.speaker.asked == []


async def test_too_few_tweets_are_said_to_be_too_few(stage: Stage) -> None:
    """Links would give a real tweet away, so tweets that had one inside are none to guess about."""
    await remember(stage, "crumb", ("Thanks to @nell for the lamp over there tonight.", *REAL[:4]))
    async with stage.running():
        told = await refusal(await stage.use("guess play", "robin", persona="crumb"))
    assert told.startswith("Too few tweets of crumb")


async def test_a_channel_has_one_game_until_it_is_abandoned(stage: Stage, clock: FakeClock) -> None:
    async with stage.running():
        shown = await played(stage)
        assert "under way" in await refusal(await stage.use("guess play", "wren"))
        clock.advance(minutes=11)
        await (await stage.use("guess play", "wren")).answered(PATIENCE)
        assert "This round is over" in await press_again(stage, shown, "robin", "Bot")
        await move(stage, shown, "Reveal", "The game is over")


async def test_a_game_is_moved_on_by_its_starter_and_moderators_and_ended_by_anybody_once_abandoned(
    stage: Stage, clock: FakeClock
) -> None:
    guild, robin = next(iter(stage.server.world.guilds.values())), stage.server.world.user("robin")
    async with stage.running():
        shown = await (await stage.use("guess play", "wren")).answered(PATIENCE)
        for label in ("Reveal", "End"):
            assert "Only whoever began" in await refusal(await press(stage, shown, "robin", label))
        await stage.server.give_role(guild, robin, "Tidy", Permission.MANAGE_MESSAGES)
        await move(stage, shown, "Reveal", "Nobody has guessed.")
        guild.members[robin.id] = replace(guild.members[robin.id], roles=())
        assert "Only whoever began" in await refusal(await press(stage, shown, "robin", "Next"))
        clock.advance(minutes=10)
        await move(stage, shown, "End", "The game is over")


async def test_a_tweet_that_is_deleted_meanwhile_is_passed_over(stage: Stage) -> None:
    async with stage.running():
        shown = await played(stage)
        await stage.store.remove(["nell"])
        real = 0
        while "The game is over" not in shown.content:
            before = shown.content
            await press(stage, shown, "robin", "Reveal")
            await stage.server.until(lambda: "**the bot**" in shown.content or "**real**" in shown.content, PATIENCE)
            real += "**real**" in shown.content
            await press(stage, shown, "robin", "Next")
            await stage.server.until(
                lambda: before.partition(":")[0] not in shown.content,  # noqa: B023
                PATIENCE,
            )
        assert real <= 1  # the one that was shown already


async def test_a_persona_that_is_forgotten_takes_its_game_along(stage: Stage) -> None:
    async with stage.running():
        shown = await played(stage)
        await stage.conversation.messages.forget(["nell"])
        assert "This round is over" in await press_again(stage, shown, "robin", "Bot")
        assert "This game is over" in await refusal(await press(stage, shown, "robin", "Reveal"))
    assert await stage.database.all("SELECT * FROM guesses") == []


async def test_a_game_counts_as_a_request_and_its_message_is_on_record(stage: Stage) -> None:
    async with stage.running():
        shown = await played(stage)
    row = await stage.database.one("SELECT state, persona, answer_id FROM messages")
    assert row is not None and (row["state"], row["persona"], row["answer_id"]) == ("answered", "nell", str(shown.id))


async def test_nothing_is_kept_of_somebody_who_has_opted_out(stage: Stage) -> None:
    await stage.conversation.opt_outs.add("discord", str(stage.server.world.user("robin").id))
    async with stage.running():
        shown = await (await stage.use("guess play", "wren")).answered(PATIENCE)
        assert "You have opted out" in await press_again(stage, shown, "robin", "Bot")
    assert await stage.database.all("SELECT * FROM guesses") == []


async def test_a_word_that_is_not_said_on_the_server_is_not_shown_in_a_real_tweet_either(stage: Stage) -> None:
    guild = str(stage.server.world.channel("talk").guild_id)
    await stage.conversation.words.add("discord", guild, "lamp", "wren")
    async with stage.running():
        (told,) = await (await stage.use("guess play", "robin")).followed_up(PATIENCE)
    assert "Too few tweets of nell are stored" in told.content
