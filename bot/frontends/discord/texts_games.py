"""How games between people and personas are put in words on Discord. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from bot.frontends.discord.texts import LONGEST, pieces, plain, quoted
from bot.personas.name import display_name
from bot.replies.guess_rounds import ROUNDS
from bot.replies.guessing import Game, Score

NOTED = "Noted. You may change your mind until the answer is shown."
MOST_SCORES = 20  # lines of a scoreboard
_MOST_NAMED = 30  # players of one round; the others are counted
_MEDALS = ("🥇", "🥈", "🥉")


def guess_round(game: Game, text: str | None, right: Sequence[str], guesses: int) -> str:
    """The round at hand, and once it is revealed what it was and who knew."""
    who = f"**{called(game.persona)}**"
    head = f"Round {game.round + 1} of {ROUNDS}: did {who} really write this, or did the bot?"
    shown = quoted(text) if text is not None else "> (this tweet was deleted)"
    if not game.is_revealed:
        return fitted(f"{head}\n{shown}\n-# Anybody may guess; the last press before the answer counts.")
    answer = "🐦 It is **real**." if game.rounds[game.round].real else "🤖 It was **the bot**."
    return fitted(f"{head}\n{shown}\n{answer} {_knew(right, guesses)}")


def _knew(right: Sequence[str], guesses: int) -> str:
    if not guesses:
        return "Nobody has guessed."
    if not right:
        return f"Nobody of {guesses:,} knew."
    named = ", ".join(_mention(each) for each in right[:_MOST_NAMED])
    more = f" and {len(right) - _MOST_NAMED:,} more" if len(right) > _MOST_NAMED else ""
    return f"{named}{more} knew."


def guess_result(game: Game, result: Sequence[Score], board: Sequence[Score]) -> str:
    """A game that is over, with the server's scoreboard. No real tweet is left in it."""
    head = f"**Real or bot: {called(game.persona)}.** The game is over."
    if not result:
        return f"{head} Nobody has guessed."
    best = [f"{_mention(each.player_id)}: {each.right} of {each.guesses}" for each in result[:MOST_SCORES]]
    return fitted("\n".join([f"{head} So many were right:", *best, "", scoreboard(board)]))


def scoreboard(board: Sequence[Score]) -> str:
    """What /guess scores shows."""
    if not board:
        return "Nobody has guessed on this server yet. `/guess play` begins a game."
    lines = [f"{_place(place)} {_mention(each.player_id)} {_rate(each)}" for place, each in enumerate(board)]
    return fitted("\n".join(["**Who tells people from bots**", *lines]))


def _rate(score: Score) -> str:
    return f"{score.right:,} right of {score.guesses:,} ({score.right / score.guesses:.0%})"


def _place(place: int) -> str:
    return _MEDALS[place] if place < len(_MEDALS) else f"{place + 1}."


def _mention(player_id: str) -> str:
    """Shows the player's name; pings nobody, since the client lets no mention do so."""
    return f"<@{player_id}>"


def called(persona: str) -> str:
    """The persona's name as people write it, taken literally."""
    return plain(display_name(persona))


def fitted(text: str) -> str:
    """The text, cut to the length of one message."""
    first, *more = pieces(text, LONGEST - 2)
    return f"{first} …" if more else first
