"""Text to learn from: `python -m base.clean --work FOLDER` judges what was sampled and found, and divides it.

Outcome: `FOLDER/clean/{posts,dialogue,paragraphs,general,capitals}/{train,heldout}.jsonl`, lines of {"text", "kind"},
and a table of counts on standard error. Each shard is judged once, by the rules of `base.rules`, into `FOLDER/judged`;
then all texts together are freed of repetitions, near ones included, and one in a hundred is held out by a hash of its
words. Run it again when there are new shards: what was held out stays held out.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import islice
from pathlib import Path

from base.presets import KINDS
from base.rules import RULES, cleaned, written
from base.shards import read_lines, write_shard
from bot.tweets.repetition import Said
from bot.tweets.words import words

HELD_OUT_IN = 100  # one text in so many
EXPECTED = 2_000_000  # texts in all, for the memory of what was said
TOGETHER = 10_000  # texts that are compared at a time
SHOUTED_IN = 5  # one post or dialogue in so many is there in capitals as well, whose tokens are rare otherwise


def is_held_out(text: str) -> bool:
    """By its words alone, so that it is the same whatever else there is, and whatever its punctuation."""
    digest = blake2b(" ".join(words(text)).encode(), digest_size=8).digest()
    return int.from_bytes(digest) % HELD_OUT_IN == 0


def judge(work: Path, source: str) -> None:
    """What stays of each shard that was not judged yet."""
    judged = work / "judged" / f"{source}-{RULES[source]}"
    for file in sorted((work / source).glob("*.jsonl")):
        target = judged / file.name
        if not target.exists():
            write_shard(target, _judged(file, source))
            sys.stderr.write(f"judged {source}/{file.name}\n")


def _judged(file: Path, source: str) -> Iterator[dict[str, str]]:
    for line in read_lines(file):
        kind = str(line.get("kind", source))
        for text in cleaned(str(line["text"]), kind, bool(line.get("ended", True))):
            yield {"text": text, "kind": kind}


def together(work: Path) -> Iterator[dict[str, str]]:
    """All that was judged worth keeping, our own texts first."""
    for text, kind in written():
        yield {"text": text, "kind": kind}
    for source in RULES:
        for file in sorted((work / "judged" / f"{source}-{RULES[source]}").glob("*.jsonl")):
            yield from read_lines(file)


def divide(texts: Iterator[dict[str, str]], work: Path) -> Counter[str]:
    """Write each text that repeats no earlier one to its place; the counts of texts and of bytes."""
    said = Said(EXPECTED)
    places = {(kind, part): work / "clean" / kind / f"{part}.jsonl" for kind in KINDS for part in ("train", "heldout")}
    kept: dict[tuple[str, str], list[dict[str, str]]] = {place: [] for place in places}
    while some := list(islice(texts, TOGETHER)):
        for line, repetition in zip(some, said.check([line["text"] for line in some]), strict=True):
            if repetition is None:
                kept[line["kind"], "heldout" if is_held_out(line["text"]) else "train"].append(line)
    for part in ("train", "heldout"):
        calm = kept["posts", part][::SHOUTED_IN] + kept["dialogue", part][::SHOUTED_IN]
        kept["capitals", part] = [{"text": line["text"].upper(), "kind": "capitals"} for line in calm]
    counts: Counter[str] = Counter()
    for (kind, part), lines in kept.items():
        write_shard(places[kind, part], lines)
        counts[f"{kind}/{part} texts"] = len(lines)
        counts[f"{kind}/{part} bytes"] = sum(len(line["text"].encode()) for line in lines)
    return counts


def main(arguments: Sequence[str]) -> int:
    """Judge what is new and divide it all."""
    reader = argparse.ArgumentParser(prog="python -m base.clean", description="Cleans and divides the text.")
    reader.add_argument("--work", type=Path, required=True)
    work: Path = reader.parse_args(arguments).work
    for source in RULES:
        judge(work, source)
    for name, count in divide(together(work), work).items():
        sys.stderr.write(f"{name}: {count:,}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
