"""Logins by OAuth 2.0 are renewed in time, by one at a time, and their tokens never stand anywhere in clear."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import keyring
import pytest
from cryptography.fernet import Fernet
from keyring.backend import KeyringBackend
from keyring.backends import fail
from structlog.testing import capture_logs

from bot.database import Database
from bot.errors import ConfigError, DiskFull, XKeysRefused, XLoginEnded, XUnreachable
from bot.loopback.x import LoopbackX, Moment, XRefusal
from bot.tweets.x_api import XClient
from bot.tweets.x_logins import EARLY, Logins, UserTokens
from bot.tweets.x_oauth2 import (
    SCOPES,
    OAuth2App,
    Tokens,
    consent_address,
    new_verifier,
    renewed,
    revoke,
    tokens_for_code,
)
from bot.tweets.x_requests import XKeys
from tests.fakes import FakeClock
from tests.tweets.desk import contracts

BACK = "http://127.0.0.1/callback"
KEY = Fernet.generate_key().decode()
TOKEN = "POST /2/oauth2/token"


class FakeKeyring(KeyringBackend):
    """A keyring in memory."""

    priority = 1.0

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.held: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.held[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.held[service, username]


@pytest.fixture
async def x(clock: FakeClock) -> AsyncIterator[LoopbackX]:
    async with LoopbackX(["Nell", "Ada"], contracts()[0], clock=clock) as x:
        yield x
    assert x.violations == []


@pytest.fixture
def ring() -> Iterator[FakeKeyring]:
    before = keyring.get_keyring()
    keyring.set_keyring(made := FakeKeyring())
    yield made
    keyring.set_keyring(before)


def app_of(x: LoopbackX) -> OAuth2App:
    return OAuth2App(x.app.client_id, x.app.client_secret, x.api_base, x.api_base)


async def agreed(x: LoopbackX, clock: FakeClock, handle: str = "Nell") -> Tokens:
    """Tokens of somebody who has just agreed."""
    app, verifier = app_of(x), new_verifier()
    target = x.consent(consent_address(app, BACK, "a state", verifier), handle)
    code = target.partition("code=")[2].partition("&")[0]
    return await tokens_for_code(app, code, BACK, verifier, clock)


async def kept(x: LoopbackX, database: Database, clock: FakeClock, key: str | None = KEY) -> Logins:
    """Nell is logged in."""
    logins = Logins(database, key, "A_KEY", clock)
    await logins.keep("main", x.account("Nell").id, "Nell", await agreed(x, clock))
    return logins


async def user_tokens(x: LoopbackX, logins: Logins, clock: FakeClock, folder: Path) -> UserTokens:
    login = await logins.find("main")
    assert login is not None
    return UserTokens(login, logins, partial(renewed, app_of(x), clock=clock), folder / "x.lock", clock)


@asynccontextmanager
async def client(x: LoopbackX, login: UserTokens) -> AsyncIterator[XClient]:
    async with XClient(XKeys(), x.api_base, login=login) as opened:
        yield opened


def renewals(x: LoopbackX) -> int:
    return sum(1 for each in x.requests if each.route == TOKEN) - 1  # the first one was for the code


async def test_whoever_is_logged_in_posts_without_any_key(
    x: LoopbackX, database: Database, clock: FakeClock, tmp_path: Path
) -> None:
    logins = await kept(x, database, clock)
    login = await user_tokens(x, logins, clock, tmp_path)
    assert set((await logins.tokens("main")).scopes) == set(SCOPES)
    async with client(x, login) as nell:
        await nell.post("The fog speaks first.")
        assert (nell.can_post, nell.own_id, (await nell.me()).handle) == (True, x.account("Nell").id, "Nell")
    assert [post.text for post in x.timeline("Nell")] == ["The fog speaks first."]


async def test_neither_the_database_nor_a_repr_holds_a_token(
    x: LoopbackX, database: Database, clock: FakeClock
) -> None:
    logins = await kept(x, database, clock)
    tokens = await logins.tokens("main")
    row = [str(value) for value in (await database.all("SELECT * FROM x_tokens"))[0]]
    files = b"".join(path.read_bytes() for path in database.path.parent.glob("test.db*"))
    for secret in (tokens.access_token, tokens.refresh_token):
        assert secret not in " ".join([*row, repr(tokens), repr(await logins.find("main"))])
        assert secret.encode() not in files


async def test_a_token_is_renewed_some_minutes_before_it_ends(
    x: LoopbackX, database: Database, clock: FakeClock, tmp_path: Path
) -> None:
    logins = await kept(x, database, clock)
    login = await user_tokens(x, logins, clock, tmp_path)
    first = await login.current()
    clock.now = (await logins.tokens("main")).expires_at - EARLY - timedelta(seconds=1)
    assert (await login.current(), renewals(x)) == (first, 0)
    clock.advance(seconds=1)
    assert (await login.current() != first, renewals(x)) == (True, 1)


async def test_a_token_that_x_does_not_take_is_renewed_and_the_post_goes_out_once(
    x: LoopbackX, database: Database, clock: FakeClock, tmp_path: Path
) -> None:
    login = await user_tokens(x, await kept(x, database, clock), clock, tmp_path)
    x.fail_next("POST /2/tweets", XRefusal.UNAUTHORIZED)
    async with client(x, login) as nell:
        await nell.post("The fog speaks first.")
    assert ([post.text for post in x.timeline("Nell")], renewals(x)) == (["The fog speaks first."], 1)


async def test_of_many_who_need_a_new_token_at_once_one_asks_for_it(
    x: LoopbackX, database: Database, clock: FakeClock, tmp_path: Path
) -> None:
    """Two databases stand for two processes."""
    await kept(x, database, clock)
    clock.advance(hours=2)
    async with Database(database.path) as second:
        logins = [Logins(each, KEY, "A_KEY", clock) for each in (database, second)]
        tokens = [await user_tokens(x, each, clock, tmp_path) for each in logins * 3]
        assert len({*await asyncio.gather(*(each.current() for each in tokens))}) == 1
    assert renewals(x) == 1


async def test_a_renewal_that_is_cancelled_is_written_down_all_the_same(
    x: LoopbackX, database: Database, clock: FakeClock, tmp_path: Path
) -> None:
    logins = await kept(x, database, clock)
    login = await user_tokens(x, logins, clock, tmp_path)
    clock.advance(hours=2)
    hold = x.hold_next(TOKEN, Moment.AFTER)
    task = asyncio.create_task(login.current())
    await hold.arrived.wait()
    task.cancel()
    hold.release.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    clock.advance(hours=2)
    assert await (await user_tokens(x, logins, clock, tmp_path)).current()  # the new refresh token was there


async def test_tokens_that_could_not_be_written_down_are_as_soon_as_they_can_be(
    x: LoopbackX, database: Database, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logins = await kept(x, database, clock)
    login = await user_tokens(x, logins, clock, tmp_path)
    clock.advance(hours=2)
    renew = logins.renew

    async def full(account: str, tokens: Tokens) -> None:
        raise DiskFull("The disk is full.")

    monkeypatch.setattr(logins, "renew", full)
    with pytest.raises(DiskFull):
        await login.current()
    monkeypatch.setattr(logins, "renew", renew)
    token = await login.current()
    assert (token, renewals(x)) == ((await logins.tokens("main")).access_token, 1)


async def test_a_refused_renewal_ends_the_login_with_one_sentence_and_x_is_not_asked_again(
    x: LoopbackX, database: Database, clock: FakeClock, tmp_path: Path
) -> None:
    logins = await kept(x, database, clock)
    login = await user_tokens(x, logins, clock, tmp_path)
    x.withdraw("Nell")
    async with client(x, login) as nell:
        with capture_logs() as lines:
            for _ in range(3):
                with pytest.raises(XLoginEnded, match="mockingbird login x --account main"):
                    await nell.post("The fog speaks first.")
    found = await logins.find("main")
    assert [line["event"] for line in lines] == ["a login has ended"]
    assert (renewals(x), found is not None and found.ended) == (1, True)


async def test_whoever_logs_in_again_is_served_without_a_restart(
    x: LoopbackX, database: Database, clock: FakeClock, tmp_path: Path
) -> None:
    logins = await kept(x, database, clock)
    login = await user_tokens(x, logins, clock, tmp_path)
    await logins.end("main")
    with pytest.raises(XLoginEnded):
        await login.current()
    await kept(x, database, clock)
    assert await login.current() == (await logins.tokens("main")).access_token


@pytest.mark.parametrize("refusal", [XRefusal.UNAVAILABLE, XRefusal.INTERNAL_ERROR])
async def test_while_x_is_down_a_token_is_used_to_its_end(
    x: LoopbackX, database: Database, clock: FakeClock, tmp_path: Path, refusal: XRefusal
) -> None:
    logins = await kept(x, database, clock)
    login = await user_tokens(x, logins, clock, tmp_path)
    first = await login.current()
    x.fail_next(TOKEN, refusal, 2)
    clock.advance(minutes=116)
    assert await login.current() == first
    clock.advance(minutes=4)
    with pytest.raises(XUnreachable):
        await login.current()
    assert await login.current() != first


async def test_an_app_that_x_does_not_know_is_said_to_be_the_trouble(
    x: LoopbackX, database: Database, clock: FakeClock
) -> None:
    tokens = await agreed(x, clock)
    stranger = OAuth2App(x.app.client_id, "not the secret", x.api_base, x.api_base)
    with pytest.raises(XKeysRefused, match="oauth2_client_secret_env") as caught:
        await renewed(stranger, tokens.refresh_token, clock)
    assert not isinstance(caught.value, XLoginEnded)


async def test_a_code_that_comes_too_late_is_refused_with_a_way_out(x: LoopbackX, clock: FakeClock) -> None:
    app, verifier = app_of(x), new_verifier()
    target = x.consent(consent_address(app, BACK, "a state", verifier), "Nell")
    clock.advance(seconds=31)
    with pytest.raises(XKeysRefused, match="log in once more"):
        await tokens_for_code(app, target.partition("code=")[2].partition("&")[0], BACK, verifier, clock)


async def test_a_public_client_without_a_secret_logs_in_and_renews(clock: FakeClock) -> None:
    async with LoopbackX(["Nell"], confidential=False, clock=clock) as x:
        tokens = await agreed(x, clock)
        again = await renewed(app_of(x), tokens.refresh_token, clock)
        await revoke(app_of(x), again.refresh_token)
        with pytest.raises(XLoginEnded):
            await renewed(app_of(x), again.refresh_token, clock)


async def test_without_a_key_the_tokens_are_in_the_systems_keyring(
    x: LoopbackX, database: Database, clock: FakeClock, tmp_path: Path, ring: FakeKeyring
) -> None:
    logins = await kept(x, database, clock, key=None)
    found = await logins.find("main")
    assert found is not None and found.in_keyring
    assert await (await user_tokens(x, logins, clock, tmp_path)).current() in str(ring.held)
    await logins.forget("main")
    assert (ring.held, await logins.all()) == ({}, [])


async def test_without_key_and_keyring_nothing_is_kept_and_the_error_names_the_way_out(
    x: LoopbackX, database: Database, clock: FakeClock, ring: FakeKeyring
) -> None:
    keyring.set_keyring(fail.Keyring())  # type: ignore[no-untyped-call]
    logins = Logins(database, None, "A_KEY", clock)
    with pytest.raises(ConfigError, match="mockingbird login key"):
        await logins.require_place()
    with pytest.raises(ConfigError, match="A_KEY"):
        await logins.keep("main", "1", "Nell", await agreed(x, clock))
    assert await logins.all() == []


@pytest.mark.parametrize(
    "key", [Fernet.generate_key().decode(), "no key at all", None], ids=["another", "none", "unset"]
)
async def test_a_wrong_key_is_told_and_not_quoted(
    x: LoopbackX, database: Database, clock: FakeClock, key: str | None
) -> None:
    await kept(x, database, clock)
    with pytest.raises(ConfigError, match="A_KEY") as caught:
        await Logins(database, key, "A_KEY", clock).tokens("main")
    assert key is None or key not in str(caught.value)
