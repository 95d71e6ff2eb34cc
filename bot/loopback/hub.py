"""Hugging Face's hub played on 127.0.0.1: looking models up, downloading them, and committing files to them.

`async with LoopbackHub() as hub` listens on a free port; `hub.endpoint` takes the place of https://huggingface.co (the
variable HF_ENDPOINT), and `hub.write_token` and `hub.read_token` are tokens of the user `hub.user` that it accepts.

Where the rules come from: the hub's pages on its API and on access tokens, Git LFS's documents on its batch API, and
what huggingface_hub 2.4 asks and expects of each answer. Small text files are ordinary files of a commit; all others
are LFS files: they are uploaded by their SHA-256 before the commit, and downloads of them are redirected to another
host name, to which no token may be sent (`HubRequest.authorised`). A repository that may not be seen is answered as
one that does not exist.

What it does not know: datasets and spaces, branches and tags (a revision is `main` or a commit), pull requests, limits,
multipart uploads, Xet (no answer names it, so that the library takes the plain way), and most of what the hub's check
of a model card knows: that the front matter is YAML, and of the right types in those fields that it names.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import unquote

import yaml
from aiohttp import web

__all__ = ["HubModel", "HubRequest", "LoopbackHub"]

_REPO = r"{repo:[^/]+(?:/[^/]+)?}"
_REGULAR = (".json", ".md", ".txt", ".gitattributes")  # uploaded as ordinary files
_LISTS_OF_TEXTS = ("tags", "datasets", "metrics")
_TEXTS = ("library_name", "pipeline_tag", "license")


@dataclass(slots=True)
class HubModel:
    """A model repository."""

    name: str  # "owner/name", or a bare name as that of gpt2
    private: bool = False
    gated: bool = False
    # Of each: its id, its summary, and all files as of then. The newest is the last.
    commits: list[tuple[str, str, dict[str, bytes]]] = field(default_factory=list)

    @property
    def files(self) -> dict[str, bytes]:
        """What is in it now."""
        return self.commits[-1][2]

    @property
    def head(self) -> str:
        """The newest commit's id."""
        return self.commits[-1][0]

    def commit(self, summary: str, files: Mapping[str, bytes]) -> str:
        """A new commit in which these are all files; its id."""
        digest = hashlib.sha1(f"{self.name} {len(self.commits)} {summary}".encode(), usedforsecurity=False)
        self.commits.append((digest.hexdigest(), summary, dict(files)))
        return self.head

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """The commit's id and all files then; None when there is no such revision."""
        if revision == "main":
            return self.head, self.files
        return next(((id, files) for id, _, files in self.commits if id == revision), None)


@dataclass(frozen=True, slots=True)
class HubRequest:
    """A request that was answered."""

    method: str
    path: str
    range: str | None  # the header, such as "bytes=1048576-"
    authorised: bool  # whether a token came with it; the token itself is not kept
    status: int  # of the answer


class LoopbackHub:
    """The server; the fields may be changed while it listens."""

    def __init__(self, user: str = "keeper") -> None:
        self.user = user
        self.organisations: list[str] = []  # in which the user may write, too
        self.write_token = f"hf_{secrets.token_hex(17)}"
        self.read_token = f"hf_{secrets.token_hex(17)}"
        self.models: dict[str, HubModel] = {}
        self.requests: list[HubRequest] = []
        self.endpoint = ""
        self._blobs: dict[str, bytes] = {}  # SHA-256 -> LFS file
        self._cuts: dict[str, list[tuple[int, bool]]] = {}  # file name -> what happens to its next downloads
        self._runner: web.AppRunner | None = None
        self._port = 0

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._note], client_max_size=2**30)
        route = app.router.add_route
        route("GET", "/api/whoami-v2", self._whoami)
        route("POST", "/api/validate-yaml", self._validate_card)
        route("POST", "/api/repos/create", self._create)
        route("DELETE", "/api/repos/delete", self._delete)
        route("GET", f"/api/models/{_REPO}", self._info)
        route("GET", f"/api/models/{_REPO}/revision/{{revision}}", self._info)
        route("GET", f"/api/models/{_REPO}/tree/{{revision}}", self._tree)
        route("GET", f"/api/models/{_REPO}/tree/{{revision}}/{{path:.+}}", self._tree)
        route("PUT", f"/api/models/{_REPO}/settings", self._settings)
        route("POST", f"/api/models/{_REPO}/preupload/{{revision}}", self._preupload)
        route("POST", f"/api/models/{_REPO}/commit/{{revision}}", self._commit)
        route("POST", f"/{_REPO}.git/info/lfs/objects/batch", self._batch)
        route("PUT", "/storage/{oid}", self._store)
        route("POST", "/storage/{oid}/verify", self._verify)
        app.router.add_get("/cdn/{oid}/{name}", self._cdn)  # HEAD, too
        app.router.add_get(f"/{_REPO}/resolve/{{revision}}/{{path:.+}}", self._resolve)
        self._runner = web.AppRunner(app, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.endpoint = f"http://127.0.0.1:{self._port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    # --- Whoever owns it ---

    def add(self, name: str, files: Mapping[str, bytes], private: bool = False, gated: bool = False) -> HubModel:
        """A model with these files, as somebody has uploaded it."""
        model = self.models[name] = HubModel(name, private, gated)
        model.commit("initial commit", files)
        self._blobs |= {hashlib.sha256(content).hexdigest(): content for content in files.values()}
        return model

    def cut_off(self, name: str, after: int, reset: bool = False) -> None:
        """Break the connection of the next download of the file of that name once `after` bytes of its answer are out.

        In good order, as a proxy does that gives up; with `reset` hard, as when a cable is pulled. Asked for several
        times, it happens to as many downloads.
        """
        self._cuts.setdefault(name, []).append((after, reset))

    def downloads(self, name: str) -> list[HubRequest]:
        """The requests that asked for the bytes of the file of that name."""
        return [
            each
            for each in self.requests
            if each.method == "GET" and each.path.rpartition("/")[2] == name and each.status in (200, 206)
        ]

    # --- Who is asking ---

    def _token(self, request: web.Request) -> str | None:
        return request.headers.get("Authorization", "").removeprefix("Bearer ") or None

    def _may_see(self, request: web.Request, model: HubModel) -> bool:
        return not model.private or self._owns(request, model.name)

    def _owns(self, request: web.Request, name: str) -> bool:
        owner = name.partition("/")[0]
        known = self._token(request) in (self.write_token, self.read_token)
        return known and owner in (self.user, *self.organisations)

    def _seen(self, request: web.Request) -> HubModel:
        """The model that the path names. Raises the hub's answer when it may not be seen."""
        model = self.models.get(request.match_info["repo"])
        if model is None or not self._may_see(request, model):
            raise _refusal(404 if self._known(request) else 401, "RepoNotFound", "Repository not found")
        return model

    def _known(self, request: web.Request) -> bool:
        return self._token(request) in (self.write_token, self.read_token)

    def _require_write(self, request: web.Request, name: str) -> None:
        if not self._known(request):
            raise _refusal(401, None, "Invalid credentials in Authorization header")
        if self._token(request) != self.write_token or not self._owns(request, name):
            raise _refusal(403, None, f'You don\'t have the rights to write to "{name}"')

    @web.middleware
    async def _note(self, request: web.Request, handler: Any) -> web.StreamResponse:
        status = 500
        try:
            answer: web.StreamResponse = await handler(request)
            status = answer.status
            return answer
        except web.HTTPException as refused:
            status = refused.status
            raise
        finally:
            path = unquote(request.path)
            asked = HubRequest(request.method, path, request.headers.get("Range"), bool(self._token(request)), status)
            self.requests.append(asked)

    # --- Looking ---

    async def _whoami(self, request: web.Request) -> web.Response:
        if not self._known(request):
            raise _refusal(401, None, "Invalid credentials in Authorization header")
        role = "write" if self._token(request) == self.write_token else "read"
        return web.json_response(
            {
                "type": "user",
                "name": self.user,
                "orgs": [{"type": "org", "name": name} for name in self.organisations],
                "auth": {"type": "access_token", "accessToken": {"displayName": "loopback", "role": role}},
            }
        )

    async def _info(self, request: web.Request) -> web.Response:
        model = self._seen(request)
        at = model.at(request.match_info.get("revision", "main"))
        if at is None:
            raise _refusal(404, "RevisionNotFound", "Invalid rev id")
        return web.json_response(
            {
                "_id": hashlib.sha1(model.name.encode(), usedforsecurity=False).hexdigest()[:24],
                "id": model.name,
                "modelId": model.name,
                "sha": at[0],
                "private": model.private,
                "gated": "manual" if model.gated else False,
                "disabled": False,
                "downloads": 0,
                "likes": 0,
                "tags": [],
                "siblings": [{"rfilename": name} for name in sorted(at[1])],
            }
        )

    async def _tree(self, request: web.Request) -> web.Response:
        model = self._seen(request)
        at = model.at(request.match_info["revision"])
        if at is None:
            raise _refusal(404, "RevisionNotFound", "Invalid rev id")
        folder = request.match_info.get("path", "").rstrip("/")
        inside = {name: content for name, content in at[1].items() if not folder or name.startswith(f"{folder}/")}
        if folder and not inside:
            raise _refusal(404, "EntryNotFound", f"{folder} does not exist on {request.match_info['revision']}")
        return web.json_response([_entry(name, content) for name, content in sorted(inside.items())])

    async def _resolve(self, request: web.Request) -> web.StreamResponse:
        model = self._seen(request)
        if model.gated and not self._owns(request, model.name):
            raise _refusal(403 if self._known(request) else 401, "GatedRepo", f"Access to {model.name} is restricted")
        at = model.at(request.match_info["revision"])
        if at is None:
            raise _refusal(404, "RevisionNotFound", "Invalid rev id")
        commit, files = at
        path = request.match_info["path"]
        if path not in files:
            raise _refusal(404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": commit})
        content = files[path]
        if not _is_lfs(path):
            headers = {"X-Repo-Commit": commit, "ETag": f'"{_git_id(content)}"'}
            return await self._send(request, path.rpartition("/")[2], content, headers)
        oid = hashlib.sha256(content).hexdigest()
        headers = {
            "X-Repo-Commit": commit,
            "X-Linked-ETag": f'"{oid}"',
            "X-Linked-Size": str(len(content)),
            "ETag": f'"{_git_id(oid.encode())}"',  # of the pointer
            "Location": f"http://localhost:{self._port}/cdn/{oid}/{path.rpartition('/')[2]}",
        }
        return web.Response(status=302, headers=headers)

    async def _cdn(self, request: web.Request) -> web.StreamResponse:
        oid = request.match_info["oid"]
        if oid not in self._blobs:
            raise web.HTTPNotFound
        return await self._send(request, request.match_info["name"], self._blobs[oid], {"ETag": f'"{oid}"'})

    async def _send(
        self, request: web.Request, name: str, content: bytes, headers: dict[str, str]
    ) -> web.StreamResponse:
        """The file, from the byte on that is asked for; or less of it, if that was ordered."""
        first = _first_byte(request.headers.get("Range"))
        if first is not None and first >= len(content):
            return web.Response(status=416, headers={"Content-Range": f"bytes */{len(content)}"})
        part = content[first or 0 :]
        answer = web.StreamResponse(status=200 if first is None else 206, headers={**headers, "Accept-Ranges": "bytes"})
        if first is not None:
            answer.headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        answer.content_length = len(part)
        await answer.prepare(request)
        if request.method == "HEAD":
            return answer
        cuts = self._cuts.get(name)
        if not cuts:
            await answer.write(part)
            await answer.write_eof()
            return answer
        after, reset = cuts.pop(0)
        await answer.write(part[:after])
        _break(request, reset)
        return answer

    # --- Writing ---

    async def _validate_card(self, request: web.Request) -> web.Response:
        errors = _faults_of_card((await request.json())["content"])
        document = {"errors": [{"message": each} for each in errors], "warnings": []}
        return web.json_response(document, status=400 if errors else 200)

    async def _create(self, request: web.Request) -> web.Response:
        asked = await request.json()
        name = f"{asked.get('organization') or self.user}/{asked['name']}"
        self._require_write(request, name)
        if name in self.models:
            raise _refusal(409, None, "You already created this model repo", url=f"{self.endpoint}/{name}")
        self.add(name, {".gitattributes": b""}, private=asked.get("visibility") == "private")
        return web.json_response({"url": f"{self.endpoint}/{name}", "name": name, "id": name})

    async def _delete(self, request: web.Request) -> web.Response:
        asked = await request.json()
        name = f"{asked.get('organization') or self.user}/{asked['name']}"
        if name not in self.models or not self._may_see(request, self.models[name]):
            raise _refusal(404 if self._known(request) else 401, "RepoNotFound", "Repository not found")
        self._require_write(request, name)
        del self.models[name]
        return web.Response(text="OK")

    async def _settings(self, request: web.Request) -> web.Response:
        model = self._seen(request)
        self._require_write(request, model.name)
        model.private = (await request.json()).get("visibility") == "private"
        return web.json_response({"private": model.private})

    async def _preupload(self, request: web.Request) -> web.Response:
        model = self._seen(request)
        self._require_write(request, model.name)
        asked = (await request.json())["files"]
        return web.json_response(
            {
                "files": [
                    {
                        "path": each["path"],
                        "uploadMode": "lfs" if _is_lfs(each["path"]) else "regular",
                        "shouldIgnore": False,
                        **_known_id(model.files.get(each["path"]), _is_lfs(each["path"])),
                    }
                    for each in asked
                ]
            }
        )

    async def _batch(self, request: web.Request) -> web.Response:
        model = self._seen(request)
        self._require_write(request, model.name)
        document = {"transfer": "basic", "objects": []}
        for each in (await request.json())["objects"]:
            place = f"{self.endpoint}/storage/{each['oid']}"
            actions = {"upload": {"href": f"{place}?size={each['size']}"}, "verify": {"href": f"{place}/verify"}}
            known = {} if each["oid"] in self._blobs else {"actions": actions}
            document["objects"].append({"oid": each["oid"], "size": each["size"], **known})  # type: ignore[attr-defined]
        return web.json_response(document, content_type="application/vnd.git-lfs+json")

    async def _store(self, request: web.Request) -> web.Response:
        """By an address that was given out to somebody who may write, as with signed addresses of a storage."""
        content = await request.read()
        oid = request.match_info["oid"]
        if hashlib.sha256(content).hexdigest() != oid or str(len(content)) != request.query.get("size"):
            return web.Response(status=400, text="XAmzContentSHA256Mismatch")
        self._blobs[oid] = content
        return web.Response()

    async def _verify(self, request: web.Request) -> web.Response:
        content = self._blobs.get(request.match_info["oid"])
        asked = await request.json()
        if content is None or len(content) != asked["size"]:
            return web.Response(status=404, text="not uploaded")
        return web.Response()

    async def _commit(self, request: web.Request) -> web.Response:
        """One operation a line, the header first."""
        model = self._seen(request)
        self._require_write(request, model.name)
        files, summary = dict(model.files), ""
        for line in (await request.read()).splitlines():
            key, value = (operation := json.loads(line))["key"], operation["value"]
            if key == "header":
                summary = value["summary"]
            elif key == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif key == "lfsFile" and value["oid"] in self._blobs:
                files[value["path"]] = self._blobs[value["oid"]]
            elif key == "deletedFile" and value["path"] in files:
                del files[value["path"]]
            else:
                raise _refusal(400, None, f"{key} can't be done")
        commit = model.commit(summary, files)
        return web.json_response(
            {"success": True, "commitOid": commit, "commitUrl": f"{self.endpoint}/{model.name}/commit/{commit}"}
        )


def _refusal(
    status: int, code: str | None, message: str, headers: Mapping[str, str] | None = None, **more: str
) -> web.HTTPError:
    """The hub's error answers say in headers what a program needs to know; `more` stands in the body."""
    kinds = {400: web.HTTPBadRequest, 401: web.HTTPUnauthorized, 403: web.HTTPForbidden}
    kinds |= {404: web.HTTPNotFound, 409: web.HTTPConflict}
    named = {"X-Error-Code": code} if code else {}
    return kinds[status](
        text=json.dumps({"error": message, **more}),
        content_type="application/json",
        headers={"X-Error-Message": message, **named, **(headers or {})},
    )


def _is_lfs(path: str) -> bool:
    return not path.endswith(_REGULAR)


def _git_id(content: bytes) -> str:
    """What git calls a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _known_id(content: bytes | None, is_lfs: bool) -> dict[str, str]:
    if content is None:
        return {}
    return {"oid": hashlib.sha256(content).hexdigest() if is_lfs else _git_id(content)}


def _entry(name: str, content: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": name, "size": len(content), "oid": _git_id(content)}
    if _is_lfs(name):
        entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
    return entry


def _first_byte(header: str | None) -> int | None:
    """Of `bytes=17-`; other ranges are not asked for."""
    return int(header.removeprefix("bytes=").rstrip("-")) if header else None


def _break(request: web.Request, reset: bool) -> None:
    if request.transport is not None and reset:
        request.transport.abort()
    elif request.transport is not None:
        request.transport.close()  # what was written goes out first


def _faults_of_card(content: str) -> list[str]:
    """What is wrong with the front matter, as far as it is known here."""
    parts = content.split("---\n", 2)
    if len(parts) != 3 or parts[0].strip():
        return ["empty or missing yaml metadata in repo card"]
    try:
        data = yaml.safe_load(parts[1])
    except yaml.YAMLError as error:
        return [f"bad yaml: {type(error).__name__}"]
    if not isinstance(data, dict):
        return ["the metadata must be a mapping"]
    faults = [f'"{key}" must be a string' for key in _TEXTS if not isinstance(data.get(key, ""), str)]
    for key in _LISTS_OF_TEXTS:
        value = data.get(key, [])
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            faults.append(f'"{key}" must be an array of strings')
    return faults
