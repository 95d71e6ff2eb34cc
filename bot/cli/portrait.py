"""An account's portrait on a terminal: tables and bars that fit into 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.table import Table

from bot.cli.terminal import out
from bot.tweets.cleaning import Verdict
from bot.tweets.counts import AccountCounts
from bot.tweets.languages import NAMES
from bot.tweets.portrait import LENGTH_STEP, Lengths, Month, Portrait, periods, why

MOST_PERIODS = 24  # rows of the activity
MOST_LANGUAGES = 8  # rows; the rest is one
MOST_LEFT_OUT = 3  # examples of each verdict but kept
BAR = 40  # characters of the longest bar

Row = Sequence[str]


def print_portrait(counts: AccountCounts, portrait: Portrait) -> None:
    """All of it, from the counts down to examples of what was kept and what was left out."""
    out.print(_head(counts, portrait), markup=False, highlight=False)
    verdicts = [(verdict.value, share(tweets, portrait.tweets), why(verdict)) for verdict, tweets in _some(portrait)]
    print_table("Why tweets are learned or not", ("verdict", "tweets", ""), verdicts)
    print_distributions(portrait)
    if portrait.habits.own:
        print_table(f"Of {portrait.habits.own:,} tweets that are no retweets", ("with", "tweets"), _habits(portrait))
    for verdict, texts in portrait.examples.items():
        shown = texts if verdict is Verdict.KEPT else texts[:MOST_LEFT_OUT]
        if shown:
            out.print(f"\n{verdict.value}: {why(verdict)}", markup=False, highlight=False)
        for text in shown:
            out.print(f"· {text}", markup=False, highlight=False)


def print_distributions(portrait: Portrait) -> None:
    """When its tweets were written, how long they are, and in which languages."""
    if portrait.months:
        title = "Activity: █ learned, ░ left out" + (f"; {portrait.undated:,} without a time" * bool(portrait.undated))
        print_table(title, ("when", "tweets", ""), _activity(portrait.months))
    if portrait.lengths:
        print_table(
            f"Lengths of what is learned: half have at most {portrait.lengths.median} characters, "
            f"nine of ten at most {portrait.lengths.ninth_tenth}",
            ("characters", "tweets", ""),
            _lengths(portrait.lengths),
        )
        print_table(_languages_title(portrait), ("language", "tweets"), _languages(portrait))


def print_table(title: str, columns: Row, rows: Iterable[Row]) -> None:
    """A table with a title; the second column is of numbers."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number == 1 else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    out.print(f"\n{title}", style="bold", markup=False, highlight=False)
    out.print(table)


def _head(counts: AccountCounts, portrait: Portrait) -> str:
    dates = f", {portrait.first:%Y-%m-%d} to {portrait.last:%Y-%m-%d}" if portrait.first and portrait.last else ""
    sources = ", ".join(f"{source.value} {tweets:,}" for source, tweets in portrait.sources.items())
    enough = f"{counts.kept:,} are kept, {counts.characters:,} characters: {counts.verdict.value}."
    return f"@{portrait.handle}: {portrait.tweets:,} tweets{dates} ({sources or 'none'}). {enough}"


def _some(portrait: Portrait) -> Iterable[tuple[Verdict, int]]:
    return ((verdict, tweets) for verdict, tweets in portrait.verdicts.items() if tweets)


def share(part: int, whole: int) -> str:
    """`3 (75%)`."""
    percent = part / whole * 100 if whole else 0.0
    return f"{part:,} ({'<1' if 0 < percent < 1 else round(percent)}%)"


def _bar(tweets: int, kept: int, most: int) -> str:
    whole, full = (-(-count * BAR // most) for count in (tweets, kept))  # rounded up: a single tweet is seen
    return "█" * full + "░" * (whole - full)


def _activity(months: Sequence[Month]) -> Iterable[Row]:
    found = periods(months, MOST_PERIODS)
    most = max(period.tweets for period in found)
    return [(period.name, f"{period.tweets:,}", _bar(period.tweets, period.kept, most)) for period in found]


def _lengths(lengths: Lengths) -> Iterable[Row]:
    most = max(lengths.bars)
    last = max(number for number, tweets in enumerate(lengths.bars) if tweets)
    for number, tweets in enumerate(lengths.bars[: last + 1]):
        begin, end = number * LENGTH_STEP + 1, (number + 1) * LENGTH_STEP
        name = f"{begin} to {end}" if number < len(lengths.bars) - 1 else f"over {begin - 1}"
        yield name, f"{tweets:,}", _bar(tweets, tweets, most)


def _languages_title(portrait: Portrait) -> str:
    languages = portrait.languages
    sampled = f" (of {languages.detected:,} tweets, one in {languages.every})" if languages.every > 1 else ""
    return f"Languages of what is learned{sampled}"


def _languages(portrait: Portrait) -> Iterable[Row]:
    counts = list(portrait.languages.counts.items())
    for code, tweets in counts[:MOST_LANGUAGES]:
        yield f"{NAMES.get(code, code)}", share(tweets, portrait.languages.detected)
    if rest := sum(tweets for _, tweets in counts[MOST_LANGUAGES:]):
        yield f"{len(counts) - MOST_LANGUAGES} others", share(rest, portrait.languages.detected)


def _habits(portrait: Portrait) -> Iterable[Row]:
    names = {"capitals": "a word in capitals", "replies": "replies to somebody"}
    for habit, tweets in portrait.habits.model_dump(exclude={"own"}).items():
        yield names.get(habit, habit), share(tweets, portrait.habits.own)
