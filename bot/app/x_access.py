"""By what our accounts are known to X: the keys that the environment holds, the logins that the database keeps."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from bot.app import now
from bot.config import MAIN, Config, X, secret, x_accounts
from bot.database import Database
from bot.errors import ConfigError
from bot.tweets.x_api import XClient
from bot.tweets.x_bodies import VOCABULARIES
from bot.tweets.x_logins import Login, Logins, UserTokens
from bot.tweets.x_oauth2 import OAuth2App, Tokens, renewed
from bot.tweets.x_requests import XKeys
from bot.tweets.x_windows import Names, Windows

LOGINS_LOCK = "x-logins.lock"  # in [paths] data


@asynccontextmanager
async def open_x(config: Config, database: Database, account: str = MAIN) -> AsyncIterator[XClient]:
    """The client for X with the login of the account where somebody has logged it in, else with its keys."""
    settings = x_settings(config, account)
    logins = x_logins(config, database)
    login = await logins.find(account)
    tokens: UserTokens | None = None
    if login is not None:
        tokens = UserTokens(login, logins, partial(_renewed, settings), config.paths.data / LOGINS_LOCK, now)
    words, keys = VOCABULARIES[settings.vocabulary], x_keys(settings)
    windows = x_windows(database, settings, keys, login)
    async with XClient(keys, settings.api_base, words, login=tokens, windows=windows) as client:
        yield client


def x_windows(database: Database, settings: X, keys: XKeys, login: Login | None = None) -> Windows:
    """What X takes yet of whoever asks with these keys or that login."""
    app = settings.consumer_key_env if login is None else settings.oauth2_client_id_env
    user = keys.own_id if login is None else login.user_id
    return Windows(database, Names(settings.bearer_token_env, app, user or ""), now)


def x_settings(config: Config, account: str) -> X:
    """The settings of an account of ours. Raises `ConfigError` where there is none of that name."""
    accounts = x_accounts(config.x)
    if account not in accounts:
        raise ConfigError(f"There is no account {account} in the settings; known are {', '.join(accounts)}.")
    return accounts[account]


def x_keys(settings: X) -> XKeys:
    """The keys of an account, which the environment holds under the names that its settings give."""
    return XKeys(
        bearer_token=secret(settings.bearer_token_env),
        consumer_key=secret(settings.consumer_key_env),
        consumer_secret=secret(settings.consumer_secret_env),
        access_token=secret(settings.access_token_env),
        access_token_secret=secret(settings.access_token_secret_env),
    )


def oauth2_app(settings: X) -> OAuth2App:
    """The app by which accounts are logged in. Raises `ConfigError` when its client id is not set."""
    client_id = secret(settings.oauth2_client_id_env)
    if client_id is None:
        raise ConfigError(
            f"A login needs the client id of the app in the variable {settings.oauth2_client_id_env}; set it "
            "(docs/x.md says where it stands)."
        )
    return OAuth2App(client_id, secret(settings.oauth2_client_secret_env), settings.api_base, settings.login_base)


def x_logins(config: Config, database: Database) -> Logins:
    """The logins of our accounts on X."""
    variable = config.x.token_key_env
    return Logins(database, secret(variable), variable, now)


async def _renewed(settings: X, refresh_token: str) -> Tokens:
    return await renewed(oauth2_app(settings), refresh_token, now)
