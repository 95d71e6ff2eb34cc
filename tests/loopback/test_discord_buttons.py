"""The loopback Discord, buttons under messages, and suggestions while a command is typed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import discord
import pytest
from discord import app_commands

from bot.loopback.discord import Kind, LoopbackDiscord, LoopbackInteraction, Message
from tests.loopback.songbird import PATIENCE, Songbird, connected


class Perch(discord.ui.View):
    """Three buttons that the bot knows beforehand: they may be pressed before it hears how its message was taken."""

    def __init__(self) -> None:
        super().__init__(timeout=None)

    @discord.ui.button(label="Update", custom_id="update")
    async def update(self, interaction: discord.Interaction, button: discord.ui.Button["Perch"]) -> None:
        """Change the message in two steps."""
        await interaction.response.defer()
        await interaction.edit_original_response(content=f"pressed by {interaction.user.name}")

    @discord.ui.button(label="Whisper", custom_id="whisper")
    async def whisper(self, interaction: discord.Interaction, button: discord.ui.Button["Perch"]) -> None:
        """Answer in a message of its own."""
        await interaction.response.send_message("psst", ephemeral=True)

    @discord.ui.button(label="At once", custom_id="at-once")
    async def at_once(self, interaction: discord.Interaction, button: discord.ui.Button["Perch"]) -> None:
        """Change the message in one step."""
        await interaction.response.edit_message(content="changed", view=None)


@asynccontextmanager
async def with_buttons(server: LoopbackDiscord) -> AsyncIterator[Message]:
    """A message with buttons under it."""
    bot = Songbird()

    async def colours(interaction: discord.Interaction, typed: str) -> list[app_commands.Choice[str]]:
        known = ("red", "green", "grey")
        return [app_commands.Choice(name=name, value=name) for name in known if name.startswith(typed)]

    @bot.tree.command(description="Sits down")
    @app_commands.autocomplete(colour=colours)
    async def perch(interaction: discord.Interaction, size: int, colour: str = "red") -> None:
        await interaction.response.send_message("here", view=Perch())

    async with connected(bot, server):
        bot.add_view(Perch())
        await bot.tree.sync()
        use = {"size": 1}
        interaction = await server.slash(server.world.channel("talk"), server.world.user("robin"), "perch", use)
        yield await interaction.answered(PATIENCE)


async def press(server: LoopbackDiscord, message: Message, label: str) -> LoopbackInteraction:
    """wren presses a button; acknowledged when this returns."""
    interaction = await server.press(message, server.world.user("wren"), label)
    await interaction.acknowledged(PATIENCE)
    return interaction


async def test_a_button_changes_the_message_it_stands_under(discord_server: LoopbackDiscord) -> None:
    async with with_buttons(discord_server) as message:
        await press(discord_server, message, "Update")
        await discord_server.wait_for(lambda h: h.kind is Kind.EDITED and h.message is message, PATIENCE)
        assert message.content == "pressed by wren"
        await press(discord_server, message, "At once")
        assert (message.content, message.components) == ("changed", [])


async def test_a_button_may_answer_in_a_message_of_its_own(discord_server: LoopbackDiscord) -> None:
    async with with_buttons(discord_server) as message:
        interaction = await press(discord_server, message, "Whisper")
        answer = await interaction.answered(PATIENCE)
    assert (answer.content, message.content) == ("psst", "here")


async def test_only_a_button_that_is_there_can_be_pressed(discord_server: LoopbackDiscord) -> None:
    async with with_buttons(discord_server) as message:
        with pytest.raises(LookupError, match="no button 'Fly' to press; there are: Update, Whisper, At once"):
            await press(discord_server, message, "Fly")


async def test_the_bot_suggests_values_while_an_option_is_typed(discord_server: LoopbackDiscord) -> None:
    world = discord_server.world
    async with with_buttons(discord_server):
        talk, robin = world.channel("talk"), world.user("robin")
        assert await discord_server.type_option(talk, robin, "perch", "colour", "gr") == ["green", "grey"]
