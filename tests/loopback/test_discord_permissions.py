"""The loopback Discord, commands in the menu of a message, and who may use which command where."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import discord
import pytest
from discord import app_commands

from bot.loopback.discord import LoopbackDiscord, Permission
from tests.loopback.songbird import PATIENCE, Songbird, connected


@asynccontextmanager
async def with_commands(server: LoopbackDiscord) -> AsyncIterator[Songbird]:
    """A bot with a command for keepers, one for administrators, one for guilds, and one in the menu of messages."""
    bot = Songbird()

    @bot.tree.command(description="For keepers")
    @app_commands.default_permissions(manage_guild=True)
    async def keep(interaction: discord.Interaction) -> None:
        assert isinstance(interaction.user, discord.Member)
        await interaction.response.send_message(", ".join(role.name for role in interaction.user.roles[1:]) or "none")

    @bot.tree.command(description="For administrators")
    @app_commands.default_permissions()
    async def rule(interaction: discord.Interaction) -> None:
        await interaction.response.send_message("ruled")

    @bot.tree.command(description="In guilds")
    @app_commands.guild_only()
    async def gather(interaction: discord.Interaction) -> None:
        await interaction.response.send_message("gathered")

    @bot.tree.context_menu(name="Answer as…")
    async def answer(interaction: discord.Interaction, message: discord.Message) -> None:
        await interaction.response.send_message(f"you mean {message.content}")

    async with connected(bot, server):
        await bot.tree.sync()
        yield bot


async def test_a_command_in_the_menu_of_a_message_may_read_it(discord_server: LoopbackDiscord) -> None:
    world = discord_server.world
    talk, robin = world.channel("talk"), world.user("robin")
    async with with_commands(discord_server):
        said = await discord_server.say(talk, robin, "this", mentions_bot=False)
        interaction = await discord_server.use_on(discord_server.message(said), world.user("wren"), "Answer as…")
        assert (await interaction.answered(PATIENCE)).content == "you mean this"
    assert interaction.data["target_id"] == str(said)


async def test_a_command_in_the_menu_of_a_message_cannot_be_typed(discord_server: LoopbackDiscord) -> None:
    world = discord_server.world
    async with with_commands(discord_server):
        with pytest.raises(LookupError, match="no command named 'Answer'; there are: keep, rule, gather"):
            await discord_server.slash(world.channel("talk"), world.user("robin"), "Answer as…")


async def test_a_command_is_used_only_by_those_who_have_its_permissions(discord_server: LoopbackDiscord) -> None:
    world = discord_server.world
    talk, wren, robin = world.channel("talk"), world.user("wren"), world.user("robin")
    async with with_commands(discord_server):
        with pytest.raises(PermissionError, match="robin may not use 'keep' there"):
            await discord_server.slash(talk, robin, "keep")
        interaction = await discord_server.slash(talk, wren, "keep")
        assert (await interaction.answered(PATIENCE)).content == "Keepers"


async def test_a_role_gives_its_permissions_and_is_seen_by_the_bot(discord_server: LoopbackDiscord) -> None:
    world = discord_server.world
    guild, robin = next(iter(world.guilds.values())), world.user("robin")
    async with with_commands(discord_server):
        role = await discord_server.give_role(guild, robin, "Helpers", Permission.MANAGE_GUILD)
        assert await discord_server.give_role(guild, robin, "Helpers") == role
        interaction = await discord_server.slash(world.channel("talk"), robin, "keep")
        assert (await interaction.answered(PATIENCE)).content == "Helpers"


async def test_a_command_without_permissions_is_for_administrators(discord_server: LoopbackDiscord) -> None:
    world = discord_server.world
    guild, talk, robin = next(iter(world.guilds.values())), world.channel("talk"), world.user("robin")
    async with with_commands(discord_server):
        world.give_role(guild, robin, "Helpers", Permission.MANAGE_GUILD)
        with pytest.raises(PermissionError):
            await discord_server.slash(talk, robin, "rule")
        world.give_role(guild, robin, "Rulers", Permission.ADMINISTRATOR)
        await (await discord_server.slash(talk, robin, "rule")).answered(PATIENCE)
        await (await discord_server.slash(talk, world.user("wren"), "rule")).answered(PATIENCE)


async def test_a_command_for_guilds_cannot_be_used_directly(discord_server: LoopbackDiscord) -> None:
    world = discord_server.world
    robin = world.user("robin")
    async with with_commands(discord_server):
        with pytest.raises(LookupError, match="'gather' cannot be used directly"):
            await discord_server.slash(world.direct(robin), robin, "gather")
        await (await discord_server.slash(world.channel("talk"), robin, "gather")).answered(PATIENCE)
