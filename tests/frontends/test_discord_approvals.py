"""/queue: one post at a time, decided by the right people, over restarts and races."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from bot.database import Database
from bot.loopback.discord import LoopbackInteraction, Message
from bot.loopback.discord.messages import MessageFlag
from bot.replies.posts import PostState
from tests.frontends.discord_stage import Stage, staged
from tests.loopback.songbird import PATIENCE
from tests.posting import handed_over, sent


@pytest.fixture
async def stage(tmp_path: Path, database: Database) -> AsyncIterator[Stage]:
    async with staged(tmp_path, database) as staged_:
        yield staged_


async def queue(stage: Stage) -> Message:
    """What /queue shows to wren, who manages the server."""
    return await (await stage.use("queue")).answered(PATIENCE)


async def press(stage: Stage, message: Message, label: str, who: str = "wren") -> LoopbackInteraction:
    """Somebody presses a button; the interaction, acknowledged."""
    interaction = await stage.server.press(message, stage.server.world.user(who), label)
    await interaction.acknowledged(PATIENCE)
    return interaction


async def fill_in(stage: Stage, message: Message, label: str, **values: str) -> LoopbackInteraction:
    """wren presses a button and fills in the form that it shows."""
    form = await press(stage, message, label)
    filled_in = await stage.server.submit(form, values)
    await filled_in.acknowledged(PATIENCE)
    return filled_in


async def says(stage: Stage, message: Message, text: str) -> None:
    """Wait until the message says that."""
    await stage.server.until(lambda: text in message.content, PATIENCE, text)


def labels(message: Message) -> list[str]:
    return [each["label"] for row in message.components for each in row["components"] if "label" in each]


async def test_an_empty_queue_says_so(stage: Stage) -> None:
    async with stage.running():
        answer = await queue(stage)
    assert (answer.content, answer.components) == ("No post waits for approval.", [])


async def test_a_post_is_shown_with_its_figures_and_one_leads_to_the_next(stage: Stage) -> None:
    await stage.propose(3)
    async with stage.running():
        shown = await queue(stage)
        assert "**3 posts wait for approval.**" in shown.content
        assert "**Post 1** nell v1 on main, expires <t:" in shown.content
        assert "-# 14 of 280 · novelty 90% · offence" in shown.content and "> tweet number 1" in shown.content
        assert labels(shown) == ["Approve 1", "Edit", "Later", "Another", "Refuse 1", "▶"]
        await press(stage, shown, "▶")
        await says(stage, shown, "**Post 2**")
        assert labels(shown)[-2:] == ["◀", "▶"]
        await press(stage, shown, "◀")
        await says(stage, shown, "**Post 1**")


async def test_a_moderator_approves_and_refuses(stage: Stage) -> None:
    await stage.propose(3)
    async with stage.running():
        shown = await queue(stage)
        await press(stage, shown, "Approve 1")
        await says(stage, shown, "approved post 1; it goes out at the next turn.")
        await fill_in(stage, shown, "Refuse 2", reason="Not *now*.")
        await says(stage, shown, "refused post 2: Not \\*now\\*..")
    wren = stage.server.world.user("wren")
    decided = {post.id: (post.state, post.decided_by, post.reason) for post in await stage.posts.recent()}
    assert decided == {
        1: (PostState.APPROVED, f"discord:{wren.id}", None),
        2: (PostState.REFUSED, f"discord:{wren.id}", "Not *now*."),
        3: (PostState.DRAFTED, None, None),
    }
    assert "Approve 3" in labels(shown)


async def test_nobody_else_decides(stage: Stage) -> None:
    await stage.propose(1)
    async with stage.running():
        shown = await queue(stage)
        for label in ("Approve 1", "Edit", "Refuse 1"):
            refused = (await press(stage, shown, label, "robin")).original
            assert refused is not None and MessageFlag.EPHEMERAL in refused.flags
            assert refused.content.startswith("Only people who may manage this server")
    assert len(await stage.posts.waiting()) == 1


async def test_buttons_and_the_menu_work_after_a_restart(stage: Stage) -> None:
    await stage.propose(2)
    async with stage.running():
        shown = await queue(stage)
    async with stage.running():
        wren = stage.server.world.user("wren")
        await stage.server.choose(shown, wren, "Look at another post", ["2"])
        await says(stage, shown, "**Post 2**")
        await press(stage, shown, "Approve 2")
        await says(stage, shown, "approved post 2")
    assert [post.id for post in await stage.posts.waiting()] == [1]


async def test_an_edited_text_is_shown_in_its_parts_before_it_is_approved(stage: Stage) -> None:
    await stage.propose(1)
    async with stage.running():
        shown = await queue(stage)
        await fill_in(stage, shown, "Edit", text="The lamp was lit at seven. " * 20)
        await says(stage, shown, "edited post 1; it still waits for a yes.")
        assert "a thread of 2" in shown.content and shown.content.count("> The lamp") == 2
        await press(stage, shown, "Approve 1")
        await says(stage, shown, "approved post 1")
    assert [part.of for part in await stage.posts.parts(1)] == [2, 2]


async def test_a_post_is_approved_for_later(stage: Stage) -> None:
    await stage.propose(1)
    async with stage.running():
        shown = await queue(stage)
        filled_in = await fill_in(stage, shown, "Later", at="in a while")
        [problem] = await filled_in.followed_up(PATIENCE)
        assert "That is no time." in problem.content and "> in a while" in problem.content
        assert MessageFlag.EPHEMERAL in problem.flags
        await fill_in(stage, shown, "Later", at="18:05")
        await says(stage, shown, "approved post 1; it goes out from <t:")
    at = (await stage.posts.post(1)).not_before
    assert at is not None and f"{at:%H:%M}" == "18:05"


async def test_another_draft_takes_the_place_of_one(stage: Stage) -> None:
    await stage.propose(1)
    async with stage.running():
        shown = await queue(stage)
        await press(stage, shown, "Another")
        await says(stage, shown, "post 2 has taken the place of post 1.")
        assert "**Post 2**" in shown.content


async def test_a_decision_that_was_taken_already_stands(stage: Stage) -> None:
    await stage.propose(2)
    async with stage.running():
        shown, other = await queue(stage), await queue(stage)
        await stage.posts.refuse(1, "web", "No.")
        await press(stage, shown, "Approve 1")
        await says(stage, shown, "Post 1 is refused already, so nothing was changed.")
        await press(stage, other, "Edit")
        await says(stage, other, "Post 1 is refused already, so nothing was changed.")
    assert (await stage.posts.post(1)).decided_by == "web"


async def test_only_what_was_seen_is_approved_and_what_was_typed_comes_back(stage: Stage) -> None:
    await stage.propose(1)
    async with stage.running():
        shown = await queue(stage)
        form = await press(stage, shown, "Edit")
        await stage.posts.edit(1, "Nobody here has seen this sentence yet.", "web")
        await press(stage, shown, "Approve 1")
        await says(stage, shown, "Post 1 was changed meanwhile, so nothing was done.")
        filled_in = await stage.server.submit(form, {"text": "My own words about it."})
        [problem] = await filled_in.followed_up(PATIENCE)
        assert "was changed meanwhile" in problem.content and "> My own words about it." in problem.content
        await press(stage, shown, "Approve 1")
        await says(stage, shown, "approved post 1")
    assert (await stage.posts.post(1)).text == "Nobody here has seen this sentence yet."


async def test_what_became_of_the_rest_can_be_looked_at(stage: Stage, database: Database) -> None:
    await stage.propose(3)
    for number in (1, 2):
        await stage.posts.approve(number, "web")
    await sent(database, stage.clock, 1, "77")
    outbox, part = await handed_over(database, stage.clock, 2)
    await outbox.doubtful(part, "X did not answer in time.")
    stage.clock.now += timedelta(days=20)
    async with stage.running():
        shown = await queue(stage)
        assert shown.content == "No post waits for approval."
        wren = stage.server.world.user("wren")
        for look_at, said in (("2", "It settles itself"), ("3", "expires"), ("1", "on X")):
            await stage.server.choose(shown, wren, "Look at another post", [look_at])
            await says(stage, shown, f"**Post {look_at}**")
            assert said in shown.content
        assert "Delete 1 from X" not in labels(shown)  # X is switched off here


async def test_a_text_too_long_for_a_message_comes_as_a_file(stage: Stage) -> None:
    await stage.propose(1)
    await stage.posts.edit(1, "".join(f"It is line {number} of the log. " for number in range(120)), "web")
    async with stage.running():
        shown = await queue(stage)
        assert "the file has all" in shown.content
        [file] = shown.attachments
        assert file.file.name == "post-1.txt"
        await press(stage, shown, "Approve 1")
        await says(stage, shown, "approved post 1")
        assert not shown.attachments
