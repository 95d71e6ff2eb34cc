"""Weights & Biases' server as far as a run with artifacts needs it: GraphQL by the names of operations, and uploads.

What it answers was read off what wandb 0.31 asks; it keeps everything that it is sent.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import BasicAuth, web

OPERATION = re.compile(r"(?:query|mutation)\s+(\w+)")
TEAM = "team"


@dataclass
class Logged:
    """An artifact that was created."""

    id: str
    name: str
    type: str
    run: str | None  # that logged it; None where it was only used
    digest: str
    aliases: set[str]
    state: str = "PENDING"


@dataclass
class WandbServer:
    """What came in."""

    url: str = ""
    keys: set[str] = field(default_factory=set)  # API keys that were shown
    asked: list[str] = field(default_factory=list)  # operations
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)  # id -> what the run was last said to be
    artifacts: list[Logged] = field(default_factory=list)
    used: list[tuple[str, str]] = field(default_factory=list)  # run, artifact's name
    history: list[dict[str, Any]] = field(default_factory=list)
    uploads: dict[str, bytes] = field(default_factory=dict)  # address -> content
    bodies: list[bytes] = field(default_factory=list)  # of every request

    async def graphql(self, request: web.Request) -> web.Response:
        """One operation."""
        body = await self._body(request)
        asked = json.loads(body)
        found = OPERATION.search(asked["query"])
        name = found[1] if found else ""
        self.asked.append(name)
        return web.json_response({"data": self._answer(name, asked.get("variables") or {})})

    async def stream(self, request: web.Request) -> web.Response:
        """Lines of history, summary and console of a run."""
        files = json.loads(await self._body(request)).get("files") or {}
        for line in files.get("wandb-history.jsonl", {}).get("content", []):
            self.history.append(json.loads(line))
        return web.json_response({})

    async def upload(self, request: web.Request) -> web.Response:
        """A file."""
        self.uploads[request.path] = await self._body(request)
        return web.Response()

    async def _body(self, request: web.Request) -> bytes:
        if "Authorization" in request.headers:
            self.keys.add(BasicAuth.decode(request.headers["Authorization"]).password)
        body = await request.read()
        body = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
        self.bodies.append(body)
        return body

    def _answer(self, name: str, given: dict[str, Any]) -> dict[str, Any]:
        said = given.get("input") or {}
        match name:
            case "RunResumeStatus":
                return {"model": None}
            case "Viewer":
                team = {"edges": [{"node": {"name": TEAM}}]}
                someone = {"id": "V", "entity": TEAM, "username": "someone", "email": "", "flags": "{}", "teams": team}
                return {"viewer": someone}
            case "ServerFeaturesQuery":
                return {"serverInfo": {"features": []}}
            case "UpsertBucket":
                return {"upsertBucket": {"bucket": self._run(given), "inserted": True}}
            case "CreateRunFiles":
                return {"createRunFiles": {"runID": given["run"], **self._places(given["run"], given["files"])}}
            case "ArtifactType":
                kinds = {each.name: each.type for each in self.artifacts}
                kind = kinds.get(given["name"].partition(":")[0])
                return {"project": {"artifact": {"artifactType": {"name": kind}} if kind else None}}
            case "CreateArtifact":
                return {"createArtifact": {"artifact": self._created(said or given)}}
            case "CreateArtifactManifest" | "UpdateArtifactManifest":
                place = self._place("manifests", given.get("artifactID") or given["artifactManifestID"])
                file = {"id": "F", **place}
                return {name[0].lower() + name[1:]: {"artifactManifest": {"id": given.get("artifactID"), "file": file}}}
            case "CreateArtifactFiles":
                edges = [{"node": self._file(each["artifactID"], each["name"])} for each in said["artifactFiles"]]
                return {"createArtifactFiles": {"files": {"edges": edges}}}
            case "CommitArtifact":
                self._artifact(given["artifactID"]).state = "COMMITTED"
                return {"commitArtifact": {"artifact": {"id": given["artifactID"], "digest": ""}}}
            case "UseArtifact":
                self.used.append((said["runName"], self._artifact(said["artifactID"]).name))
                return {"useArtifact": {"artifact": {"id": said["artifactID"]}}}
            case "ArtifactByID":
                return {"artifact": self._described(self._artifact(given["id"]))}
        raise web.HTTPNotImplemented(text=f"{name} {json.dumps(given)}")

    def _run(self, given: dict[str, Any]) -> dict[str, Any]:
        run = self.runs.setdefault(given["name"], {})
        run |= {key: value for key, value in given.items() if value is not None}
        return {
            "id": given["name"],
            "name": given["name"],
            "displayName": run.get("displayName", ""),
            "description": "",
            "config": "{}",
            "sweepName": None,
            "historyLineCount": 0,
            "project": {"id": "P", "name": given["project"], "entity": {"id": "E", "name": TEAM}},
        }

    def _created(self, said: dict[str, Any]) -> dict[str, Any]:
        name, digest = said["artifactCollectionName"], said["digest"]
        aliases = {each["alias"] for each in said.get("aliases") or []}
        for each in self.artifacts:
            if (each.name, each.digest) == (name, digest):
                each.aliases |= aliases
                return {"id": each.id, "state": each.state, "artifactSequence": {"id": name, "latestArtifact": None}}
        made = Logged(f"A{len(self.artifacts)}", name, said["artifactTypeName"], said["runName"], digest, aliases)
        self.artifacts.append(made)
        return {"id": made.id, "state": made.state, "artifactSequence": {"id": name, "latestArtifact": None}}

    def _artifact(self, number: str) -> Logged:
        return next(each for each in self.artifacts if each.id == number)

    def _place(self, folder: str, name: str) -> dict[str, Any]:
        return {"uploadUrl": f"{self.url}/upload/{folder}/{name}", "uploadHeaders": []}

    def _file(self, artifact: str, name: str) -> dict[str, Any]:
        place = self._place(artifact, name)
        return {**place, "storagePath": f"{artifact}/{name}", "uploadMultipartUrls": None, "artifact": {"id": artifact}}

    def _places(self, folder: str, names: list[str]) -> dict[str, Any]:
        files = [{"name": name, "uploadUrl": f"{self.url}/upload/{folder}/{name}"} for name in names]
        return {"uploadHeaders": [], "files": files}

    def _described(self, artifact: Logged) -> dict[str, Any]:
        project = {"id": "P", "internalId": "P", "name": "mockingbird", "entity": {"name": TEAM}}
        collection = {"__typename": "ArtifactSequence", "name": artifact.name, "project": project}
        return {
            "__typename": "Artifact",
            "id": artifact.id,
            "artifactSequence": collection,
            "versionIndex": 0,
            "artifactType": {"name": artifact.type},
            "description": None,
            "metadata": "{}",
            "ttlDurationSeconds": -2,
            "ttlIsInherited": True,
            "tags": [],
            "historyStep": None,
            "state": artifact.state,
            "size": 1,
            "digest": artifact.digest,
            "commitHash": "c",
            "fileCount": 1,
            "createdAt": "2026-11-22T00:00:00Z",
            "updatedAt": "2026-11-22T00:00:00Z",
            "aliases": [
                {"__typename": "ArtifactAlias", "id": alias, "alias": alias, "artifactCollection": collection}
                for alias in sorted(artifact.aliases)
            ],
        }


@asynccontextmanager
async def wandb_server() -> AsyncIterator[WandbServer]:
    """The server on a port of 127.0.0.1, while the body runs."""
    server = WandbServer()
    app = web.Application(client_max_size=2**26)
    app.router.add_post("/graphql", server.graphql)
    app.router.add_route("*", "/upload/{name:.*}", server.upload)
    app.router.add_post("/files/{entity}/{project}/{run}/file_stream", server.stream)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield server
    finally:
        await runner.cleanup()
