"""Our accounts on X: logging one in and out, and how each is connected."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial

from bot import doctor
from bot.app import now
from bot.app.rooms import Rooms
from bot.app.x_access import LOGINS_LOCK, main_id, oauth2_app, open_x, own_ids, x_keys, x_logins, x_settings
from bot.config import MAIN, Config, x_accounts
from bot.database import Database
from bot.errors import MockingbirdError, Refused
from bot.frontends.x.login import logged_in
from bot.tweets.budget import budget_of
from bot.tweets.charges import Charges
from bot.tweets.costs import Ledger
from bot.tweets.forecast import Forecast
from bot.tweets.x_api import XClient
from bot.tweets.x_bodies import XUser
from bot.tweets.x_logins import JustLoggedIn, Login, Logins, alone
from bot.tweets.x_oauth2 import new_verifier, revoke


async def log_in(rooms: Rooms, account: str, show: Callable[[str], None]) -> Login:
    """Log an account of ours in on X: `show` is told the address where a person agrees. Costs one user read.

    Raises `UsageError` where there is no such account or nowhere to keep tokens, `Refused` where another account of
    ours is the same on X, and what X answers.
    """
    config, settings = rooms.config, x_settings(rooms.config, account)
    app, logins = oauth2_app(settings), x_logins(config, rooms.database)
    await logins.require_place()
    await rooms.ledger.check(config.prices.user_read, "Asking X whose login it is")
    tokens = await logged_in(app, settings.login_port, secrets.token_urlsafe(32), new_verifier(), show, now)
    price, what = config.prices.user_read, "Asking X whose login it is"
    async with (
        XClient(x_keys(settings), settings.api_base, login=JustLoggedIn(tokens)) as client,
        rooms.ledger.hold("look up", account, price, what, account=account) as call,
    ):
        user = await client.me()
        async with rooms.database.transaction() as transaction:
            await Charges(now).settle_users(transaction, call, [user.id], price)
    async with alone(config.paths.data / LOGINS_LOCK):
        await _require_new(config, logins, account, user)
        await logins.keep(account, user.id, user.handle, tokens)
    kept = await logins.find(account)
    assert kept is not None
    return kept


async def _require_new(config: Config, logins: Logins, account: str, user: XUser) -> None:
    """Raises `Refused` where another account of ours is known to X as this one."""
    held = await own_ids(config, logins)
    same = [name for name in held if name != account and held[name] == user.id]
    if same:
        raise Refused(
            f"@{user.handle} is the account {same[0]} already, so it was not logged in as {account} too: two personas "
            f"would post on it. Sign in to X in the browser as the account that {account} is to be, and log in again."
        )


async def log_out(rooms: Rooms, account: str) -> str:
    """Forget the login of an account of ours, and tell X; what became of it, in a sentence. Raises `Refused`."""
    settings, logins = x_settings(rooms.config, account), x_logins(rooms.config, rooms.database)
    login = await logins.find(account)
    if login is None:
        raise Refused(f"The account {account} is not logged in. `mockingbird doctor` says how each is connected.")
    async with alone(rooms.config.paths.data / LOGINS_LOCK):
        try:
            tokens = await logins.tokens(account)
            for token in (tokens.refresh_token, tokens.access_token):
                await revoke(oauth2_app(settings), token)
            told = "X was told."
        except MockingbirdError as error:
            told = f"X could not be told: take the app's access back in the account's settings on X. ({error})"
        await logins.forget(account)
    return f"{account} (@{login.handle}) is logged out, and its tokens are deleted here. {told}"


async def x_findings(config: Config, ask_x: bool) -> list[doctor.Finding]:
    """What X costs, how our accounts are connected with it, and, asked for, what X has counted and what their bios say,
    which costs a user read each.
    """
    path = config.paths.data / "mockingbird.db"
    if not path.is_file():
        return await doctor.connections(config, None) + doctor.named_twice(config, await own_ids(config, None))
    async with Database(path) as database:
        logins = x_logins(config, database)
        ledger = Ledger(database, config.prices, config.x.monthly_budget_usd, now, budget_of(config.x))
        forecast = Forecast(database, ledger, config.x, config.prices, now, partial(main_id, config, database))
        found = await doctor.money(config, ledger, forecast)
        found += await doctor.connections(config, logins)
        found += doctor.named_twice(config, await own_ids(config, logins))
        if ask_x:
            for account in x_accounts(config.x):
                async with open_x(config, database, account) as client:
                    if account == MAIN:
                        found.append(await doctor.usage(client, ledger))
                    if client.own_id is not None:
                        found.append(await doctor.label(client, ledger, account, now))
        return found
