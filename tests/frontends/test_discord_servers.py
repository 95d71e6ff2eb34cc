"""What a server chooses on Discord, who is answered at all, and what the bot tells where."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bot.config import Replies
from bot.database import Database
from bot.loopback.discord import Channel, LoopbackInteraction, Message
from bot.loopback.discord.messages import MessageFlag
from bot.loopback.discord.people import Permission
from bot.loopback.discord.places import ChannelType, Guild, Thread
from bot.personas.takedown import Receipt
from bot.replies.changes import Change, Pair
from bot.replies.servers import Action, ServerSettings
from bot.training.decisions import Decision, What
from tests.frontends.discord_stage import Stage, staged
from tests.frontends.test_discord_trainings import PUBLISHED, QUEUED
from tests.loopback.songbird import PATIENCE

DISCORD = "discord"


@pytest.fixture
async def stage(tmp_path: Path, database: Database) -> AsyncIterator[Stage]:
    async with staged(tmp_path, database) as ready:
        yield ready


def guild_of(stage: Stage) -> Guild:
    return next(iter(stage.server.world.guilds.values()))


async def answer(stage: Stage, command: str, who: str = "wren", **options: Any) -> str:
    """What a command says to the person who uses it."""
    return (await (await stage.use(command, who, **options)).answered(PATIENCE)).content


async def problem(interaction: LoopbackInteraction) -> Message:
    """The sentence, for the person's eyes only, that a command which could not be done says."""

    def found() -> Message | None:
        original = interaction.original
        told = [original] if original is not None and not (original.loading or original.deleted) else []
        return next(iter([*interaction.followups, *told]), None)

    sentence = await interaction.journal.until(found, PATIENCE, "a sentence")
    assert MessageFlag.EPHEMERAL in sentence.flags
    return sentence


async def settings(stage: Stage) -> ServerSettings:
    return await stage.conversation.servers.settings(DISCORD, str(guild_of(stage).id))


async def logged(stage: Stage, text: str) -> None:
    """Wait until that is said in #general."""
    general = stage.server.world.channel("general")
    await stage.server.until(
        lambda: any(text in message.content for message in stage.server.messages_in(general)), PATIENCE, text
    )


# Channels


async def test_in_a_channel_that_is_off_nobody_is_answered_until_it_is_on_again(stage: Stage) -> None:
    async with stage.running():
        assert "nobody is answered" in await answer(stage, "channel off")
        silent = await stage.say("anybody there?")
        refused = await problem(await stage.use("tweet", "robin"))
        assert refused.content.startswith("The bot is switched off in this channel.")
        assert await answer(stage, "channel on") == "People are answered in this channel again, by **nell**."
        await stage.reply(await stage.say("and now?"))
    assert stage.speaker.asked == [("nell", "and now?")]
    assert not any(m.replies_to == silent for m in stage.server.world.messages.values())


async def test_a_channel_chooses_how_answers_look_or_leaves_it_to_the_server(stage: Stage) -> None:
    talk = str(stage.server.world.channel("talk").id)
    async with stage.running():
        for choice, chosen in (("on", True), ("off", False), ("default", None)):
            await answer(stage, "channel webhook", choice=choice)
            assert (await stage.conversation.channels.get(DISCORD, talk)).in_costume is chosen


async def test_who_may_not_manage_channels_is_not_offered_to(stage: Stage) -> None:
    async with stage.running():
        for command in ("channel off", "settings show"):
            with pytest.raises(PermissionError):
                await stage.use(command, "robin")


async def test_what_was_chosen_for_a_channel_goes_with_it(stage: Stage) -> None:
    talk = stage.server.world.channel("talk")
    general = stage.server.world.channel("general")
    async with stage.running():
        await answer(stage, "channel persona", persona="crumb")
        await answer(stage, "settings log", channel=general)
        await stage.server.delete_channel(talk)
        await stage.server.delete_channel(general)

        async def is_forgotten() -> bool:
            chosen = await stage.conversation.channels.on_server(DISCORD, str(guild_of(stage).id))
            return not chosen and not (await settings(stage)).log_channel

        await until(is_forgotten)


async def until(condition: Any) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(PATIENCE):
        while not await condition():  # noqa: ASYNC110 - the database rings no bell
            await asyncio.sleep(0.01)


async def ready(stage: Stage) -> None:
    """Wait until the bot has looked which servers it is in; before that nobody joins, as far as the library knows."""
    await stage.conversation.servers.change(DISCORD, "999", requests_per_hour=3)

    async def has_looked() -> bool:
        return "999" not in await stage.conversation.servers.known(DISCORD)

    await until(has_looked)


# Settings


async def test_a_role_is_let_do_something_and_no_longer(stage: Stage) -> None:
    world = stage.server.world
    async with stage.running():
        role = await stage.server.give_role(guild_of(stage), world.user("robin"), "Singers")
        said = await answer(stage, "settings roles add", action="post", role=role)
        assert said == f"Whoever manages this server, and people with <@&{role.id}>, may decide about posts."
        assert await answer(stage, "queue", "robin") == "No post waits for approval."
        await answer(stage, "settings roles remove", action="post", role=role)
        refused = await problem(await stage.use("queue", "robin"))
    assert refused.content.startswith("Only people who may manage this server")
    assert (await settings(stage)).roles == {}


async def test_only_the_bots_owner_lets_a_role_forget(stage: Stage) -> None:
    """The bot of the loopback Discord belongs to wren; a keeper of the server is not enough."""
    world = stage.server.world
    guild, robin = guild_of(stage), world.user("robin")
    async with stage.running():
        keeper = await stage.server.give_role(guild, robin, "Helpers", Permission.MANAGE_GUILD)
        refused = await problem(await stage.use("settings roles add", "robin", action="forget", role=keeper))
        assert refused.content.startswith("Only the bot's owner can say who")
        assert (await settings(stage)).roles == {}


async def test_quotas_are_chosen_up_to_what_the_operator_allows(tmp_path: Path, database: Database) -> None:
    replies = Replies(default_persona="nell", most_requests_per_hour=100, server_requests_per_hour=500)
    async with staged(tmp_path, database, replies) as stage, stage.running():
        role = await stage.server.give_role(guild_of(stage), stage.server.world.user("robin"), "Singers")
        assert await answer(stage, "settings quota person", number=100) == "One person may ask 100 times an hour."
        assert "<@&" in await answer(stage, "settings quota role", role=role, number=5)
        for command, options in (
            ("settings quota person", {"number": 101}),
            ("settings quota role", {"role": role, "number": 101}),
            ("settings quota server", {"number": 501}),
        ):
            assert "The operator allows" in (await problem(await stage.use(command, **options))).content
        chosen = await settings(stage)
        assert (chosen.requests_per_hour, chosen.role_requests_per_hour) == (100, {str(role.id): 5})
        assert await answer(stage, "settings quota person") == "One person may ask 60 times an hour."
        await answer(stage, "settings quota role", role=role)
        assert (await settings(stage)).role_requests_per_hour == {}
        assert "500 times" in await answer(stage, "settings quota server", number=0)


async def test_a_cooldown_is_no_shorter_than_the_operators(tmp_path: Path, database: Database) -> None:
    replies = Replies(default_persona="nell", cooldown_seconds=5)
    async with staged(tmp_path, database, replies) as stage, stage.running():
        refused = await problem(await stage.use("settings cooldown", seconds=2.0))
        assert "Choose as much or more" in refused.content
        longer = await answer(stage, "settings cooldown", seconds=9.5)
        assert longer == "Between two requests of one person 9.5 s pass."
        assert await answer(stage, "settings cooldown") == "Between two requests of one person 5 s pass."


async def test_a_server_has_words_of_its_own_that_only_the_asker_sees(stage: Stage) -> None:
    async with stage.running():
        added = await stage.use("settings words add", word="Fudge")
        assert "**Fudge** is neither said" in (await added.answered(PATIENCE)).content
        listed = await (await stage.use("settings words list")).answered(PATIENCE)
        assert listed.content.endswith("(1): fudge") and MessageFlag.EPHEMERAL in listed.flags
        await (await stage.use("tweet", "robin")).answered(PATIENCE)
        assert stage.speaker.banned == ("fudge",)
        await answer(stage, "settings words remove", word="fudge")
        assert "no words of its own" in await answer(stage, "settings words list")


async def test_show_says_everything_that_holds(stage: Stage) -> None:
    world = stage.server.world
    talk = world.channel("talk")
    async with stage.running(in_costume=True):
        role = await stage.server.give_role(guild_of(stage), world.user("robin"), "Singers")
        await answer(stage, "settings webhook", choice="off")
        await answer(stage, "settings roles add", action="train", role=role)
        await answer(stage, "settings log", channel=world.channel("general"))
        await answer(stage, "channel persona", persona="crumb")
        shown = await (await stage.use("settings show")).answered(PATIENCE)
        assert MessageFlag.EPHEMERAL in shown.flags
        for part in (
            "Answers are plain replies.",
            "One person may ask 60 times an hour.",
            f"people with <@&{role.id}>, may train and blend.",
            f"are told in <#{world.channel('general').id}>.",
            f"<#{talk.id}>: crumb answers.",
        ):
            assert part in shown.content
        assert "As the operator has it" in await answer(stage, "settings webhook", choice="default")


async def test_each_server_has_settings_of_its_own(stage: Stage) -> None:
    world = stage.server.world
    other = world.add_guild(
        "Harbour", [world.user("robin")], ["quay"], stage.server.world.guilds[guild_of(stage).id].created
    )
    async with stage.running():
        await answer(stage, "settings quota person", number=3)
    assert await stage.conversation.servers.settings(DISCORD, str(other.id)) == ServerSettings()


# The log channel


async def test_the_log_channel_says_who_changed_what(stage: Stage) -> None:
    world = stage.server.world
    wren = world.user("wren").mention
    async with stage.running():
        await answer(stage, "settings log", channel=world.channel("general"))
        await logged(stage, f"{wren} changed a setting: Trainings, new versions")
        await answer(stage, "channel off")
        await logged(stage, f"{wren} changed a setting in <#{world.channel('talk').id}>: From now on nobody")
        await answer(stage, "settings words add", word="fudge")
        await logged(stage, "The list of words that are not said was changed.")
        await answer(stage, "settings log")
        await logged(stage, "There is no log channel.")
    said = stage.server.messages_in(world.channel("general"))
    assert not any("fudge" in message.content or message.mentions for message in said)


async def test_the_log_channel_is_one_in_which_the_bot_may_write(stage: Stage) -> None:
    general = stage.server.world.channel("general")
    general.denied_to_bot = Permission.SEND_MESSAGES
    async with stage.running():
        refused = await problem(await stage.use("settings log", channel=general))
    assert refused.content.startswith(f"I may not write in <#{general.id}>.")


async def test_the_log_channel_is_told_of_versions_and_of_posts_that_wait(stage: Stage) -> None:
    world = stage.server.world
    await stage.conversation.servers.change(
        DISCORD, str(guild_of(stage).id), log_channel=str(world.channel("general").id)
    )
    moment = datetime(2026, 11, 22, tzinfo=UTC)
    frontend = stage.frontend()
    await frontend.announce(Decision(2, "nell", "v1", "v2", What.USED, "It is better.", "command", moment))
    async with stage.connected(frontend):
        await logged(stage, "**nell** speaks as v2 from now on")
        await stage.propose(2)
        await logged(stage, "approval before they go to X. `/queue` shows them.")


async def test_the_log_channel_is_told_what_a_retraining_has_changed(stage: Stage) -> None:
    """With samples side by side, which are on record; also where the new version is not used."""
    general = stage.server.world.channel("general")
    await stage.conversation.servers.change(DISCORD, str(guild_of(stage).id), log_channel=str(general.id))
    moment = datetime(2026, 11, 22, tzinfo=UTC)
    kept = Decision(2, "nell", "v1", "v2", What.KEPT, "Not as *good*.", "retraining", moment)
    frontend = stage.frontend()
    await frontend.announce(kept, Change(kept, 27, 3.2, 3.1, (Pair(5, "_old_ words", "new words"),)))
    async with stage.connected(frontend):
        await logged(stage, "**nell** was taught anew. It learned from 27 new tweets.")
        [message] = stage.server.messages_in(general)
        assert "v2 is kept, but v1 goes on speaking." in message.content and "Not as \\*good\\*." in message.content
        await stage.server.until(lambda: "> **v1**" in message.content, PATIENCE, "samples")
    assert message.content.endswith("> **v1** \\_old\\_ words\n> **v2** new words")
    [said] = await stage.conversation.messages.said_as(["nell"])
    assert said["answer_id"] == str(message.id)


async def test_no_samples_are_shown_of_a_persona_that_was_forgotten_meanwhile(stage: Stage) -> None:
    general = stage.server.world.channel("general")
    await stage.conversation.servers.change(DISCORD, str(guild_of(stage).id), log_channel=str(general.id))
    async with stage.database.transaction() as transaction:
        await transaction.run(
            "INSERT INTO takedowns (handle, asked_by, delete_posts, begun_at, receipt) "
            "VALUES ('nell', 'command', 0, ?, ?)",
            ("2026-11-23T00:00:00+00:00", Receipt(handles=("nell",), personas=("nell",)).model_dump_json()),
        )
    moment = datetime(2026, 11, 22, tzinfo=UTC)
    used = Decision(2, "nell", "v1", "v2", What.USED, "Better.", "retraining", moment)
    frontend = stage.frontend()
    await frontend.announce(used, Change(used, 27, 2.9, 3.1, (Pair(5, "old words", "new words"),)))
    async with stage.connected(frontend):
        await logged(stage, "**nell** was taught anew.")
        await stage.posts.propose("main", "crumb")
        await logged(stage, "`/queue` shows them.")
    assert not any("old words" in message.content for message in stage.server.messages_in(general))


async def test_the_log_channel_is_told_that_a_training_has_ended(stage: Stage) -> None:
    """Of one that was asked for on that server."""
    general = stage.server.world.channel("general")
    await stage.conversation.servers.change(DISCORD, str(guild_of(stage).id), log_channel=str(general.id))
    stage.trainings.goes(QUEUED)
    async with stage.running():
        asked = await (await stage.use("train", handles="crumb")).answered(PATIENCE)
        await stage.server.press(asked, stage.server.world.user("wren"), "Go on")
        stage.trainings.goes(PUBLISHED)
        await logged(stage, "Learning **crumb** has ended: published, with v2.")


async def test_a_log_channel_that_is_gone_is_not_chosen_any_more(stage: Stage) -> None:
    server = str(guild_of(stage).id)
    await stage.conversation.servers.change(DISCORD, server, log_channel="12345")
    async with stage.running():
        await answer(stage, "channel off")

        async def is_cleared() -> bool:
            return not (await settings(stage)).log_channel

        await until(is_cleared)


# Who is answered


async def test_on_a_blocked_server_messages_are_met_with_silence_and_commands_with_a_sentence(stage: Stage) -> None:
    await stage.propose(1)
    stage.speaker.asked.clear()
    async with stage.running():
        queue = await (await stage.use("queue")).answered(PATIENCE)
    async with stage.running(blocked_servers=(guild_of(stage).id,)):
        await stage.say("anybody there?")
        refused = await problem(await stage.use("tweet", "robin"))
        assert refused.content.startswith("The bot's operator has not let it answer on this server.")
        wren = stage.server.world.user("wren")
        pressed = await stage.server.press(queue, wren, "Approve 1")
        await pressed.acknowledged(PATIENCE)
        assert pressed.original is not None and pressed.original.content == refused.content
        robin = stage.server.world.user("robin")
        await stage.reply(await stage.server.say(stage.server.world.direct(robin), robin, "hello?"))
    assert stage.speaker.asked == [("nell", "hello?")]
    assert len(await stage.posts.waiting()) == 1


async def test_a_button_in_a_blocked_server_stays_without_effect_after_one_like_it_was_shown(stage: Stage) -> None:
    """The library takes the class of a button that is shown for the one that is pressed."""
    async with stage.running():
        there = await stage.answer("hello")
    async with stage.running(blocked_servers=(guild_of(stage).id,)):
        robin = stage.server.world.user("robin")
        here = await stage.reply(await stage.server.say(stage.server.world.direct(robin), robin, "hello?"))
        await stage.known(here)
        stage.speaker.asked.clear()
        pressed = await stage.server.press(there, robin, "More like this")
        await pressed.acknowledged(PATIENCE)
        assert pressed.original is not None and "has not let it answer on this server" in pressed.original.content
    assert stage.speaker.asked == []


async def test_in_a_thread_of_a_channel_that_is_off_nobody_is_answered(stage: Stage) -> None:
    world = stage.server.world
    talk, robin = world.channel("talk"), world.user("robin")
    about = Thread(talk, ChannelType.PUBLIC_THREAD, robin.id, 1e9, 1e9)
    thread = Channel(world.snowflakes.next(), "weather", talk.guild_id, thread=about)
    world.channels[thread.id] = thread
    await stage.conversation.channels.switch(DISCORD, str(talk.id), str(talk.guild_id), on=False)
    async with stage.running():
        await stage.server.say(thread, robin, "anybody there?")
        await stage.reply(await stage.server.say(world.channel("general"), robin, "and here?"))
    assert stage.speaker.asked == [("nell", "and here?")]


async def test_where_the_operator_names_servers_only_their_people_decide_what_is_felt_everywhere(stage: Stage) -> None:
    """The bot's owner may everywhere."""
    await stage.propose(1)
    world, guild = stage.server.world, guild_of(stage)
    robin, wren = world.user("robin"), world.user("wren")
    guild.members[robin.id] = replace(guild.members[robin.id], roles=guild.members[wren.id].roles)
    async with stage.running(deciding_servers=(guild.id + 1,)):
        for command, options in (("queue", {}), ("rollback", {"persona": "nell"}), ("train", {"handles": "crumb"})):
            refused = await problem(await stage.use(command, "robin", **options))
            assert refused.content.startswith("That is felt in every server")
        queue = await (await stage.use("queue", "wren")).answered(PATIENCE)
        pressed = await stage.server.press(queue, robin, "Approve 1")
        await pressed.acknowledged(PATIENCE)
        assert pressed.original is not None and pressed.original.content.startswith("That is felt in every server")
    async with stage.running(deciding_servers=(guild.id,)):
        await (await stage.use("queue", "robin")).answered(PATIENCE)
    assert len(await stage.posts.waiting()) == 1


async def test_where_servers_are_allowed_others_are_not_answered(stage: Stage) -> None:
    world = stage.server.world
    other = world.add_guild("Harbour", [world.user("robin")], ["quay"], guild_of(stage).created)
    async with stage.running(allowed_servers=(other.id,)):
        await stage.say("anybody there?")
        message = await stage.server.say(world.channel("quay"), world.user("robin"), "and here?")
        await stage.reply(message)
    assert stage.speaker.asked == [("nell", "and here?")]


# Coming and going


async def test_a_server_is_welcomed_where_it_greets_new_members(stage: Stage) -> None:
    world = stage.server.world
    async with stage.running():
        await ready(stage)
        guild = guild_of(stage)
        guild.system_channel = world.channel("general")
        await stage.server.kick(guild)
        await stage.server.join(guild)
        await logged(stage, "`/channel persona` chooses who answers")


async def test_a_server_that_removes_the_bot_is_forgotten_after_the_set_time(stage: Stage) -> None:
    guild, servers = guild_of(stage), stage.conversation.servers
    async with stage.running():
        await answer(stage, "settings quota person", number=3)
        await stage.server.kick(guild)

        async def has_left() -> bool:
            return str(guild.id) not in await servers.known(DISCORD)

        await until(has_left)
    stage.clock.advance(days=29)
    assert await servers.forget_those_gone(DISCORD, 30) == []
    assert (await settings(stage)).requests_per_hour == 3
    stage.clock.advance(days=1)
    assert await servers.forget_those_gone(DISCORD, 30) == [str(guild.id)]
    assert await settings(stage) == ServerSettings()


async def test_a_server_that_removed_the_bot_while_it_was_away_is_noticed_and_one_that_invites_it_again(
    stage: Stage,
) -> None:
    servers = stage.conversation.servers
    await servers.change(DISCORD, "777", requests_per_hour=3)
    await servers.left(DISCORD, str(guild_of(stage).id))
    async with stage.running():

        async def is_noticed() -> bool:
            return "777" not in await servers.known(DISCORD)

        await until(is_noticed)
    stage.clock.advance(days=31)
    assert await servers.forget_those_gone(DISCORD, 30) == ["777"]
    assert Action.POST not in (await settings(stage)).roles
