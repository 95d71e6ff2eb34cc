"""Reading an archive and a table: tweets a second and peak memory, beside json.loads, csv and pandas alone.

    python benchmarks/reading.py [--tweets 50000] [--rounds 5] [--folder FOLDER] [--only NAME ...]

Makes an archive zip in today's form (about 2 kB for each tweet, parts of 100,000) and a CSV, measures each way in a
process of its own, all of them in turn in each round, and deletes the files. Prints one JSON document: medians and,
from the same run, ratios. pandas is measured where it is installed; the service does not need it.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

PART = 100_000  # tweets in one file of the archive
BEGIN = datetime(2010, 1, 1, tzinfo=UTC)
SEED = 7


# What is read


def made(count: int) -> Iterator[tuple[int, str, datetime, str | None]]:
    """Id, text, time and whom it answers, of tweets that vary as an account's do."""
    dice = random.Random(SEED)
    syllables = [
        first + second for first in "bdfgklmnprstvz" for second in ("a", "e", "i", "o", "u", "an", "er", "ing")
    ]
    words = ["".join(dice.choices(syllables, k=dice.choice((1, 2, 2, 3)))) for _ in range(20_000)]
    for number in range(count):
        text = " ".join(dice.choices(words, k=dice.randint(4, 30)))
        kind = dice.random()
        if kind < 0.15:
            text = f"RT @{words[number % 500]}: {text}"
        elif kind < 0.35:
            text = f"@{words[number % 700]} {text}"
        if dice.random() < 0.3:
            text += " &amp; more 🌊"
        if dice.random() < 0.35:
            text += f" https://t.co/{dice.getrandbits(48):012x}"[:24]
        moment = BEGIN + timedelta(seconds=61 * number)
        yield 10**17 + 4_194_304 * number, text, moment, words[number % 700] if 0.15 <= kind < 0.35 else None


def entry(id_: int, text: str, moment: datetime, reply_to: str | None) -> dict[str, object]:
    """One element of tweets.js, with the fields and the size that X gives it."""
    picture = {
        "expanded_url": f"https://twitter.com/ann/status/{id_}/photo/1",
        "indices": ["30", "53"],
        "url": "https://t.co/p5Z1ebhgmy",
        "media_url": "http://pbs.twimg.com/media/FgoIitdWAAAL87b.jpg",
        "id_str": str(id_ - 1),
        "id": str(id_ - 1),
        "media_url_https": "https://pbs.twimg.com/media/FgoIitdWAAAL87b.jpg",
        "sizes": {size: {"w": "680", "h": "510", "resize": "fit"} for size in ("small", "medium", "large")},
        "type": "photo",
        "display_url": "pic.twitter.com/p5Z1ebhgmy",
    }
    mention = {"name": "Ann Other", "screen_name": "other", "indices": ["0", "7"], "id_str": "12", "id": "12"}
    tweet: dict[str, object] = {
        "edit_info": {
            "initial": {
                "editTweetIds": [str(id_)],
                "editableUntil": f"{moment:%Y-%m-%dT%H:%M:%S}.000Z",
                "editsRemaining": "5",
                "isEditEligible": True,
            }
        },
        "retweeted": False,
        "source": '<a href="http://twitter.com/download/iphone" rel="nofollow">Twitter for iPhone</a>',
        "entities": {
            "user_mentions": [mention] if reply_to else [],
            "urls": [],
            "symbols": [],
            "media": [picture],
            "hashtags": [],
        },
        "display_text_range": ["0", str(len(text))],
        "favorite_count": str(id_ % 97),
        "id_str": str(id_),
        "truncated": False,
        "retweet_count": "1",
        "id": str(id_),
        "possibly_sensitive": False,
        "created_at": f"{moment:%a %b %d %H:%M:%S +0000 %Y}",
        "favorited": False,
        "full_text": text,
        "lang": "en",
    }
    if reply_to:
        tweet |= {
            "in_reply_to_screen_name": reply_to,
            "in_reply_to_status_id_str": "5",
            "in_reply_to_user_id_str": "12",
        }
    return {"tweet": tweet}


def make_archive(path: Path, count: int) -> int:
    """Write the archive; its size unpacked in bytes."""
    size = 0
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("data/account.js", 'window.YTD.account.part0 = [ { "account" : { "username" : "ann" } } ]')
        tweets = made(count)
        for part in range(0, count, PART):
            name = f"data/tweets-part{part // PART}.js" if part else "data/tweets.js"
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(f"window.YTD.tweets.part{part // PART} = [".encode())
                for number in range(part, min(count, part + PART)):
                    text = json.dumps(entry(*next(tweets)), indent=2, ensure_ascii=False, separators=(",", " : "))
                    indented = text.replace("\n", "\n  ")
                    size += member.write(f"{',' if number > part else ''}\n  {indented}".encode())
                member.write(b"\n]")
    return size


def make_table(path: Path, count: int) -> int:
    """Write the CSV; its size in bytes."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ("id", "created_at", "user", "text", "in_reply_to_screen_name", "retweet_count", "favorite_count")
        )
        for id_, text, moment, reply_to in made(count):
            writer.writerow((id_, f"{moment:%Y-%m-%d %H:%M:%S}+00:00", "ann", text, reply_to or "", 3, id_ % 97))
    return path.stat().st_size


# Ways to read it, each in a process of its own: they give the number of tweets and the time that counts


class Spent(NamedTuple):
    """Seconds on the clock, and of the processors, which other work on the machine does not stretch as much."""

    clock: float
    cpu: float

    @classmethod
    def now(cls) -> Spent:
        return cls(time.perf_counter(), time.process_time())

    def since(self, began: Spent) -> Spent:
        return Spent(self.clock - began.clock, self.cpu - began.cpu)


def parse_archive(folder: Path) -> tuple[int, Spent]:
    """json.loads alone, part by part; unpacking and decoding are not counted."""
    count, spent = 0, Spent(0, 0)
    with zipfile.ZipFile(folder / "archive.zip") as archive:
        for name in archive.namelist():
            if "tweets" in name:
                text = archive.read(name).decode()
                text = text[text.index("[") :]
                began = Spent.now()
                count += len(json.loads(text))
                found = Spent.now().since(began)
                spent = Spent(spent.clock + found.clock, spent.cpu + found.cpu)
    return count, spent


def parse_table(folder: Path) -> tuple[int, Spent]:
    """The standard library's csv alone, row by row."""
    began = Spent.now()
    with (folder / "table.csv").open(encoding="utf-8", newline="") as file:
        count = sum(1 for _ in csv.reader(file)) - 1
    return count, Spent.now().since(began)


def parse_table_with_pandas(folder: Path) -> tuple[int, Spent]:
    """`pandas.read_csv` alone, the import not counted."""
    import pandas  # type: ignore[import-not-found,import-untyped,unused-ignore]

    began = Spent.now()
    count = len(pandas.read_csv(folder / "table.csv"))
    return count, Spent.now().since(began)


def reading(path: Path, each: Callable[[Sequence[object]], object] = len) -> tuple[int, Spent]:
    from bot.tweets.reading import opened

    began = Spent.now()
    count = 0
    with opened(path) as batches:
        for batch in batches:
            each(batch)
            count += len(batch)
    return count, Spent.now().since(began)


def cleaning(path: Path) -> tuple[int, Spent]:
    from bot.tweets.cleaning import Profile, clean

    return reading(path, lambda batch: [clean(tweet.text, Profile.MOCKINGBIRD) for tweet in batch])  # type: ignore[attr-defined]


def importing(path: Path) -> tuple[int, Spent, int]:
    """As `mockingbird import` does it: read, stored, cleaned and judged; also the database's size in bytes."""
    from bot.database import Database
    from bot.tweets.importing import in_threads
    from bot.tweets.reading import opened
    from bot.tweets.store import TweetStore

    database_file = path.parent / "import.db"

    async def run() -> tuple[int, Spent]:
        async with Database(database_file) as database:
            began = Spent.now()
            with opened(path) as source:
                counts = await TweetStore(database, lambda: datetime.now(UTC)).add_all(in_threads(source))
            return sum(each.downloaded for each in counts), Spent.now().since(began)

    count, spent = asyncio.run(run())
    size = database_file.stat().st_size
    for file in path.parent.glob("import.db*"):
        file.unlink()
    return count, spent, size


WAYS: dict[str, Callable[[Path], tuple[int, Spent] | tuple[int, Spent, int]]] = {
    "archive: json.loads alone": parse_archive,
    "archive: reading": lambda folder: reading(folder / "archive.zip"),
    "archive: reading and cleaning": lambda folder: cleaning(folder / "archive.zip"),
    "archive: whole import": lambda folder: importing(folder / "archive.zip"),
    "table: csv alone": parse_table,
    "table: pandas alone": parse_table_with_pandas,
    "table: reading": lambda folder: reading(folder / "table.csv"),
    "table: reading and cleaning": lambda folder: cleaning(folder / "table.csv"),
    "table: whole import": lambda folder: importing(folder / "table.csv"),
}
BESIDE = {"archive": "archive: json.loads alone", "table": "table: csv alone"}


def measured(way: str, folder: Path) -> dict[str, float] | None:
    """One way in a child process; None where it needs what is not installed."""
    child = subprocess.run(
        [sys.executable, __file__, "--measure", way, "--folder", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if child.returncode:
        if "No module named 'pandas'" in child.stderr:
            return None
        raise SystemExit(child.stderr)
    answer: dict[str, float] = json.loads(child.stdout)
    return answer


def measure(way: str, folder: Path) -> None:
    """In the child: prints seconds, tweets and peak memory."""
    count, spent, *size = WAYS[way](folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = {"tweets": count, "seconds": spent.clock, "cpu_seconds": spent.cpu, "peak_mb": peak}
    print(json.dumps(figures | {"database_mb": (size or [0])[0] / 1e6}))


def compare(folder: Path, tweets: int, rounds: int, ways: Sequence[str]) -> dict[str, object]:
    """Medians of all ways on files that are made here."""
    archive_bytes = make_archive(folder / "archive.zip", tweets)
    table_bytes = make_table(folder / "table.csv", tweets)
    runs: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way in ways:
            if run := measured(way, folder):
                runs[way].append(run)
    found = {way: median(each) for way, each in runs.items() if each}
    return {
        "tweets": tweets,
        "archive_mb_unpacked": round(archive_bytes / 1e6),
        "table_mb": round(table_bytes / 1e6),
        "ways": {way: row(figures, found.get(BESIDE[way.partition(":")[0]])) for way, figures in found.items()},
    }


def median(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    """Of each figure the median, of memory the most."""
    figures = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    return figures | {"peak_mb": max(run["peak_mb"] for run in runs)}


def row(figures: dict[str, float], beside: dict[str, float] | None) -> dict[str, float]:
    """What is printed of a way, with the ratios to parsing alone."""
    shown = {
        "tweets_per_second": round(figures["tweets"] / figures["seconds"]),
        "tweets_per_cpu_second": round(figures["tweets"] / figures["cpu_seconds"]),
        "peak_mb": round(figures["peak_mb"]),
    }
    ratios = (
        {
            "times_parsing_alone": round(figures["seconds"] / beside["seconds"], 2),
            "times_parsing_alone_cpu": round(figures["cpu_seconds"] / beside["cpu_seconds"], 2),
        }
        if beside
        else {}
    )
    size = {"database_mb_per_million": round(figures["database_mb"] * 1e6 / figures["tweets"])}
    return {**shown, **ratios, **(size if figures["database_mb"] else {})}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tweets", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=list(WAYS), default=list(WAYS), metavar="NAME")
    parser.add_argument("--folder", type=Path, help="where the files are made; the system's place for such, by default")
    parser.add_argument("--measure", choices=list(WAYS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure, arguments.folder)
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        print(json.dumps(compare(Path(folder), arguments.tweets, arguments.rounds, arguments.only), indent=1))


if __name__ == "__main__":
    main()
