"""The loopback Discord, forms that a bot shows, and menus to choose from."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import discord
import pytest

from bot.loopback.discord import LoopbackDiscord, LoopbackInteraction, Message
from tests.loopback.songbird import PATIENCE, Songbird, connected


class Form(discord.ui.Modal, title="About a bird"):
    """A text and a menu with labels, and a text in a row of the older kind."""

    name = discord.ui.Label[Any](
        text="Its name",
        description="As it calls itself",
        component=discord.ui.TextInput(custom_id="name", max_length=9),
    )
    colour = discord.ui.Label[Any](
        text="Its colour",
        component=discord.ui.Select(
            custom_id="colour",
            options=[discord.SelectOption(label="Red", value="red"), discord.SelectOption(label="Grey", value="grey")],
        ),
    )
    song = discord.ui.TextInput["Form"](label="Its song", custom_id="song", required=False)

    async def on_submit(self, interaction: discord.Interaction) -> None:
        """Tell what was filled in."""
        name, colour = self.name.component, self.colour.component
        assert isinstance(name, discord.ui.TextInput) and isinstance(colour, discord.ui.Select)
        text = f"{name.value} is {', '.join(colour.values)} and sings {self.song.value!r}"
        if interaction.message is None:
            await interaction.response.send_message(text)
        else:
            await interaction.response.edit_message(content=text, view=None)


class Perch(discord.ui.View):
    """A button that shows the form, and a menu."""

    def __init__(self) -> None:
        super().__init__(timeout=None)

    @discord.ui.button(label="Describe", custom_id="describe")
    async def describe(self, interaction: discord.Interaction, button: discord.ui.Button["Perch"]) -> None:
        """Show the form."""
        await interaction.response.send_modal(Form(custom_id="bird"))

    @discord.ui.select(
        custom_id="seed",
        placeholder="Which seed?",
        options=[discord.SelectOption(label=each.title(), value=each) for each in ("hemp", "millet", "niger")],
        max_values=2,
    )
    async def seed(self, interaction: discord.Interaction, menu: discord.ui.Select["Perch"]) -> None:
        """Tell what was chosen."""
        await interaction.response.send_message(" and ".join(menu.values))


@asynccontextmanager
async def with_form(server: LoopbackDiscord) -> AsyncIterator[LoopbackInteraction]:
    """robin used a command that shows the form."""
    bot = Songbird()

    @bot.tree.command(description="Describes a bird")
    async def describe(interaction: discord.Interaction) -> None:
        await interaction.response.send_modal(Form(custom_id="bird"))

    async with connected(bot, server):
        await bot.tree.sync()
        interaction = await server.slash(server.world.channel("talk"), server.world.user("robin"), "describe")
        await interaction.acknowledged(PATIENCE)
        yield interaction


@asynccontextmanager
async def with_perch(server: LoopbackDiscord) -> AsyncIterator[Message]:
    """A message with a button and a menu under it."""
    bot = Songbird()

    @bot.tree.command(description="Sits down")
    async def perch(interaction: discord.Interaction) -> None:
        await interaction.response.send_message("here", view=Perch())

    async with connected(bot, server):
        bot.add_view(Perch())
        await bot.tree.sync()
        interaction = await server.slash(server.world.channel("talk"), server.world.user("robin"), "perch")
        yield await interaction.answered(PATIENCE)


async def test_a_form_is_shown_filled_in_and_answered(discord_server: LoopbackDiscord) -> None:
    async with with_form(discord_server) as interaction:
        assert interaction.modal is not None and interaction.modal["title"] == "About a bird"
        submitted = await discord_server.submit(interaction, {"name": "Wren", "colour": ["grey"], "song": "tik"})
        answer = await submitted.answered(PATIENCE)
    assert answer.content == "Wren is grey and sings 'tik'"
    assert answer.interaction is not None
    assert answer.interaction["triggering_interaction_metadata"]["name"] == "describe"


async def test_a_form_behind_a_button_may_change_the_message(discord_server: LoopbackDiscord) -> None:
    async with with_perch(discord_server) as message:
        interaction = await discord_server.press(message, discord_server.world.user("wren"), "Describe")
        await interaction.acknowledged(PATIENCE)
        submitted = await discord_server.submit(interaction, {"name": "Robin", "colour": "red"})
        await submitted.acknowledged(PATIENCE)
    assert (message.content, message.components) == ("Robin is red and sings ''", [])


@pytest.mark.parametrize(
    ("values", "error", "says"),
    [
        ({"name": "Wren", "colour": "grey", "age": "3"}, LookupError, "no field 'age'; there are|no field 'age' to"),
        ({"colour": "grey"}, LookupError, "'name' has to be filled in"),
        ({"name": "Wren"}, LookupError, "'colour' something has to be chosen"),
        ({"name": "Wren", "colour": "blue"}, LookupError, "no option 'blue' in colour"),
        ({"name": "Wren", "colour": ["red", "grey"]}, ValueError, "takes 1 to 1"),
        ({"name": "Troglodytes", "colour": "grey"}, ValueError, "takes 0 to 9 characters, not 11"),
    ],
)
async def test_a_form_takes_only_what_a_person_could_fill_in(
    discord_server: LoopbackDiscord, values: dict[str, str | list[str]], error: type[Exception], says: str
) -> None:
    async with with_form(discord_server) as interaction:
        with pytest.raises(error, match=says):
            await discord_server.submit(interaction, values)


async def test_a_form_that_is_too_long_is_refused(discord_server: LoopbackDiscord) -> None:
    bot, refused = Songbird(), list[str]()

    @bot.tree.command(description="Describes a bird")
    async def describe(interaction: discord.Interaction) -> None:
        form = Form(custom_id="bird")
        form.name.text = "x" * 46
        try:
            await interaction.response.send_modal(form)
        except discord.HTTPException as error:
            refused.append(error.text)
            await interaction.response.send_message("no form")

    async with connected(bot, discord_server):
        await bot.tree.sync()
        world = discord_server.world
        interaction = await discord_server.slash(world.channel("talk"), world.user("robin"), "describe")
        assert (await interaction.answered(PATIENCE)).content == "no form"
    assert refused[0].endswith("Must be between 1 and 45 in length.")
    discord_server.violations.clear()  # the document has the right limit, too


async def test_there_is_nothing_to_fill_in_without_a_form(discord_server: LoopbackDiscord) -> None:
    async with with_perch(discord_server) as message:
        interaction = await discord_server.choose(message, discord_server.world.user("wren"), "seed", ["hemp"])
        with pytest.raises(LookupError, match="was no form"):
            await discord_server.submit(interaction, {})


async def test_a_menu_takes_choices_by_its_custom_id_or_its_placeholder(discord_server: LoopbackDiscord) -> None:
    wren = discord_server.world.user("wren")
    async with with_perch(discord_server) as message:
        for menu, values in [("seed", ["hemp"]), ("Which seed?", ["millet", "niger"])]:
            interaction = await discord_server.choose(message, wren, menu, values)
            assert (await interaction.answered(PATIENCE)).content == " and ".join(values)


async def test_a_menu_takes_only_what_it_offers(discord_server: LoopbackDiscord) -> None:
    wren = discord_server.world.user("wren")
    async with with_perch(discord_server) as message:
        with pytest.raises(LookupError, match="no menu 'fruit' to choose from; there are: seed"):
            await discord_server.choose(message, wren, "fruit", ["apple"])
        with pytest.raises(LookupError, match="no option 'rye' in seed; there are: hemp, millet, niger"):
            await discord_server.choose(message, wren, "seed", ["rye"])
        with pytest.raises(ValueError, match="seed takes 1 to 2 different options, not 3"):
            await discord_server.choose(message, wren, "seed", ["hemp", "millet", "niger"])
