"""/guess: real or bot. One message for each game, with buttons that work after a restart; the last thing that it shows
is the result, so that no real tweet stands in the channel for longer than its round.
"""

from __future__ import annotations

import re
from typing import Any, Self

import discord

from bot.errors import NotPermitted, Refused
from bot.frontends.discord import texts_games
from bot.frontends.discord.asking import asked_by
from bot.frontends.discord.failures import Failures
from bot.frontends.discord.rights import moderates
from bot.frontends.discord.served import Served
from bot.replies.conversation import Conversation
from bot.replies.guessing import Game, Guessing
from bot.replies.incoming import Platform

_LABELS = {"real": "Real", "bot": "Bot", "reveal": "Reveal", "next": "Next", "end": "End"}
_STYLES = {"real": discord.ButtonStyle.success, "bot": discord.ButtonStyle.primary}
_NOT_YOURS = "Only whoever began this game, or may manage messages here, can do that."
_NOT_YET = f"{_NOT_YOURS} After 10 minutes without a press anybody can end it."


class GuessButton(
    Served,
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]],
    template=r"guess:(?P<number>[0-9]+):(?P<round>[0-9]+):(?P<what>real|bot|reveal|next|end)",
):
    """Guess, or move the game on. Everything it knows stands in its custom id, so it outlives the process."""

    def __init__(self, number: int, round_: int, what: str) -> None:
        super().__init__(
            discord.ui.Button(
                label=_LABELS[what],
                style=_STYLES.get(what, discord.ButtonStyle.secondary),
                custom_id=f"guess:{number}:{round_}:{what}",
            )
        )
        self.number = number
        self.round = round_
        self.what = what

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """The button that somebody has pressed."""
        return cls(int(match["number"]), int(match["round"]), match["what"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Hand over to the desk of the client that heard of it."""
        interaction.client.replies.join()
        desk: GuessDesk = interaction.client.desks.guessing
        await desk.pressed(interaction, self.number, self.round, self.what)


class GuessDesk:
    """Begins games, takes guesses, and moves games on."""

    def __init__(self, guessing: Guessing, conversation: Conversation, failures: Failures) -> None:
        self._guessing = guessing
        self._conversation = conversation
        self._failures = failures

    async def play(self, interaction: discord.Interaction[Any], persona: str | None) -> None:
        """Begin a game about the persona; about the channel's own when None."""
        await interaction.response.defer()
        incoming = asked_by(interaction)
        shown = await self._show(interaction, await self._guessing.play(incoming, persona))
        await self._conversation.delivered(incoming, str(shown.id))

    async def scores(self, interaction: discord.Interaction[Any]) -> None:
        """Show who guesses best on this server."""
        await interaction.response.defer()
        server = str(interaction.guild_id or "")
        board = await self._guessing.scoreboard(Platform.DISCORD, server, texts_games.MOST_SCORES)
        await interaction.edit_original_response(content=texts_games.scoreboard(board))

    async def pressed(self, interaction: discord.Interaction[Any], number: int, round_: int, what: str) -> None:
        """Take a guess, or move the game on, if the person may."""
        try:
            if what in ("real", "bot"):
                await self._guess(interaction, number, round_, says_real=what == "real")
            else:
                await self._move(interaction, number, round_, what)
        except Exception as error:  # noqa: BLE001 - the edge: nothing above would tell the person
            await self._failures.tell(interaction, error)

    async def _guess(self, interaction: discord.Interaction[Any], number: int, round_: int, *, says_real: bool) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        player = str(interaction.user.id)
        if await self._conversation.opt_outs.has(Platform.DISCORD, player):
            raise Refused("You have opted out, so no guess of yours is kept. `/optout` takes you in again.")
        await self._guessing.guess(number, round_, player, says_real)
        await interaction.edit_original_response(content=texts_games.NOTED)

    async def _move(self, interaction: discord.Interaction[Any], number: int, round_: int, what: str) -> None:
        game = await self._guessing.game(number)
        if not (game.ended or moderates(interaction) or str(interaction.user.id) == game.started_by):
            if what != "end":
                raise NotPermitted(_NOT_YOURS)
            if not self._guessing.is_abandoned(game):
                raise NotPermitted(_NOT_YET)
        await interaction.response.defer()
        if what == "reveal":
            game = await self._guessing.reveal(number, round_)
        elif what == "next":
            game = await self._guessing.go_on(number, round_)
        else:
            game = await self._guessing.end(number)
        await self._show(interaction, game)

    async def _show(self, interaction: discord.Interaction[Any], game: Game) -> discord.InteractionMessage:
        if game.ended:
            result = await self._guessing.result(game.id)
            board = await self._guessing.scoreboard(Platform.DISCORD, game.server_id, texts_games.MOST_SCORES)
            content = texts_games.guess_result(game, result, board)
            return await interaction.edit_original_response(content=content, view=None)
        guesses, right = await self._guessing.guesses_in(game)
        content = texts_games.guess_round(game, await self._guessing.text(game), right, guesses)
        return await interaction.edit_original_response(content=content, view=_view(game))


def _view(game: Game) -> discord.ui.View:
    view = discord.ui.View(timeout=None)
    for what in ("next", "end") if game.is_revealed else ("real", "bot", "reveal", "end"):
        view.add_item(GuessButton(game.id, game.round, what))
    return view
