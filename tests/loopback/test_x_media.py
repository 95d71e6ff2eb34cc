"""Pictures on the loopback X: uploaded, described, attached, expired."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO
from typing import Any

import aiohttp
import pytest

from bot.loopback.x import LoopbackX, XKeys
from tests.loopback.x_stage import Caller, Clock

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


async def send(x: Caller, path: str, form: dict[str, Any], keys: XKeys | None = None) -> tuple[int, Any]:
    """A signed multipart request; bytes become a file."""
    data = aiohttp.FormData()
    for name, value in form.items():
        if isinstance(value, bytes):
            data.add_field(name, BytesIO(value), filename="picture.png", content_type="image/png")
        else:
            data.add_field(name, str(value))
    url, headers = x.signed("POST", path, keys)
    async with x.session.post(url, data=data, headers=headers) as answer:
        return answer.status, await answer.json()


async def uploaded(x: Caller, keys: XKeys | None = None) -> str:
    """The id of a picture that was sent in one go."""
    status, document = await send(x, "/2/media/upload", {"media": PICTURE, "media_category": "tweet_image"}, keys)
    assert status == 200, document
    return str(document["data"]["id"])


async def test_a_picture_is_sent_in_one_go(x_server: LoopbackX, x_caller: Caller) -> None:
    """As a part of multipart, or as Base64 in JSON."""
    multipart = await uploaded(x_caller)
    body = {"media": b64encode(PICTURE).decode(), "media_category": "tweet_image"}
    status, document = await x_caller.act("POST", "/2/media/upload", body)
    assert (status, document["data"]["size"]) == (200, len(PICTURE))
    assert document["data"]["expires_after_secs"] == 24 * 60 * 60
    assert [x_server.media[each].data for each in (multipart, document["data"]["id"])] == [PICTURE, PICTURE]


async def test_a_picture_is_sent_in_chunks(x_server: LoopbackX, x_caller: Caller) -> None:
    """Begun, filled in any order, finished."""
    asked = {"media_category": "tweet_image", "media_type": "image/png", "total_bytes": len(PICTURE)}
    _, begun = await x_caller.act("POST", "/2/media/upload/initialize", asked)
    path = f"/2/media/upload/{begun['data']['id']}"
    for index, chunk in ((1, PICTURE[100:]), (0, PICTURE[:100])):
        assert (await send(x_caller, f"{path}/append", {"segment_index": index, "media": chunk}))[0] == 200
    status, finished = await x_caller.act("POST", f"{path}/finalize")
    assert (status, finished["data"]["size"]) == (200, len(PICTURE))
    assert x_server.media[begun["data"]["id"]].data == PICTURE


@pytest.mark.parametrize("segments", [{}, {1: PICTURE}, {0: PICTURE[:10]}])
async def test_an_incomplete_picture_can_not_be_finished(x_caller: Caller, segments: dict[int, bytes]) -> None:
    """Nothing sent, a gap, or fewer bytes than announced."""
    asked = {"media_category": "tweet_image", "media_type": "image/png", "total_bytes": len(PICTURE)}
    _, begun = await x_caller.act("POST", "/2/media/upload/initialize", asked)
    path = f"/2/media/upload/{begun['data']['id']}"
    for index, chunk in segments.items():
        await send(x_caller, f"{path}/append", {"segment_index": index, "media": chunk})
    assert (await x_caller.act("POST", f"{path}/finalize"))[0] == 400


async def test_a_described_picture_is_shown_with_its_post(x_server: LoopbackX, x_caller: Caller) -> None:
    """The text comes through the expansion of attachments."""
    media_id = await uploaded(x_caller)
    described = {"id": media_id, "metadata": {"alt_text": {"text": "A lamp in the fog"}}}
    assert (await x_caller.act("POST", "/2/media/metadata", described))[0] == 200
    _, created = await x_caller.post("look", media={"media_ids": [media_id]})
    post_id = created["data"]["id"]
    asked = {"expansions": "attachments.media_keys", "media.fields": "alt_text,url"}
    _, document = await x_caller.read("/2/tweets", ids=post_id, **asked)
    [shown] = document["includes"]["media"]
    assert x_server.posts[post_id].media == (media_id,)
    assert document["data"][0]["attachments"]["media_keys"] == [shown["media_key"]]
    assert shown["alt_text"] == "A lamp in the fog"


async def test_a_picture_has_a_largest_size(x_server: LoopbackX, x_caller: Caller) -> None:
    """Five megabytes, and it can't be attached beyond that."""
    large = {"media": bytes(5 * 1024 * 1024 + 1), "media_category": "tweet_image"}
    assert (await send(x_caller, "/2/media/upload", large))[0] == 400
    [media_id] = x_server.media
    assert (await x_caller.post("look", media={"media_ids": [media_id]}))[0] == 400


async def test_a_picture_needs_no_text(x_caller: Caller) -> None:
    """Two posts of a picture alone are no duplicates of each other."""
    for _ in range(2):
        media = {"media_ids": [await uploaded(x_caller)]}
        assert (await x_caller.act("POST", "/2/tweets", {"media": media}))[0] == 201


async def test_a_picture_expires_after_a_day(x_caller: Caller, x_clock: Clock) -> None:
    """By the clock of the server; then its id is invalid."""
    early, late = await uploaded(x_caller), await uploaded(x_caller)
    x_clock.move(hours=23, minutes=59)
    first, _ = await x_caller.post("in time", media={"media_ids": [early]})
    x_clock.move(minutes=1)
    second, refused = await x_caller.post("too late", media={"media_ids": [late]})
    assert (first, second) == (201, 400)
    assert refused["errors"][0]["message"] == "Your media IDs are invalid."


async def test_a_picture_belongs_to_who_uploaded_it(x_server: LoopbackX, x_caller: Caller) -> None:
    """Another account can neither attach nor describe it."""
    media_id = await uploaded(x_caller, x_server.keys_of("Nell"))
    described = {"id": media_id, "metadata": {"alt_text": {"text": "mine"}}}
    assert (await x_caller.post("look", media={"media_ids": [media_id]}))[0] == 400
    assert (await x_caller.act("POST", "/2/media/metadata", described))[0] == 404


async def test_a_picture_needs_an_account(x_server: LoopbackX, x_caller: Caller) -> None:
    """The bearer token of the app is not enough."""
    body = {"media": b64encode(PICTURE).decode(), "media_category": "tweet_image"}
    assert (await x_caller.write("/2/media/upload", body))[0] == 403
    assert x_server.media == {}
