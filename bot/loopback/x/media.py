"""Pictures on the X of this machine: uploaded whole or in chunks, described, and attached to posts for 24 hours.

Source: X's OpenAPI document 2.167. Nothing is processed, so an upload has succeeded once it is complete; what the bytes
show is not looked at.
"""

from __future__ import annotations

import secrets
from base64 import b64decode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.loopback.x.answers import Document, invalid_request, problem
from bot.loopback.x.routes import Answer, Call, Caller, Handler, Refused
from bot.loopback.x.showing import media_key

MEDIA_LASTS = timedelta(hours=24)
_LARGEST_PICTURE = 5 * 1024 * 1024  # bytes; X's page on media
_MOST_ATTACHED = 4
_LONGEST_ALT_TEXT = 1_000  # characters


@dataclass(slots=True)
class XMedia:
    """A picture that was uploaded."""

    id: str
    owner_id: str  # the account that may attach it
    category: str  # such as "tweet_image"
    media_type: str  # such as "image/png"; empty where it was not said
    expires_at: datetime  # UTC
    total_bytes: int | None = None  # as announced
    segments: dict[int, bytes] = field(default_factory=dict, repr=False)
    complete: bool = False
    alt_text: str = ""

    @property
    def data(self) -> bytes:
        """What was uploaded."""
        return b"".join(self.segments[index] for index in sorted(self.segments))


class Media:
    """The routes for pictures, and all pictures by id."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        """`clock` gives UTC and lets pictures expire."""
        self.kept: dict[str, XMedia] = {}
        self._clock = clock

    def handlers(self) -> dict[str, Handler]:
        """What answers each route."""
        return {
            "POST /2/media/upload": self._upload,
            "GET /2/media/upload": self._status,
            "POST /2/media/upload/initialize": self._initialize,
            "POST /2/media/upload/:id/append": self._append,
            "POST /2/media/upload/:id/finalize": self._finalize,
            "POST /2/media/metadata": self._describe,
        }

    def require_attachable(self, media_ids: Sequence[str], account_id: str) -> None:
        """Refuses ids of nothing, of somebody else's, of what is incomplete, and of what has expired."""
        fine = [self._usable(media_id, account_id) is not None for media_id in media_ids]
        if not all(fine) or len(media_ids) > _MOST_ATTACHED or not media_ids:
            named = {"media.media_ids": f"[{', '.join(media_ids)}]"}
            raise Refused(Answer(400, invalid_request("Your media IDs are invalid.", named)))

    def _usable(self, media_id: str, account_id: str | None) -> XMedia | None:
        media = self.kept.get(media_id)
        if media is None or media.owner_id != account_id or not media.complete:
            return None
        return media if self._clock() < media.expires_at else None

    def _upload(self, call: Call, caller: Caller) -> Answer:
        body = call.body or {}
        media = self._begin(caller, body.get("media_category", ""), body.get("media_type", ""))
        media.segments[0] = _bytes(call)
        return self._completed(media)

    def _initialize(self, call: Call, caller: Caller) -> Answer:
        body = call.body or {}
        media = self._begin(caller, body.get("media_category", ""), body.get("media_type", ""))
        media.total_bytes = body.get("total_bytes")
        return Answer(200, {"data": self._data(media)})

    def _append(self, call: Call, caller: Caller) -> Answer:
        media = self._under_way(call, caller)
        index = (call.body or {}).get("segment_index", "")
        if not str(index).isdecimal():
            raise _refused("segment_index", str(index), "is not valid")
        media.segments[int(index)] = _bytes(call)
        return Answer(200, {"data": {"expires_at": int(media.expires_at.timestamp())}})

    def _finalize(self, call: Call, caller: Caller) -> Answer:
        media = self._under_way(call, caller)
        if sorted(media.segments) != list(range(len(media.segments))) or not media.segments:
            raise _refused("id", media.id, "has segments missing")
        if media.total_bytes is not None and media.total_bytes != len(media.data):
            raise _refused("id", media.id, f"has {len(media.data)} bytes instead of {media.total_bytes}")
        return self._completed(media)

    def _status(self, call: Call, caller: Caller) -> Answer:
        media = self.kept.get(call.query.get("media_id", ""))
        if media is None or media.owner_id != caller.account_id:
            return _unknown("media_id", call.query.get("media_id", ""))
        return Answer(200, {"data": self._data(media)})

    def _describe(self, call: Call, caller: Caller) -> Answer:
        body = call.body or {}
        media = self._usable(str(body.get("id", "")), caller.account_id)
        if media is None:
            return _unknown("id", str(body.get("id", "")))
        text = ((body.get("metadata") or {}).get("alt_text") or {}).get("text", "")
        if not isinstance(text, str) or len(text) > _LONGEST_ALT_TEXT:
            raise _refused("metadata.alt_text.text", str(text)[:20], "is longer than 1000 characters")
        media.alt_text = text
        associated = {"alt_text": {"text": text}}
        return Answer(200, {"data": {"id": media.id, "associated_metadata": associated}})

    def _begin(self, caller: Caller, category: str, media_type: str) -> XMedia:
        assert caller.account_id is not None
        media_id = str(10**18 + secrets.randbelow(10**17))
        media = XMedia(media_id, caller.account_id, category, media_type, self._clock() + MEDIA_LASTS)
        self.kept[media_id] = media
        return media

    def _under_way(self, call: Call, caller: Caller) -> XMedia:
        media = self.kept.get(call.parameters["id"])
        if media is None or media.owner_id != caller.account_id or self._clock() >= media.expires_at:
            raise Refused(_unknown("id", call.parameters["id"]))
        return media

    def _completed(self, media: XMedia) -> Answer:
        size = len(media.data)
        if not size or (media.category.endswith("_image") and size > _LARGEST_PICTURE):
            raise _refused("media", f"{size} bytes", "has no size that X takes")
        media.complete = True
        media.expires_at = self._clock() + MEDIA_LASTS
        return Answer(200, {"data": self._data(media)})

    def _data(self, media: XMedia) -> Document:
        left = int((media.expires_at - self._clock()).total_seconds())
        data: Document = {"id": media.id, "media_key": media_key(media.id), "expires_after_secs": max(0, left)}
        return data | ({"size": len(media.data)} if media.complete else {})


def _bytes(call: Call) -> bytes:
    """The file of a request: a part of multipart, or Base64 in JSON."""
    if "media" in call.files:
        return call.files["media"]
    try:
        return b64decode(str((call.body or {}).get("media", "")), validate=True)
    except ValueError:
        raise _refused("media", "…", "is not valid") from None


def _refused(parameter: str, value: str, why: str) -> Refused:
    return Refused(Answer(400, invalid_request(f"The `{parameter}` value [{value}] {why}", {parameter: value})))


def _unknown(parameter: str, media_id: str) -> Answer:
    detail = f"Could not find media with {parameter}: [{media_id}]."
    kind = "https://api.twitter.com/2/problems/resource-not-found"
    return Answer(404, problem(404, "Not Found Error", detail, kind))
