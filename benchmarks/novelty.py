"""The index that tells copies from new texts: how long it takes to build, to ask, and what it weighs.

    python benchmarks/novelty.py [--tweets 10000] [--asked 2000]

Invented tweets of 6 to 40 words that follow Zipf's law over 20,000 words, so that a few words stand in most of them.
Of the texts that are asked about a quarter each is new, shares half its words with a tweet, holds a run of nine words
of one, and is one with its case and punctuation changed. Processor time, since other work may run beside it. Prints one
JSON document.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import statistics
import time
from itertools import accumulate

import psutil

from bot.generation.novelty import NoveltyIndex

VOCABULARY = 20_000
WEIGHTS = list(accumulate(1 / rank for rank in range(1, VOCABULARY + 1)))


def tweet(chance: random.Random) -> list[str]:
    """Words of one invented tweet."""
    numbers = chance.choices(range(VOCABULARY), cum_weights=WEIGHTS, k=chance.randint(6, 40))
    return [f"word{number}" for number in numbers]


def asked(tweets: list[list[str]], count: int, chance: random.Random) -> list[str]:
    """Texts to ask about, of the four kinds by turns."""
    texts = []
    for number in range(count):
        words, real = tweet(chance), chance.choice(tweets)
        if number % 4 == 1:
            words = [*real[: len(real) // 2], *words[: len(real) // 2]]
        elif number % 4 == 2:
            words = [*words[:4], *real[:9], *words[4:8]]
        elif number % 4 == 3:
            words = [f"{word.upper()}!" for word in real]
        texts.append(" ".join(words))
    return texts


def measure(count: int, number_asked: int) -> dict[str, float]:
    """Seconds to build, megabytes, microseconds for each text."""
    chance = random.Random(1)
    tweets = [tweet(chance) for _ in range(count)]
    pairs = [(str(number), " ".join(words)) for number, words in enumerate(tweets)]
    gc.collect()
    before = psutil.Process().memory_info().rss
    began = time.thread_time()
    index = NoveltyIndex(pairs)
    built = time.thread_time() - began
    memory = psutil.Process().memory_info().rss - before
    taken = []
    for text in asked(tweets, number_asked, chance):
        began = time.thread_time()
        index.check(text)
        taken.append((time.thread_time() - began) * 1e6)
    taken.sort()
    return {
        "tweets": count,
        "build_s": round(built, 2),
        "memory_mb": round(memory / 1e6, 1),
        "median_us": round(statistics.median(taken)),
        "p99_us": round(taken[int(len(taken) * 0.99)]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tweets", type=int, default=10_000)
    parser.add_argument("--asked", type=int, default=2_000)
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.tweets, arguments.asked), indent=2))


if __name__ == "__main__":
    main()
