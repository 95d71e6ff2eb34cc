"""Logins by OAuth 2.0: where their tokens are kept, and how they are renewed without ever being lost.

Outcome: `Logins` keeps the tokens of each account of ours, encrypted in the table `x_tokens` where the environment has
a key for it, else in the system's keyring; never in clear in a file, a log or an error. `UserTokens.current` is an
access token that is good for some minutes yet.

A refresh token works once. So one process at a time renews: it takes a lock that a kill releases, looks whether another
one was quicker, asks X, and writes the new tokens down before anything is done with them. The lock is a file's and not
the database's, since X may take its time and nobody else's writing has to wait for that.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import keyring
import structlog
from cryptography.fernet import Fernet, InvalidToken
from filelock import AsyncFileLock, Timeout
from keyring.errors import KeyringError

from bot.database import Database, Row
from bot.errors import ConfigError, XError, XLoginEnded, XUnreachable
from bot.tweets.x_oauth2 import Tokens

EARLY = timedelta(minutes=5)  # so long before its end an access token is renewed

_SERVICE = "mockingbird"  # in the keyring
_REMEMBERED = 8  # tokens that are kept out of errors
_LOCK_S = 90.0  # as long as two renewals take at most

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Login:
    """What is known about a login without opening its tokens."""

    account: str  # of ours: "main", or a name of [x.accounts]
    user_id: str  # X's
    handle: str  # as X writes it
    scopes: tuple[str, ...]
    expires_at: datetime  # of the access token, UTC
    at: datetime  # when somebody logged in, UTC
    ended: bool  # X renews it no more
    in_keyring: bool


class Logins:
    """The table `x_tokens` and the keyring."""

    def __init__(self, database: Database, key: str | None, variable: str, clock: Callable[[], datetime]) -> None:
        """`key` encrypts the tokens, None where the environment has none; `variable` is where it should stand.

        `clock` gives UTC.
        """
        self._database = database
        self._key = key
        self._variable = variable
        self._clock = clock

    async def find(self, account: str) -> Login | None:
        """The account's login, ended or not."""
        row = await self._row(account)
        return _login(row) if row else None

    async def all(self) -> list[Login]:
        """Every login, by account."""
        return [_login(row) for row in await self._database.all("SELECT * FROM x_tokens ORDER BY account")]

    async def tokens(self, account: str) -> Tokens:
        """The account's tokens. `XLoginEnded` when there are none that are worth something, `ConfigError` when they
        can't be opened.
        """
        row = await self._row(account)
        if row is None or row["ended"]:
            raise XLoginEnded(f"The login of the account {account} has ended; {_again(account)}.")
        text = self._unsealed(row["sealed"]) if row["sealed"] else await self._from_keyring(account)
        held = json.loads(text)
        return Tokens(held["access"], held["refresh"], _login(row).scopes, _login(row).expires_at)

    async def require_place(self) -> None:
        """Raises `ConfigError` when there is nowhere to keep tokens."""
        if self._key is not None:
            self._fernet()
        elif keyring.get_keyring().priority <= 0:
            raise self._nowhere()

    async def keep(self, account: str, user_id: str, handle: str, tokens: Tokens) -> None:
        """Somebody has logged in. Raises `ConfigError` when there is nowhere to keep tokens."""
        sealed = await self._sealed(account, tokens)
        async with self._database.transaction() as transaction:
            await transaction.run(
                "INSERT OR REPLACE INTO x_tokens (account, user_id, handle, sealed, scopes, expires_at, ended, at) "
                "VALUES (?, ?, ?, ?, ?, ?, 0, ?)",
                (account, user_id, handle, sealed, " ".join(tokens.scopes), _text(tokens.expires_at), self._now()),
            )

    async def renew(self, account: str, tokens: Tokens) -> None:
        """The tokens were renewed; a login that was forgotten meanwhile stays forgotten."""
        sealed = await self._sealed(account, tokens)
        async with self._database.transaction() as transaction:
            await transaction.run(
                "UPDATE x_tokens SET sealed = ?, scopes = ?, expires_at = ? WHERE account = ?",
                (sealed, " ".join(tokens.scopes), _text(tokens.expires_at), account),
            )

    async def end(self, account: str) -> None:
        """X renews the login no more."""
        async with self._database.transaction() as transaction:
            await transaction.run("UPDATE x_tokens SET ended = 1 WHERE account = ?", (account,))

    async def forget(self, account: str) -> None:
        """Nothing is left of the login."""
        login = await self.find(account)
        if login is not None and login.in_keyring:
            try:
                await asyncio.to_thread(keyring.delete_password, _SERVICE, _entry(account))
            except KeyringError as error:
                log.warning("the keyring did not let go of a login", account=account, reason=type(error).__name__)
        async with self._database.transaction() as transaction:
            await transaction.run("DELETE FROM x_tokens WHERE account = ?", (account,))

    async def _row(self, account: str) -> Row | None:
        return await self._database.one("SELECT * FROM x_tokens WHERE account = ?", (account,))

    def _now(self) -> str:
        return _text(self._clock())

    # Sealing

    async def _sealed(self, account: str, tokens: Tokens) -> str:
        """What stands in the table; empty where the keyring has the tokens."""
        text = json.dumps({"access": tokens.access_token, "refresh": tokens.refresh_token})
        if self._key is not None:
            return self._fernet().encrypt(text.encode()).decode()
        try:
            await asyncio.to_thread(keyring.set_password, _SERVICE, _entry(account), text)
        except KeyringError as error:
            raise self._nowhere() from error
        return ""

    def _unsealed(self, sealed: str) -> str:
        try:
            return self._fernet().decrypt(sealed).decode()
        except InvalidToken as error:
            raise ConfigError(
                f"The tokens of a login can't be opened with the key in {self._variable}; put the key there that they "
                "were encrypted with, or log in again (mockingbird login x)."
            ) from error

    async def _from_keyring(self, account: str) -> str:
        try:
            text = await asyncio.to_thread(keyring.get_password, _SERVICE, _entry(account))
        except KeyringError as error:
            raise ConfigError("The system's keyring can't be read; unlock it, or log in again.") from error
        if text is None:
            raise ConfigError(
                f"The system's keyring holds no tokens of the account {account}: they are another user's or "
                f"machine's; {_again(account)}."
            )
        return text

    def _fernet(self) -> Fernet:
        if self._key is None:
            raise ConfigError(
                f"The tokens of a login are encrypted, and {self._variable} is empty; put the key there again, or log "
                "in again (mockingbird login x)."
            )
        try:
            return Fernet(self._key)
        except ValueError:
            raise ConfigError(
                f"What stands in {self._variable} is no key; make one with `mockingbird login key` and put it there."
            ) from None  # the cause might quote it

    def _nowhere(self) -> ConfigError:
        return ConfigError(
            f"There is nowhere to keep the tokens of a login: this system has no keyring, and {self._variable} is "
            "empty. Make a key with `mockingbird login key`, put it there, and log in again."
        )


@asynccontextmanager
async def alone(lock: Path) -> AsyncIterator[None]:
    """No other process or task renews or changes logins meanwhile; a kill releases the lock, which is a file."""
    waiting = AsyncFileLock(lock, timeout=_LOCK_S)
    try:
        await waiting.acquire()
    except Timeout as error:
        raise XUnreachable(
            "Another process has been renewing a login on X for more than a minute; try again in a few minutes.", False
        ) from error
    try:
        yield
    finally:
        await waiting.release()


class UserTokens:
    """The access token of one account, renewed when it is time to."""

    def __init__(
        self,
        login: Login,
        logins: Logins,
        ask: Callable[[str], Awaitable[Tokens]],
        lock: Path,
        clock: Callable[[], datetime],
    ) -> None:
        """`ask` gives new tokens for a refresh token; `lock` is a file that all processes share; `clock` gives UTC."""
        self.user_id = login.user_id
        self._account = login.account
        self._logins = logins
        self._ask = ask
        self._lock = lock
        self._clock = clock
        self._unsaved: Tokens | None = None  # renewed, and not written down because writing failed
        self.seen: tuple[str, ...] = ()  # the newest tokens, which must never be shown

    async def current(self) -> str:
        """An access token that is good for some minutes yet. Raises `XLoginEnded`, `XUnreachable`, `ConfigError`."""
        tokens = await self._held()
        if tokens.expires_at - self._clock() > EARLY:
            return tokens.access_token
        try:
            return await self.renewed(tokens.access_token)
        except XLoginEnded:
            raise
        except XError:
            if tokens.expires_at <= self._clock():
                raise
            return tokens.access_token  # it will do for now

    async def renewed(self, refused: str) -> str:
        """An access token other than `refused`, which X does not take. Goes to its end even when cancelled."""
        task = asyncio.create_task(self._renewed(refused), name="renew a login")
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait([task])
            raise

    async def _renewed(self, refused: str) -> str:
        async with alone(self._lock):
            held = await self._held()
            if held.access_token != refused:  # another process, or another task, was quicker
                return held.access_token
            try:
                fresh = await self._ask(held.refresh_token)
            except XLoginEnded as error:
                await self._logins.end(self._account)
                text = f"X does not renew the login of the account {self._account} any more; {_again(self._account)}."
                log.error("a login has ended", account=self._account, advice=_again(self._account))
                raise XLoginEnded(text) from error
            self._unsaved = fresh  # the old one is worth nothing by now
            await self._save()
            return self._noted(fresh).access_token

    async def _held(self) -> Tokens:
        await self._save()
        return self._noted(await self._logins.tokens(self._account))

    async def _save(self) -> None:
        if self._unsaved is not None:
            await self._logins.renew(self._account, self._unsaved)
            self._unsaved = None

    def _noted(self, tokens: Tokens) -> Tokens:
        new = [each for each in (tokens.access_token, tokens.refresh_token) if each not in self.seen]
        self.seen = (*self.seen, *new)[-_REMEMBERED:]
        return tokens


class JustLoggedIn:
    """Tokens that are not kept yet, to ask X whose they are."""

    def __init__(self, tokens: Tokens) -> None:
        self.user_id = ""
        self.seen: tuple[str, ...] = (tokens.access_token, tokens.refresh_token)
        self._tokens = tokens

    async def current(self) -> str:
        """The access token."""
        return self._tokens.access_token

    async def renewed(self, refused: str) -> str:
        """Nothing is renewed yet: raises `XLoginEnded`."""
        raise XLoginEnded("X does not take the tokens that it has just given out; log in once more.")


def _again(account: str) -> str:
    return f"log in again: mockingbird login x --account {account}"


def _entry(account: str) -> str:
    return f"x {account}"


def _login(row: Row) -> Login:
    return Login(
        account=row["account"],
        user_id=row["user_id"],
        handle=row["handle"],
        scopes=tuple(row["scopes"].split()),
        expires_at=datetime.fromisoformat(row["expires_at"]),
        at=datetime.fromisoformat(row["at"]),
        ended=bool(row["ended"]),
        in_keyring=not row["sealed"],
    )


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
