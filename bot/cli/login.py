"""Commands about logging our accounts on X in and out."""

from __future__ import annotations

import asyncio
import webbrowser

import click
from cryptography.fernet import Fernet

from bot.app.rooms import open_rooms
from bot.app.x_accounts import log_in, log_out
from bot.cli.terminal import cli, command, err, note, out
from bot.config import MAIN, Config
from bot.tweets.costs import dollars

account_option = click.option("--account", default=MAIN, show_default=True, help="Which of ours: see [x.accounts].")


@cli.group()
def login() -> None:
    """Let an app act for an account of yours."""


@cli.group()
def logout() -> None:
    """Take that back."""


@login.command("x")
@account_option
@click.option("--no-browser", is_flag=True, help="Only show the address.")
@command
async def login_x(config: Config, account: str, no_browser: bool) -> None:
    """Log an account on X in, by OAuth 2.0: somebody agrees in a browser, and the tokens are kept encrypted."""

    def show(address: str) -> None:
        note("Open this address in a browser where you are signed in to X as the account that is to post, and agree:")
        err.print(address, markup=False, highlight=False, soft_wrap=True)
        if not no_browser:
            opening.append(asyncio.get_running_loop().run_in_executor(None, webbrowser.open, address))

    opening: list[asyncio.Future[bool]] = []
    async with open_rooms(config) as rooms:
        note(f"Asking X afterwards whose login it is costs {dollars(config.prices.user_read)}.")
        kept = await log_in(rooms, account, show)
    await asyncio.gather(*opening, return_exceptions=True)
    where = "in the system's keyring" if kept.in_keyring else "encrypted in the database"
    text = f"{account} is logged in as @{kept.handle}. The tokens are kept {where}."
    out.print(text, highlight=False, markup=False, soft_wrap=True)


@login.command("key")
def login_key() -> None:
    """A new key for `[x] token_key_env`, with which the tokens of a login are encrypted."""
    click.echo(Fernet.generate_key().decode())


@logout.command("x")
@account_option
@command
async def logout_x(config: Config, account: str) -> None:
    """Log an account on X out: X is told, and its tokens are deleted here."""
    async with open_rooms(config) as rooms:
        out.print(await log_out(rooms, account), highlight=False, markup=False, soft_wrap=True)
