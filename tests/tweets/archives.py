"""Made archives of all generations, whole and spoilt, for the tests of readers and of what stands on them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

Files = dict[str, str]


def script(name: str, document: object) -> str:
    """A file as X writes it: JSON behind an assignment."""
    return f"{name} = {json.dumps(document, indent=1)}"


def entry(number: int, text: str, **more: object) -> dict[str, object]:
    """Tweet `number`, sent on that day of November 2022."""
    created_at = f"Thu Nov {number:02} 08:50:26 +0000 2022"
    return {"id_str": str(10**17 + number), "full_text": text, "created_at": created_at, "retweeted": False, **more}


def note(number: int, text: str, at: str) -> dict[str, object]:
    """A long post, as an element of note-tweet.js."""
    core = {"styletags": [], "urls": [], "text": text, "mentions": [], "cashtags": [], "hashtags": []}
    return {"noteTweet": {"noteTweetId": str(9 * 10**17 + number), "createdAt": at, "updatedAt": at, "core": core}}


def modern(**files: str) -> Files:
    """Today's archive of @Ann with two tweets, and direct messages that would break whoever opened them."""
    return {
        "data/account.js": script("window.YTD.account.part0", [{"account": {"username": "Ann", "email": None}}]),
        "data/tweets.js": script("window.YTD.tweets.part0", [{"tweet": entry(1, "one")}, {"tweet": entry(2, "two")}]),
        "data/direct-messages.js": "never to be opened",
        **files,
    }


def with_notes(notes: list[dict[str, object]], tweets: list[dict[str, object]]) -> Files:
    """Today's archive with long posts."""
    entries = [{"tweet": tweet} for tweet in tweets]
    return modern(
        **{
            "data/tweets.js": script("window.YTD.tweets.part0", entries),
            "data/note-tweet.js": script("window.YTD.note_tweet.part0", notes),
        }
    )


def grailbird() -> Files:
    """An archive of before 2018; slashes are escaped as they were then."""
    tweets = [{"id": 5, "id_str": "5", "text": "moving <b>", "created_at": "2008-08-28 00:00:00 +0000"}]
    retweet = {**entry(3, "RT @bob: x"), "retweeted_status": {"id": 4}, "created_at": "2015-04-07 09:59:58 +0000"}
    return {
        "data/js/user_details.js": script("var user_details", {"screen_name": "ann_old"}),
        "data/js/tweet_index.js": script("var tweet_index", []),
        "data/js/tweets/2015_04.js": script("Grailbird.data.tweets_2015_04", [retweet]),
        "data/js/tweets/2008_08.js": script("Grailbird.data.tweets_2008_08", tweets).replace("<", "\\u003C"),
        "tweets.csv": "never to be opened",
    }


def zip_bytes(files: Mapping[str, str | bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of these files."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def zipped(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """The files in archive.zip."""
    path = folder / "archive.zip"
    path.write_bytes(zip_bytes(files))
    return path


def unpacked(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """The files in a folder."""
    path = folder / "archive"
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    path.mkdir(exist_ok=True)
    return path


def in_directories(whole: bytes, member: str, offsets: tuple[int, int], change: bytes) -> bytes:
    """The zip with `change` written into the two entries that tell about a member: the list at the end, and its own."""
    content = bytearray(whole)
    for signature, name_at, offset in ((b"PK\x01\x02", 46, offsets[0]), (b"PK\x03\x04", 30, offsets[1])):
        at = content.find(signature)
        while at >= 0:
            if content[at + name_at :].startswith(member.encode()):
                content[at + offset : at + offset + len(change)] = change
            at = content.find(signature, at + 1)
    return bytes(content)
