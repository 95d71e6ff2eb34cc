"""The hub that is played on this machine, where the library's own requests do not reach: what it refuses."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

import aiohttp
import pytest

from bot.loopback.hub import LoopbackHub


@pytest.fixture
async def hub() -> AsyncIterator[LoopbackHub]:
    async with LoopbackHub() as server:
        yield server


async def asked(
    hub: LoopbackHub, method: str, path: str, token: str = "", json: object = None, data: bytes | None = None
) -> tuple[int, str]:
    """Status, and the error's code or else the body."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        aiohttp.ClientSession(hub.endpoint, headers=headers) as session,
        session.request(method, path, json=json, data=data) as answer,
    ):
        return answer.status, answer.headers.get("X-Error-Code") or await answer.text()


async def test_a_file_whose_digest_is_another_is_not_taken(hub: LoopbackHub) -> None:
    """Neither when it is uploaded nor in a commit that names it."""
    hub.add("keeper/nell", {})
    digest = hashlib.sha256(b"weights").hexdigest()
    status, _ = await asked(hub, "PUT", f"/storage/{digest}?size=7", data=b"Weights")
    assert status == 400
    lines = b'{"key": "header", "value": {"summary": "v1"}}\n{"key": "lfsFile", "value": {"path": "w", "oid": "%s"}}'
    commit = "/api/models/keeper/nell/commit/main"
    status, _ = await asked(hub, "POST", commit, hub.write_token, data=lines % digest.encode())
    assert status == 400
    assert (await asked(hub, "PUT", f"/storage/{digest}?size=7", data=b"weights"))[0] == 200
    assert (await asked(hub, "POST", commit, hub.write_token, data=lines % digest.encode()))[0] == 200
    assert hub.models["keeper/nell"].files == {"w": b"weights"}


async def test_only_who_may_write_can_write(hub: LoopbackHub) -> None:
    """And only in repositories of his or her own, or of an organisation."""
    for token, status in (("", 401), ("hf_other", 401), (hub.read_token, 403)):
        assert (await asked(hub, "POST", "/api/repos/create", token, json={"name": "nell"}))[0] == status
    elsewhere = {"name": "nell", "organization": "harbour"}
    assert (await asked(hub, "POST", "/api/repos/create", hub.write_token, json=elsewhere))[0] == 403
    hub.organisations.append("harbour")
    assert (await asked(hub, "POST", "/api/repos/create", hub.write_token, json=elsewhere))[0] == 200
    assert hub.models.keys() == {"harbour/nell"}


async def test_what_may_not_be_seen_does_not_exist(hub: LoopbackHub) -> None:
    hub.add("keeper/hidden", {"config.json": b"{}"}, private=True)
    assert (await asked(hub, "GET", "/api/models/keeper/hidden", hub.read_token))[0] == 200
    for name in ("hidden", "nothing"):
        assert await asked(hub, "GET", f"/api/models/keeper/{name}") == (401, "RepoNotFound")
    hub.user = "somebody"
    assert await asked(hub, "GET", "/keeper/hidden/resolve/main/config.json", hub.read_token) == (404, "RepoNotFound")


async def test_what_is_missing_is_told_apart(hub: LoopbackHub) -> None:
    """A repository, a revision, a file."""
    hub.add("gpt2", {"config.json": b"{}"})
    assert await asked(hub, "GET", "/gpt2/resolve/main/config.json") == (200, "{}")
    assert await asked(hub, "GET", "/gpt2/resolve/main/other.json") == (404, "EntryNotFound")
    assert await asked(hub, "GET", "/gpt2/resolve/0123abc/config.json") == (404, "RevisionNotFound")
    assert await asked(hub, "GET", "/api/models/gpt2/revision/0123abc") == (404, "RevisionNotFound")


@pytest.mark.parametrize(
    ("card", "status"),
    [
        ("---\nlicense: mit\ntags: [a]\n---\n# Nell\n", 200),
        ("# Nell\n", 400),
        ("---\ntags: a: b\n---\n", 400),
        ("---\ntags: 7\n---\n", 400),
        ("---\nlicense: [1]\n---\n", 400),
    ],
    ids=["right", "no front matter", "no YAML", "no list", "no text"],
)
async def test_a_card_is_checked(hub: LoopbackHub, card: str, status: int) -> None:
    assert (await asked(hub, "POST", "/api/validate-yaml", json={"content": card, "repoType": "model"}))[0] == status
