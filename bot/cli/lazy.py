"""The group of all commands: each one's module is imported when the command is called, since all together take seconds.

click's documentation calls that lazily loaded subcommands. What `--help` says of each command stands here, too, so that
listing them imports nothing; a test compares that with what the commands say themselves.
"""

from __future__ import annotations

from importlib import import_module

import click

COMMANDS = {  # by the module of this package that holds them: their names, and what they do
    "accounts": {
        "accounts": (
            "Whose tweets are here: how each account stands on X, how often it is fetched, and what that costs a month."
        ),
        "costs": "What X was paid this month, for what, and what is left under the cap.",
        "fetch": "Fetch new tweets from X: says what it will cost, asks, then does it.",
        "import": "Read tweets from an X archive (zip or folder), CSV, TSV, JSON or JSONL.",
        "tweets": "What an account is like: counts with reasons, dates, lengths, languages, habits, and examples.",
    },
    "adopting": {
        "adopt": "Put a fine-tuned GPT-2 or Llama on the shelf, from a folder or from the hub.",
    },
    "blending": {
        "blend": (
            "Make a cyborg of personas that are there, at once: the weighted sum of their adapters, "
            "with nothing trained."
        ),
    },
    "consent": {
        "basis": "Say why an account may be learned, or show what was said.",
        "blocked": "The accounts that are not to be learned: list, add, remove, import, export.",
        "export": "Write a zip with all that is held about an account, to hand it to its owner.",
        "forget": "Delete everything that was learned from an account, for good, and never learn it again.",
        "receipts": "The receipts of accounts that were forgotten: all, or those of one handle.",
    },
    "drawing": {
        "draw": "A version's card and pictures drawn again, into a folder: the version itself is never written to.",
    },
    "exploring": {
        "explore": "What a version was made of: downloaded, left out and why, learned from, kept aside.",
    },
    "hub": {
        "push": "Put a version on Hugging Face's hub: model, card and pictures, never a tweet.",
    },
    "judging": {
        "evaluate": "The figures by which a version is judged: the one in use, or the one that is named.",
    },
    "login": {
        "login": "Let an app act for an account of yours.",
        "logout": "Take that back.",
    },
    "mentions": {
        "mentions": (
            "Mentions of our accounts on X: the newest ones, what became of them and why, and how many there are."
        ),
    },
    "posts": {
        "posts": "Posts for X: those that wait for a decision, then the newest of the rest.",
    },
    "service": {
        "demo": "The whole loop in a minute or two, on the example accounts, without any account or key.",
        "doctor": "Check settings, keys, disk, base and shelf, and say what to do about each finding.",
        "prepare": "Make the configured base ready, so that the first start is a quick one.",
        "serve": "Run the service until SIGTERM or Ctrl-C.",
        "sync-commands": "Tell Discord the bot's commands now.",
    },
    "training": {
        "train": "Train a persona on one account, or on several blended into a cyborg.",
    },
    "voices": {
        "card": "The model card of the version in use.",
        "personas": "Everybody on the shelf, with the version in use.",
        "rollback": "Put an earlier version in use: the one before the present one, or the one that is named.",
        "say": "Drafts in a persona's voice.",
        "versions": (
            "All versions of a persona, the one in use marked, and what was decided about them, why and by whom."
        ),
    },
}
_MODULES = {name: module for module, held in COMMANDS.items() for name in held}


class LazyGroup(click.Group):
    """Knows every command, and imports one that is asked for. A module adds its commands to the group itself."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, imported or not."""
        return sorted(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now unless it was before."""
        if cmd_name in _MODULES and cmd_name not in self.commands:
            import_module(f"bot.cli.{_MODULES[cmd_name]}")
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of `--help`, from what stands here."""
        listed = [click.Command(name, help=text) for held in COMMANDS.values() for name, text in held.items()]
        click.Group(commands=listed).format_commands(ctx, formatter)
