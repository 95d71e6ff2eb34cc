"""Makes `examples/<handle>.zip` from `examples/<handle>.jsonl`, in the form of an X account archive.

The same sources always give the same files: ids, counts and order are derived from the text and its date, and no clock
or random number is asked. Run `python examples/build_archives.py` after changing a source; `--into FOLDER` writes
elsewhere. It needs the standard library only.

A line of a source is one tweet: `text` (as X stores it, so `&` is `&amp;` and a retweet starts with `RT @handle: `),
`at` (UTC) and, where they apply, `reply_to` (a handle; the account's own continues a thread), `retweet_of`, `lang`
(English unless named) and `links` (`url` with `expanded_url`, or with `photo`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent

#: Milliseconds between the Unix epoch and the first millisecond that a snowflake id can express.
SNOWFLAKE_EPOCH_MS = 1_288_834_974_657
#: A zip entry carries a date; one that never moves keeps the files equal from build to build.
ENTRY_DATE = (2026, 11, 2, 9, 0, 0)
#: A tweet could be edited for half an hour, five times.
EDITABLE_FOR = timedelta(minutes=30)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Account:
    """An invented account, as `account.js` and `profile.js` describe it."""

    handle: str  # without the @
    name: str  # shown above the tweets
    bio: str
    website: str
    location: str
    time_zone: str
    created: str  # UTC, before the first tweet
    source: str  # what the tweets were written with, as X writes it


WEB = '<a href="https://mobile.twitter.com" rel="nofollow">Twitter Web App</a>'
PHONE = '<a href="http://twitter.com/download/android" rel="nofollow">Twitter for Android</a>'

ACCOUNTS = (
    Account(
        handle="lighthouse_nell",
        name="nell",
        bio="keeper, hollin skerry light. weather at six. gulls throughout.",
        website="https://hollin-skerry.example/",
        location="a rock",
        time_zone="London",
        created="2024-11-02T18:20:00.000Z",
        source=PHONE,
    ),
    Account(
        handle="captain_crumb",
        name="CAPTAIN CRUMB 🏴‍☠️🍞",
        bio="MASTER OF THE GOOD SHIP BUTTERCRUST!! (a kitchen) PLUNDERER OF FLOUR! 90 miles from the sea ⚓ #CrumbAhoy",
        website="https://good-ship-buttercrust.example/",
        location="PORT MUFFIN",
        time_zone="London",
        created="2024-10-30T10:00:00.000Z",
        source=PHONE,
    ),
    Account(
        handle="prof_obsolete",
        name="The Professor of Obsolete Technology",
        bio="Chair (wooden) of Obsolete Technology, University of Lower Thrumley. Views my own; vowels by teleprinter.",
        website="https://lower-thrumley.example/obsolete",
        location="The basement, Lower Thrumley",
        time_zone="London",
        created="2024-10-28T08:05:00.000Z",
        source=WEB,
    ),
)


def number(*parts: object) -> int:
    """A number of 64 bits that stands for these parts: the same on every machine and in every run."""
    return int.from_bytes(hashlib.sha256("|".join(map(str, parts)).encode()).digest()[:8], "big")


def snowflake(moment: datetime, *parts: object) -> int:
    """An id as X gives them out: milliseconds since its epoch, then 22 bits that tell the same millisecond apart."""
    milliseconds = int(moment.timestamp()) * 1000 + number("ms", *parts) % 1000
    return (milliseconds - SNOWFLAKE_EPOCH_MS) << 22 | number("bits", *parts) % (1 << 22)


def user_id(handle: str) -> str:
    return str(1_500_000_000_000_000_000 + number("user", handle.lower()) % 10**17)


def read_source(path: Path) -> list[Json]:
    """The tweets of a source, oldest first, each with its `moment` and its `id`."""
    rows: list[Json] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for row in rows:
        row["moment"] = datetime.fromisoformat(row["at"])
        row["id"] = snowflake(row["moment"], path.stem, row["at"], row["text"])
    return sorted(rows, key=lambda row: int(row["id"]))


def spans(pattern: str, text: str) -> Iterator[tuple[str, list[str]]]:
    """Each first group of the pattern, with the `indices` of the whole match: in code points, end exclusive."""
    for found in re.finditer(pattern, text):
        yield found[1], [str(found.start()), str(found.end())]


def display_url(expanded: str) -> str:
    bare = re.sub(r"^https?://(www\.)?", "", expanded).rstrip("/")
    return bare if len(bare) <= 26 else bare[:25] + "…"


def photo(handle: str, row: Json, url: str, indices: list[str]) -> Json:
    """A `media` entity. Its picture is not part of the example archive, as in an archive that lost its media folder."""
    media_id = str(row["id"] - (number("media", url) % 9000 + 1000 << 22))
    picture = f"pbs.twimg.com/media/{url[-10:]}AAEx.jpg"
    return {
        "expanded_url": f"https://twitter.com/{handle}/status/{row['id']}/photo/1",
        "indices": indices,
        "url": url,
        "media_url": f"http://{picture}",
        "id_str": media_id,
        "id": media_id,
        "media_url_https": f"https://{picture}",
        "sizes": {
            name: {"w": width, "h": height, "resize": resize}
            for name, width, height, resize in [
                ("thumb", "150", "150", "crop"),
                ("small", "680", "510", "fit"),
                ("large", "1600", "1200", "fit"),
            ]
        },
        "type": "photo",
        "display_url": f"pic.twitter.com/{url[-10:]}",
    }


def entities(handle: str, row: Json) -> Json:
    """What X finds in a text: hashtags, mentions, links and photos, each with its place."""
    text = row["text"]
    places = dict(spans(r"(https://t\.co/\w{10})", text))
    links = [link for link in row.get("links", []) if link["url"] in places]
    found: Json = {
        "hashtags": [{"text": tag, "indices": at} for tag, at in spans(r"(?<![\w&])#(\w*[^\W\d_]\w*)", text)],
        "symbols": [],
        "user_mentions": [
            {
                "name": name.replace("_", " ").title(),
                "screen_name": name,
                "indices": at,
                "id_str": user_id(name),
                "id": user_id(name),
            }
            for name, at in spans(r"(?<!\w)@(\w{1,15})", text)
        ],
        "urls": [
            {
                "url": link["url"],
                "expanded_url": link["expanded_url"],
                "display_url": display_url(link["expanded_url"]),
                "indices": places[link["url"]],
            }
            for link in links
            if "expanded_url" in link
        ],
    }
    media = [photo(handle, row, link["url"], places[link["url"]]) for link in links if "photo" in link]
    return found | ({"media": media} if media else {})


def language(row: Json) -> str:
    """The language named in the source, else English; `und` where there are no words to tell it by."""
    words = re.sub(r"https?://\S+|[@#]\w+", "", row["text"])
    return str(row.get("lang", "en")) if re.search(r"[^\W\d_]", words) else "und"


def reply_fields(handle: str, row: Json, before: int) -> Json:
    """The five `in_reply_to_` fields. `before` is the account's own tweet before this one: what a thread continues."""
    to = row.get("reply_to")
    if to is None:
        return {}
    minutes = timedelta(minutes=1 + number("answered", row["id"]) % 50)
    status = str(before if to == handle else snowflake(row["moment"] - minutes, to, row["id"]))
    return {
        "in_reply_to_status_id_str": status,
        "in_reply_to_status_id": status,
        "in_reply_to_user_id": user_id(to),
        "in_reply_to_user_id_str": user_id(to),
        "in_reply_to_screen_name": to,
    }


def tweet(account: Account, row: Json, before: int) -> Json:
    """One entry of `tweets.js`; numbers are strings there."""
    moment: datetime = row["moment"]
    found = entities(account.handle, row)
    ours = "retweet_of" not in row
    liked = number("liked", row["id"]) % 97 if ours else 0
    made: Json = {
        "edit_info": {
            "initial": {
                "editTweetIds": [str(row["id"])],
                "editableUntil": (moment + EDITABLE_FOR).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
                "editsRemaining": "5",
                "isEditEligible": ours and "reply_to" not in row,
            }
        },
        "retweeted": False,
        "source": account.source,
        "entities": found,
        "display_text_range": ["0", str(len(row["text"]))],
        "favorite_count": str(liked),
        "id_str": str(row["id"]),
        "truncated": False,
        "retweet_count": str(liked // 9),
        "id": str(row["id"]),
        "created_at": moment.strftime("%a %b %d %H:%M:%S +0000 %Y"),
        "favorited": False,
        "full_text": row["text"],
        "lang": language(row),
    }
    made |= reply_fields(account.handle, row, before)
    if row.get("links"):
        made["possibly_sensitive"] = False
    if "media" in found:
        made["extended_entities"] = {"media": found["media"]}
    return {"tweet": made}


def tweets(account: Account, rows: list[Json]) -> list[Json]:
    """Every tweet, in no order that means anything: a real archive is not sorted either."""
    before = [0, *(int(row["id"]) for row in rows)]
    made = [tweet(account, row, previous) for row, previous in zip(rows, before, strict=False)]
    return sorted(made, key=lambda entry: number("place", entry["tweet"]["id"]))


def script(name: str, value: object) -> bytes:
    """A data file: a script that assigns one JSON value."""
    return f"window.{name} = {json.dumps(value, ensure_ascii=False, indent=2)}".encode()


def data_files(account: Account, rows: list[Json]) -> dict[str, bytes]:
    """The archive's files but for the manifest, by path."""
    described = {
        "email": None,
        "createdVia": "web",
        "username": account.handle,
        "accountId": user_id(account.handle),
        "createdAt": account.created,
        "accountDisplayName": account.name,
    }
    profile = {"description": {"bio": account.bio, "website": account.website, "location": account.location}}
    zone = {"accountId": user_id(account.handle), "timeZone": account.time_zone}
    return {
        "data/README.txt": b"This account is invented, and so is everybody in it. See examples/README.md.\n",
        "data/account.js": script("YTD.account.part0", [{"account": described}]),
        "data/account-timezone.js": script("YTD.account_timezone.part0", [{"accountTimezone": zone}]),
        "data/profile.js": script("YTD.profile.part0", [{"profile": profile}]),
        "data/tweets.js": script("YTD.tweets.part0", tweets(account, rows)),
    }


def manifest(account: Account, rows: list[Json], files: dict[str, bytes]) -> bytes:
    """`data/manifest.js`: whose archive it is, and where each kind of data lies."""

    def entry(path: str, name: str, count: int) -> Json:
        return {"files": [{"fileName": path, "globalName": f"YTD.{name}.part0", "count": str(count)}]}

    made_at = rows[-1]["moment"] + timedelta(days=1)
    return script(
        "__THAR_CONFIG",
        {
            "userInfo": {
                "accountId": user_id(account.handle),
                "userName": account.handle,
                "displayName": account.name,
            },
            "archiveInfo": {
                "sizeBytes": str(sum(map(len, files.values()))),
                "generationDate": made_at.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
                "isPartialArchive": False,
                "maxPartSizeBytes": "53687091200",
            },
            "readmeInfo": {"fileName": "data/README.txt", "directory": "data/", "name": "README.txt"},
            "dataTypes": {
                "account": entry("data/account.js", "account", 1),
                "accountTimezone": entry("data/account-timezone.js", "account_timezone", 1),
                "profile": entry("data/profile.js", "profile", 1),
                "tweets": {"mediaDirectory": "data/tweets_media"} | entry("data/tweets.js", "tweets", len(rows)),
            },
        },
    )


def build(account: Account, folder: Path = FOLDER, into: Path = FOLDER) -> Path:
    """Writes the account's zip and says where it is."""
    rows = read_source(folder / f"{account.handle}.jsonl")
    files = data_files(account, rows)
    files["data/manifest.js"] = manifest(account, rows, files)
    target = into / f"{account.handle}.zip"
    with zipfile.ZipFile(target, "w") as archive:
        for path, content in sorted(files.items()):
            entry = zipfile.ZipInfo(path, ENTRY_DATE)
            entry.create_system = 3  # Unix, wherever this runs
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED, 9)
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the example archives from their sources.")
    parser.add_argument("--into", type=Path, default=FOLDER, help="folder for the zips (default: beside the sources)")
    into: Path = parser.parse_args().into
    for account in ACCOUNTS:
        if (FOLDER / f"{account.handle}.jsonl").exists():
            sys.stdout.write(f"{build(account, into=into).name}\n")


if __name__ == "__main__":
    main()
