"""`mockingbird login x` as a user runs it: a process of its own, a browser, and X on this machine."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest
from cryptography.fernet import Fernet

from bot.config import Generation, X
from bot.database import Database
from bot.generation.draft import Sampling
from bot.loopback.x import LoopbackX, Moment, XRefusal
from bot.replies.posts import Posts
from tests.fakes import FakeSpeaker
from tests.processes import LONGEST_S, Outcome, environment, mockingbird, service, write_config
from tests.tweets.desk import contracts

KEY = Fernet.generate_key().decode()
TOKEN = "POST /2/oauth2/token"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@asynccontextmanager
async def stage(folder: Path, **more: object) -> AsyncIterator[tuple[LoopbackX, Path, Mapping[str, str]]]:
    """X, a configuration, and the environment of its processes."""
    port = free_port()
    back = f"http://127.0.0.1:{port}/callback"
    async with LoopbackX(["Nell", "Ada"], *contracts(), redirect_uris=[back]) as x:
        settings = {"enabled": True, "api_base": x.api_base, "login_base": x.api_base, "login_port": port, **more}
        config = write_config(folder, {"x": settings, "log": {"format": "json", "level": "debug"}})
        secrets = {"X_CLIENT_ID": x.app.client_id, "X_CLIENT_SECRET": str(x.app.client_secret)}
        yield x, config, secrets | {"MOCKINGBIRD_TOKEN_KEY": KEY}
        assert x.violations == []


@asynccontextmanager
async def asked(
    config: Path, extra: Mapping[str, str], account: str = "main"
) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """A login that waits for somebody to agree, with the address that it shows."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "--config", str(config), "login", "x", "--no-browser", "--account", account),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(extra),
    )
    assert child.stderr is not None
    try:
        async with asyncio.timeout(LONGEST_S):
            while not (line := (await child.stderr.readline()).decode()).startswith("http"):
                assert line, "the login ended without an address"
        yield line.strip(), child
    finally:
        if child.returncode is None:
            child.kill()
            await child.communicate()


async def ended(child: asyncio.subprocess.Process) -> Outcome:
    async with asyncio.timeout(LONGEST_S):
        out, err = await child.communicate()
    return Outcome(child.returncode or 0, out.decode(), err.decode())


def findings(outcome: Outcome) -> dict[str, dict[str, str]]:
    """What doctor has found, by what it is about."""
    return {each["about"]: each for each in json.loads(outcome.out)["findings"]}


def everything(folder: Path) -> str:
    """All that stands in files there."""
    return "".join(path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file())


async def visit(address: str) -> tuple[int, str]:
    """A browser goes there."""
    async with aiohttp.ClientSession() as browser, browser.get(address) as answer:
        return answer.status, await answer.text()


async def log_in(
    x: LoopbackX, config: Path, extra: Mapping[str, str], handle: str = "Nell", account: str = "main"
) -> Outcome:
    async with asked(config, extra, account) as (address, child):
        status, text = await visit(x.consent(address, handle))
        assert (status, "Done" in text) == (200, True)
        return await ended(child)


def routes(x: LoopbackX) -> list[str]:
    return [each.route for each in x.requests]


async def approved_post_and_expired_token(folder: Path) -> None:
    """The service has something to send at once, and needs a new token for that."""

    def now() -> datetime:
        return datetime.now(UTC)

    async with Database(folder / "data" / "mockingbird.db") as database:
        sampling = Sampling.from_settings(Generation())
        posts = Posts(database, FakeSpeaker(["The fog speaks first."]), sampling, 1, {"main": X()}, now)
        await posts.approve((await posts.propose("main", "nell")).id, "web")
        async with database.transaction() as transaction:
            await transaction.run("UPDATE x_tokens SET expires_at = ?", (now().isoformat(),))


async def test_a_person_agrees_in_a_browser_and_the_tokens_are_kept_encrypted(tmp_path: Path) -> None:
    async with stage(tmp_path) as (x, config, extra):
        outcome = await log_in(x, config, extra)
        assert (outcome.code, "main is logged in as @Nell" in outcome.out) == (0, True)
        assert "loopback-access" not in everything(tmp_path) and "loopback-refresh" not in everything(tmp_path)
        assert "loopback-" not in outcome.out + outcome.err.replace(x.app.client_id, "")
        assert [str(each.usd) for each in x.charges] == ["0.010"]
        costs = await mockingbird(config, "costs", extra=extra)
        assert "$0.01" in costs.out


async def test_a_login_is_paid_by_the_account_that_is_logged_in(tmp_path: Path) -> None:
    async with stage(tmp_path) as (x, config, extra):
        extra = {**extra, "MOCKINGBIRD_X__ACCOUNTS": '{ harbour = { persona = "otis" } }'}
        assert (await log_in(x, config, extra, "Ada", "harbour")).code == 0
        costs = json.loads((await mockingbird(config, "costs", "--json", extra=extra)).out)
        assert costs["by_own_account"] == {"harbour": "0.010"}


async def test_the_account_of_another_name_is_refused_before_its_tokens_are_kept(tmp_path: Path) -> None:
    """It was logged in, or its keys are set: both tell who it is."""
    harbour = {"MOCKINGBIRD_X__ACCOUNTS": '{ harbour = { persona = "otis" } }'}
    async with stage(tmp_path) as (x, config, extra):
        ada = x.keys_of("Ada")
        keys = {
            "X_CONSUMER_KEY": ada.consumer_key,
            "X_CONSUMER_SECRET": ada.consumer_secret,
            "X_ACCESS_TOKEN": ada.access_token,
            "X_ACCESS_TOKEN_SECRET": ada.access_token_secret,
        }
        assert (await log_in(x, config, extra)).code == 0
        for more, handle in ((harbour, "Nell"), (harbour | keys, "Ada")):
            refused = await log_in(x, config, {**extra, **more}, handle, "harbour")
            assert (refused.code, "is the account main already" in " ".join(refused.err.split())) == (2, True)
            async with Database(tmp_path / "data" / "mockingbird.db") as database:
                assert not await database.all("SELECT 1 FROM x_tokens WHERE account = 'harbour'")
                async with database.transaction() as transaction:
                    await transaction.run("DELETE FROM x_tokens")


async def test_doctor_says_when_two_accounts_are_one_on_x(tmp_path: Path) -> None:
    keys = ("CONSUMER_KEY", "CONSUMER_SECRET", "ACCESS_TOKEN_SECRET")
    given = {f"X_{name}": "secret" for name in keys} | {"X_ACCESS_TOKEN": "101-a", "X_SECOND": "101-b"}
    names = 'access_token_env = "X_SECOND", access_token_secret_env = "X_ACCESS_TOKEN_SECRET"'
    given["MOCKINGBIRD_X__ACCOUNTS"] = f'{{ second = {{ persona = "otis", {names} }} }}'
    config = write_config(tmp_path, {"x": {"enabled": True}})
    found = findings(await mockingbird(config, "doctor", "--json", extra=given))["x accounts main and second"]
    assert (found["grade"], "the one with the id 101" in found["text"]) == ("wrong", True)
    given["X_SECOND"] = "102-b"
    assert "x accounts main and second" not in findings(await mockingbird(config, "doctor", "--json", extra=given))


async def test_a_second_login_on_one_day_costs_nothing_more(tmp_path: Path) -> None:
    """X charges for an account once a day (UTC), and so does the ledger."""
    async with stage(tmp_path) as (x, config, extra):
        for _ in range(2):
            assert (await log_in(x, config, extra)).code == 0
        async with Database(tmp_path / "data" / "mockingbird.db") as database:
            rows = await database.all("SELECT usd FROM costs")
        assert sum(Decimal(row["usd"]) for row in rows) == x.bill()


@pytest.mark.slow
async def test_service_and_command_that_need_a_new_token_at_once_ask_for_one(tmp_path: Path) -> None:
    """Two real processes: the second one comes while X has not yet answered the first, and goes on with its token."""
    async with stage(tmp_path, i_have_permission_to_train=True) as (x, config, extra):
        await log_in(x, config, extra)
        await approved_post_and_expired_token(tmp_path)
        renewal = x.hold_next(TOKEN, Moment.AFTER)
        before = routes(x).count(TOKEN)
        x.post_as("Ada", "Seven harbours, and fog over each.")
        async with service(config, extra) as running:
            await asyncio.wait_for(renewal.arrived.wait(), LONGEST_S)
            fetching = asyncio.create_task(mockingbird(config, "fetch", "Ada", "--yes", extra=extra))
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(fetching), 5)  # it waits for the lock
            assert not fetching.done()
            renewal.release.set()
            await running.logged("a post was sent")
            fetched = await fetching
        assert (fetched.code, routes(x).count(TOKEN) - before) == (0, 1)
        assert len(x.timeline("Nell")) == 1


@pytest.mark.slow
async def test_after_a_kill_between_renewing_and_writing_down_somebody_is_told_to_log_in(tmp_path: Path) -> None:
    async with stage(tmp_path, i_have_permission_to_train=True) as (x, config, extra):
        await log_in(x, config, extra)
        await approved_post_and_expired_token(tmp_path)
        renewal = x.hold_next(TOKEN, Moment.AFTER)
        async with service(config, extra) as running:
            await asyncio.wait_for(renewal.arrived.wait(), LONGEST_S)
            await running.stop(signal.SIGKILL)
        renewal.release.set()
        for _ in range(2):
            told = await mockingbird(config, "fetch", "Ada", "--yes", extra=extra)
            said = " ".join(told.err.split())
            assert (told.code, "log in again: mockingbird login x --account main" in said) == (3, True)
        found = findings(await mockingbird(config, "doctor", "--json", extra=extra))
        assert "mockingbird login x" in found["x account main"]["text"]
        assert x.timeline("Nell") == ()


async def test_a_stranger_with_another_state_changes_nothing(tmp_path: Path) -> None:
    async with stage(tmp_path) as (x, config, extra), asked(config, extra) as (address, child):
        target = x.consent(address, "Nell")
        base = target.partition("?")[0]
        assert (await visit(f"{base}?state=wrong&code=theirs"))[0] == 400
        assert (await visit(f"{base}?code=theirs"))[0] == 400
        assert (await visit(target))[0] == 200
        assert (await ended(child)).code == 0


async def test_whoever_says_no_is_not_logged_in(tmp_path: Path) -> None:
    async with stage(tmp_path) as (x, config, extra), asked(config, extra) as (address, child):
        await visit(x.decline(address))
        outcome = await ended(child)
        assert (outcome.code, "nothing was logged in" in " ".join(outcome.err.split())) == (2, True)
        again = await mockingbird(config, "logout", "x", extra=extra)
        assert (again.code, "is not logged in" in " ".join(again.err.split())) == (2, True)


async def test_a_logout_tells_x_and_leaves_no_tokens(tmp_path: Path) -> None:
    async with stage(tmp_path) as (x, config, extra):
        await log_in(x, config, extra)
        outcome = await mockingbird(config, "logout", "x", extra=extra)
        assert (outcome.code, "X was told." in outcome.out) == (0, True)
        assert sum(1 for each in x.requests if each.route == "POST /2/oauth2/revoke") == 2
        again = await mockingbird(config, "logout", "x", extra=extra)
        assert again.code == 2


async def test_a_logout_works_while_x_is_down_and_says_what_is_left_to_do(tmp_path: Path) -> None:
    async with stage(tmp_path) as (x, config, extra):
        await log_in(x, config, extra)
        x.fail_next("POST /2/oauth2/revoke", XRefusal.UNAVAILABLE)
        outcome = await mockingbird(config, "logout", "x", extra=extra)
        assert (outcome.code, "X could not be told" in outcome.out) == (0, True)


async def test_doctor_says_how_an_account_is_connected_and_what_x_has_counted(tmp_path: Path) -> None:
    async with stage(tmp_path) as (x, config, extra):
        await log_in(x, config, extra)
        bearer = {**extra, "X_BEARER_TOKEN": x.keys.bearer_token}
        found = findings(await mockingbird(config, "doctor", "--json", "--ask-x", extra=bearer))
        assert "Logged in as @Nell" in found["x account main"]["text"]
        assert found["x account main"]["grade"] == "ok"
        assert found["[x] posts read"]["text"] == "X has counted 0 posts as read this month, the ledger 0."
        assert "does not say that it is automated or name who runs it" in found["x bio of main"]["text"]
        async with Database(tmp_path / "data" / "mockingbird.db") as database:
            rows = await database.all("SELECT usd FROM costs")
        assert sum(Decimal(row["usd"]) for row in rows) == x.bill() == Decimal("0.010")  # as the login asked today
        without = {name: value for name, value in extra.items() if name != "MOCKINGBIRD_TOKEN_KEY"}
        found = findings(await mockingbird(config, "doctor", "--json", extra=without))
        assert found["x account main"]["grade"] == "wrong"
        assert "MOCKINGBIRD_TOKEN_KEY" in found["x account main"]["text"]


async def test_an_unknown_account_is_named_before_anything_is_asked(tmp_path: Path) -> None:
    async with stage(tmp_path) as (x, config, extra):
        outcome = await mockingbird(config, "login", "x", "--account", "nobody", extra=extra)
        assert (outcome.code, "known are main" in " ".join(outcome.err.split()), x.requests) == (2, True, [])


@pytest.mark.parametrize("missing", ["X_CLIENT_ID", "MOCKINGBIRD_TOKEN_KEY"])
async def test_what_a_login_needs_is_said_before_anything_is_asked(tmp_path: Path, missing: str) -> None:
    async with stage(tmp_path) as (x, config, extra):
        nothing = {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
        given = {name: value for name, value in extra.items() if name != missing} | nothing
        outcome = await mockingbird(config, "login", "x", "--no-browser", extra=given)
        assert (outcome.code, missing in outcome.err, x.requests) == (2, True, [])


async def test_a_new_key_is_one_that_encrypts(tmp_path: Path) -> None:
    outcome = await mockingbird(write_config(tmp_path, {}), "login", "key")
    assert Fernet(outcome.out.strip())
