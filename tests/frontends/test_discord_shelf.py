"""Personas and versions on Discord: what is listed, shown, completed while it is typed, and rolled back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.database import Database
from bot.frontends.discord.completion import LONGEST, MOST, last_completed, like
from bot.loopback.discord import LoopbackInteraction, Message
from bot.loopback.discord.messages import MessageFlag
from bot.replies.incoming import Platform
from bot.replies.servers import Action
from bot.training.decisions import What
from bot.tweets.store import Basis
from tests.frontends.discord_stage import Stage, staged
from tests.loopback.songbird import PATIENCE
from tests.shelves import manifest, with_pictures


@pytest.fixture
async def stage(tmp_path: Path, database: Database) -> AsyncIterator[Stage]:
    async with staged(tmp_path, database) as ready:
        yield ready


async def shown(stage: Stage, command: str, who: str = "robin", **options: str) -> Message:
    """Somebody uses a command; the answer that everybody sees."""
    return await (await stage.use(command, who, **options)).answered(PATIENCE)


async def refused(stage: Stage, command: str, who: str = "wren", **options: str) -> str:
    """Somebody uses a command that can't be; what is said to that person only."""
    interaction = await stage.use(command, who, **options)
    problems = [interaction.original] if interaction.original else await interaction.followed_up(PATIENCE)
    if problems[0] is None or MessageFlag.EPHEMERAL not in problems[0].flags:
        problems = list(await interaction.followed_up(PATIENCE))
    assert problems[0] is not None and MessageFlag.EPHEMERAL in problems[0].flags
    return problems[0].content


async def press(stage: Stage, message: Message, label: str, who: str = "wren") -> LoopbackInteraction:
    """Somebody presses a button under it; acknowledged when this returns."""
    interaction = await stage.server.press(message, stage.server.world.user(who), label)
    await interaction.acknowledged(PATIENCE)
    return interaction


async def says(stage: Stage, message: Message, text: str) -> None:
    """Wait until the message says that."""
    await stage.server.until(lambda: text in message.content, PATIENCE, text)


def labels(message: Message) -> list[str]:
    """Of the buttons under it."""
    return [button["label"] for row in message.components for button in row["components"]]


def place(stage: Stage, persona: str, version: str, use: bool = False, parent: str | None = None) -> None:
    """One more version on the shelf."""
    placed = manifest(persona, version).model_copy(update={"parent": parent})
    stage.shelf.place(stage.shelf.staging(persona, version), placed)
    if use:
        stage.shelf.use(persona, version)


# Personas


async def test_many_personas_stand_on_pages_that_can_be_turned_after_a_restart(stage: Stage) -> None:
    for number in range(20):
        place(stage, f"bird{number:02}", "v1", use=True)
    async with stage.running():
        message = await shown(stage, "personas")
    assert "-# 1 to 10 of 22." in message.content and labels(message) == ["More"]
    assert "bird09" in message.content and "bird10" not in message.content
    async with stage.running():
        await press(stage, message, "More", "robin")
        await says(stage, message, "-# 11 to 20 of 22.")
        assert labels(message) == ["Back", "More"] and "bird10" in message.content
        await press(stage, message, "More", "robin")
        await says(stage, message, "-# 21 to 22 of 22.")
        assert labels(message) == ["Back"] and "nell" in message.content


async def test_a_persona_is_shown_with_its_picture_figures_counts_and_next_training(stage: Stage) -> None:
    with_pictures(stage.shelf, "crumb", "v2")
    await stage.store.add("crumb", [])
    async with stage.database.transaction() as transaction:
        await transaction.run("UPDATE accounts SET standing = 'suspended'")
    async with stage.running():
        message = await shown(stage, "persona show", persona="Crumb")
    assert message.content == (
        "**crumb** v2, AI BOT of @crumb\n"
        "273 tweets, <t:1793491200:D>, on the base tiny.\n"
        "@crumb: 273 of 300 tweets kept (left out: 20 retweets, 5 short, 2 repeated).\n"
        "Held-out loss 3.100 (base 3.900); lower is better.\n"
        "Bits per byte 1.200 (base 1.500).\n"
        "@crumb is suspended by X: it is not fetched any more.\n"
        "Next training: 3 of 50 new tweets have come. A training would take about 4 min here, and no money.\n"
        "-# It has 2 versions: `/versions persona:crumb`. What it says is made up; nobody has said it."
    )
    assert message.files == ("predictions.png",)
    [form] = stage.requests("PATCH", "/webhooks/{webhook_id}/{webhook_token}/messages/{message_id}")
    assert "My dream is a lamp that sings" in form["attachments"][0]["description"]


async def test_a_persona_that_is_not_there_is_a_sentence_for_the_person(stage: Stage) -> None:
    async with stage.running():
        for command in ("persona show", "versions", "rollback"):
            assert "There is no persona nobody. Known are crumb, nell." in await refused(
                stage, command, persona="nobody"
            )


# Versions


async def test_versions_are_listed_with_the_reason_why_they_are_in_use_or_not(stage: Stage) -> None:
    place(stage, "crumb", "v2")
    place(stage, "crumb", "v3")
    await stage.decisions.use("crumb", "v2", What.USED, "its held-out loss is lower by 0.8", "command", training=1)
    kept = stage.shelf.version("crumb", "v3")
    await stage.decisions.note(kept, What.KEPT, "its held-out loss is higher by 0.1", "command", training=2)
    async with stage.running():
        message = await shown(stage, "versions", persona="crumb")
    lines = message.content.splitlines()
    figures = "273 tweets · held-out loss 3.100 (base 3.900)"
    assert lines[0] == f"**crumb v3** · <t:1793491200:D> · {figures}"
    assert lines[1].startswith("-# Not used, <t:") and lines[1].endswith(":D>: its held-out loss is higher by 0.1")
    assert lines[2] == f"**crumb v2** (in use) · <t:1793491200:D> · {figures}"
    assert lines[3].startswith("-# Put in use, <t:") and lines[3].endswith(":D>: its held-out loss is lower by 0.8")
    assert lines[4] == f"**crumb v1** · <t:1793491200:D> · {figures}"


async def test_many_versions_stand_on_pages(stage: Stage) -> None:
    for number in range(2, 8):
        place(stage, "crumb", f"v{number}")
    async with stage.running():
        message = await shown(stage, "versions", persona="crumb")
        assert "**crumb v3**" in message.content and "v2" not in message.content
        await press(stage, message, "More", "robin")
        await says(stage, message, "**crumb v1** (in use)")
        assert "-# 7 versions in all." in message.content and labels(message) == ["Back"]


async def test_a_version_is_put_back_once_it_was_confirmed_after_a_restart_too(stage: Stage) -> None:
    place(stage, "crumb", "v2", use=True, parent="v1")
    async with stage.running():
        message = await shown(stage, "rollback", "wren", persona="crumb")
        assert message.content.startswith("**crumb** speaks as v2: held-out loss 3.100 (base 3.900).")
        assert labels(message) == ["Roll back to v1", "Leave it"]
    assert stage.shelf.current("crumb").version == "v2"
    async with stage.running():
        await press(stage, message, "Roll back to v1")
        await says(stage, message, "**crumb** speaks as v1 again (rolled back from v2).")
        assert labels(message) == []
    (decision,) = await stage.decisions.of("crumb")
    wren = stage.server.world.user("wren")
    assert (decision.what, decision.to_version, decision.by) == (What.ROLLED_BACK, "v1", f"discord:{wren.id}")


async def test_a_rollback_that_nobody_wants_leaves_everything_as_it_is(stage: Stage) -> None:
    place(stage, "crumb", "v2", use=True)
    async with stage.running():
        message = await shown(stage, "rollback", "wren", persona="crumb", version="V1")
        await press(stage, message, "Leave it")
        await says(stage, message, "**crumb** goes on speaking as v2.")
        present = await shown(stage, "rollback", "wren", persona="crumb", version="v2")
        assert present.content == "**crumb** speaks as v2 already."
    assert (stage.shelf.current("crumb").version, await stage.decisions.of("crumb")) == ("v2", [])


async def test_only_the_right_people_roll_back(stage: Stage) -> None:
    """Whoever may manage the server, or has a role that it has named, by command and by button."""
    place(stage, "crumb", "v2", use=True)
    world = stage.server.world
    role = await stage.server.give_role(next(iter(world.guilds.values())), world.user("robin"), "Singers")
    async with stage.running():
        assert "roll back" in await refused(stage, "rollback", "robin", persona="crumb", version="v1")
        message = await shown(stage, "rollback", "wren", persona="crumb", version="v1")
        pressed = await press(stage, message, "Roll back to v1", "robin")
        assert pressed.original is not None and MessageFlag.EPHEMERAL in pressed.original.flags
        assert stage.shelf.current("crumb").version == "v2"
        server = str(message.channel.guild_id)
        await stage.conversation.servers.change(Platform.DISCORD, server, roles={Action.ROLL_BACK: (str(role.id),)})
        await press(stage, message, "Roll back to v1", "robin")
        await says(stage, message, "speaks as v1 again")


async def test_a_version_that_is_not_there_is_a_sentence(stage: Stage) -> None:
    async with stage.running():
        assert "v9" in await refused(stage, "rollback", persona="crumb", version="v9")
        assert "crumb" in await refused(stage, "rollback", persona="crumb")  # there was none before the present one


# What is offered while somebody types


async def test_versions_handles_and_parts_are_completed(stage: Stage) -> None:
    place(stage, "crumb", "v2")
    for handle in ("nasa", "esa", "nell"):
        await stage.store.set_basis(handle, Basis.INVENTED)
    world, server = stage.server.world, stage.server
    async with stage.running():
        talk, wren = world.channel("talk"), world.user("wren")
        assert await server.type_option(talk, wren, "train", "handles", "nasa, e") == ["nasa, esa", "nasa, nell"]
        assert await server.type_option(talk, wren, "forget", "handle", "@NA") == ["nasa"]
        assert await server.type_option(talk, wren, "cyborg", "parts", "nell:60 cr") == ["nell:60 crumb"]
        assert await server.type_option(talk, wren, "cyborg", "parts", "nell:60 crumb:4") == ["nell:60 crumb:4"]
        assert await server.type_option(talk, wren, "rollback", "version", "v") == []  # of whom is not said yet


async def test_versions_are_offered_of_the_persona_that_was_chosen(stage: Stage) -> None:
    place(stage, "crumb", "v2")
    async with stage.running():
        completion = stage.frontend()._desks.completion
        assert await completion.versions("Crumb", "") == ["v2", "v1"]
        assert await completion.versions("crumb", "2") == ["v2"]
        assert await completion.versions("nobody", "") == []


names = st.lists(st.from_regex(r"[a-z0-9_]{1,110}", fullmatch=True), unique=True, max_size=60)


@given(names, st.text(max_size=120))
def test_no_more_is_offered_than_discord_takes(known: list[str], typed: str) -> None:
    """At most 25 choices, each of 1 to 100 characters and none twice, whatever is typed."""
    offers = (like(known, typed), last_completed(typed, known), last_completed(typed, known, weighted=True))
    for offered in offers:
        assert len(offered) <= MOST and len(set(offered)) == len(offered)
        assert all(1 <= len(each) <= LONGEST for each in offered)


@given(names, st.data())
def test_a_name_can_be_completed_behind_others_from_its_beginning(known: list[str], data: st.DataObject) -> None:
    short = [name for name in known if len(name) <= 40]
    if len(short) < 2:
        return
    first, second = data.draw(st.permutations(short))[:2]
    beside = [name for name in short if name.startswith(second)]
    assert f"{first}, {second}" in last_completed(f"@{first}, {second}", [first, *beside])
