"""X's compliance jobs, played: ids go up as a file, and what has to go comes back as lines of JSON.

Source: X's integration guide of September 2026 (one active job, an address for the upload that lasts 15 minutes, one
for the results that lasts 7 days, both asking for the bearer token; an id without a line needs nothing). Where the
addresses lead is not described anywhere; here it is under the job.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.loopback.x.answers import Document, XRefusal, problem, without_empty
from bot.loopback.x.content import XContent
from bot.loopback.x.posts import PostState, timestamp
from bot.loopback.x.routes import Answer, Call, Caller, Handler, Refused

_UPLOAD_LASTS = timedelta(minutes=15)
_RESULTS_LAST = timedelta(days=7)


@dataclass(slots=True)
class _Job:
    id: str
    name: str
    created_at: datetime
    token: str = field(repr=False)
    ids: list[str] | None = None  # as uploaded
    looks: int = 0  # how often it was asked for since then


class ComplianceJobs:
    """All jobs of the app. One is in progress when it is first asked for after the upload, and complete afterwards."""

    def __init__(self, content: XContent, clock: Callable[[], datetime], api_base: Callable[[], str]) -> None:
        """`api_base` tells where the server listens: the job's addresses lead there."""
        self._content = content
        self._clock = clock
        self._api_base = api_base
        self._jobs: dict[str, _Job] = {}

    def handlers(self) -> dict[str, Handler]:
        """What answers each route."""
        return {
            "POST /2/compliance/jobs": self._create,
            "GET /2/compliance/jobs/:id": self._show,
            "PUT /2/compliance/jobs/:id/upload": self._upload,
            "GET /2/compliance/jobs/:id/results": self._results,
        }

    def _create(self, call: Call, _: Caller) -> Answer:
        """Begin a job, unless one is under way."""
        if any(self._status(job) in ("created", "in_progress") for job in self._jobs.values()):
            busy = problem(409, "Conflict", "A compliance job of this type is already active.")
            raise Refused(Answer(409, busy))
        name = (call.body or {}).get("name", "")
        job = _Job(str(1_500 + len(self._jobs)), name, self._clock(), secrets.token_urlsafe(16))
        self._jobs[job.id] = job
        return Answer(200, {"data": self._document(job)})

    def _show(self, call: Call, _: Caller) -> Answer:
        """How a job stands."""
        job = self._jobs.get(call.parameters["id"])
        if job is None:
            return Answer(404, problem(404, "Not Found", "Not Found"))
        document = self._document(job)
        job.looks += job.ids is not None
        return Answer(200, {"data": document})

    def _upload(self, call: Call, _: Caller) -> Answer:
        """Take the ids."""
        job = self._allowed(call)
        if self._status(job) != "created":
            raise Refused(Answer(403, problem(403, "Forbidden", "The upload URL has expired.")))
        job.ids = call.text.split()
        return Answer(200, None, text="")

    def _results(self, call: Call, _: Caller) -> Answer:
        """The lines of a complete job."""
        job = self._allowed(call)
        if self._status(job) != "complete":
            raise Refused(Answer(403, problem(403, "Forbidden", "The download URL is not valid.")))
        return Answer(200, None, text="".join(json.dumps(line) + "\n" for line in self._lines(job)))

    def _allowed(self, call: Call) -> _Job:
        job = self._jobs.get(call.parameters["id"])
        if job is None or job.token != call.query.get("token", ""):
            raise Refused(Answer.of(XRefusal.UNAUTHORIZED))
        return job

    def _status(self, job: _Job) -> str:
        if job.ids is None:
            return "created" if self._clock() < job.created_at + _UPLOAD_LASTS else "expired"
        return "complete" if job.looks else "in_progress"

    def _document(self, job: _Job) -> Document:
        address = f"{self._api_base()}/2/compliance/jobs/{job.id}"
        return without_empty(
            {
                "id": job.id,
                "name": job.name,
                "type": "tweets",
                "status": self._status(job),
                "created_at": timestamp(job.created_at),
                "upload_url": f"{address}/upload?token={job.token}",
                "upload_expires_at": timestamp(job.created_at + _UPLOAD_LASTS),
                "download_url": f"{address}/results?token={job.token}",
                "download_expires_at": timestamp(job.created_at + _RESULTS_LAST),
            }
        )

    def _lines(self, job: _Job) -> Iterator[Document]:
        for post_id in job.ids or ():
            if not post_id.isdecimal():
                yield {"id": post_id, "error": "invalid_id"}
                continue
            event = self._event(post_id)
            if event is not None:
                action, reason = event
                now = timestamp(self._clock())
                yield {"id": post_id, "action": action, "reason": reason, "created_at": now, "redacted_at": now}

    def _event(self, post_id: str) -> tuple[str, str] | None:
        """Action and reason, in X's words; None when nothing happened to the post."""
        if self._content.is_gone(post_id):
            return "delete", "deleted"
        post = self._content.posts[post_id]
        account = self._content.accounts[post.author_id]
        if account.suspended:
            return "delete", "suspended"
        if account.protected:
            return "delete", "protected"
        return ("rehydrate", "tweet_edited") if post.state is PostState.EDITED else None
