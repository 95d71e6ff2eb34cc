"""Commands about the accounts whose words come in."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import click
from rich import progress
from rich.table import Table

from bot.app.rooms import Rooms, open_collector, open_rooms
from bot.cli.portrait import print_portrait
from bot.cli.terminal import cli, command, err, json_option, note, out, print_json
from bot.config import Config, Prices
from bot.errors import UsageError
from bot.personas.consent import require_note
from bot.tweets.cleaning import Profile, Verdict
from bot.tweets.collecting import Collector
from bot.tweets.costs import Month, cents, dollars
from bot.tweets.counts import AccountCounts
from bot.tweets.fetching_plan import FetchPlan
from bot.tweets.forecast import Outlook
from bot.tweets.importing import import_file
from bot.tweets.store import Account, Basis
from bot.tweets.timeline_reading import Progress
from bot.tweets.tweet import normalise_handle

PATIENCE_S = 2.0  # until a bar is shown


@cli.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--handle", help="Whose tweets these are, where the file does not say.")
@click.option("--basis", type=click.Choice([basis.value for basis in Basis]), help="Why this account may be learned.")
@click.option("--note", "words", help="Where a permission is written; with --basis permission.")
@click.option("--profile", type=click.Choice([profile.value for profile in Profile]), help="How tweets are cleaned.")
@json_option
@command
async def import_(
    config: Config,
    path: Path,
    handle: str | None,
    basis: str | None,
    words: str | None,
    profile: str | None,
    as_json: bool,
) -> None:
    """Read tweets from an X archive (zip or folder), CSV, TSV, JSON or JSONL."""
    if basis is not None:
        require_note(Basis(basis), words)
    elif words is not None:
        raise UsageError("A note belongs to a basis. Name it, for example --basis permission.")
    async with open_rooms(config) as rooms:
        why, how = Basis(basis) if basis else None, Profile(profile) if profile else None
        with _progress() as show:
            counts, skips = await import_file(rooms.store, path, handle, why, how, words, show)
        bases = {each.handle: await rooms.store.basis(each.handle) for each in counts}
    if as_json:
        skipped = [{"where": each.where, "reason": each.reason} for each in skips.first]
        print_json(
            {
                "accounts": [account.as_json() for account in counts],
                "skipped": skipped,
                "skipped_counts": {reason.value: count for reason, count in skips.counts.items()},
            }
        )
        return
    _print_counts(counts)
    for each in skips.first[:10]:
        note(f"Skipped {each.where}: {each.reason}")
    if skips.counts.total() > 10:
        reasons = "; ".join(f"{count:,} because {reason}" for reason, count in skips.counts.most_common())
        note(f"In all {skips.counts.total():,} were skipped: {reasons}")
    for name in (name for name, stands in bases.items() if stands is None):
        note(f"Say why @{name} may be learned: mockingbird basis {name} BASIS")
    if counts:
        note(f"Next: mockingbird train {counts[0].handle}")


@cli.command()
@click.argument("handles", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Go on without asking about the cost.")
@json_option
@command
async def fetch(config: Config, handles: Sequence[str], yes: bool, as_json: bool) -> None:
    """Fetch new tweets from X: says what it will cost, asks, then does it."""
    fetched: list[dict[str, object]] = []
    async with open_rooms(config) as rooms, open_collector(rooms) as collector:
        for handle in map(normalise_handle, handles):
            look_up = await collector.look_up_price(handle)
            if look_up:
                spent = await rooms.ledger.month_total()
                note(f"@{handle}: looking it up costs {dollars(look_up)}. {_month_so_far(spent, config)}")
                _agree("Look it up?", yes)
            estimate = await collector.estimate(handle)
            note(
                f"@{handle}: about {estimate.posts:,} posts, {dollars(estimate.usd)} "
                f"(prices: {_prices(config.prices)}). {_month_so_far(estimate.month, config)}"
            )
            _agree("Fetch them?", yes)
            fetched.append(await _fetch(rooms, collector, handle))
    if as_json:
        print_json({"accounts": fetched})


async def _fetch(rooms: Rooms, collector: Collector, handle: str) -> dict[str, object]:
    """Fetch and say what it cost, also when it ends before its end; in JSON what came of it."""
    read = Progress(handle)

    def tell(progress: Progress) -> None:
        nonlocal read
        read = progress
        note(f"@{handle}: page {progress.pages}, {progress.new:,} new tweets for {dollars(progress.usd)} so far.")

    try:
        result = await collector.fetch(handle, tell)
    finally:
        month = await rooms.ledger.month()
        total = month.by_account().get(handle, Decimal(0))
        note(
            f"@{handle}: {read.new:,} new tweets. It has cost {dollars(total)} this month, X as a whole "
            f"{dollars(month.spent + month.under_way)} of {dollars(month.cap)}."
        )
    return {"handle": handle, "new": result.new, "usd": str(result.usd), "month_usd": str(total)}


def _agree(question: str, yes: bool) -> None:
    """Go on only when somebody says so. Raises `UsageError` where nobody can be asked, `click.Abort` on a no."""
    if yes:
        return
    if not os.isatty(0):
        raise UsageError("Nothing was bought: there is no terminal to ask on. Say --yes to agree to the cost.")
    if not click.confirm(question, err=True):
        raise click.Abort


def _month_so_far(spent: Decimal, config: Config) -> str:
    return f"This month {dollars(spent)} of {dollars(config.x.monthly_budget_usd)} are spent."


def _prices(prices: Prices) -> str:
    return f"{dollars(prices.post_read)} a post, {dollars(prices.owned_read)} where it is the keys' own"


@cli.command()
@json_option
@command
async def accounts(config: Config, as_json: bool) -> None:
    """Whose tweets are here: how each account stands on X, how often it is fetched, and what that costs a month."""
    async with open_rooms(config) as rooms:
        listed = await rooms.store.accounts()
        plans = {plan.handle: plan for plan in await rooms.forecast.plans()}
    if as_json:
        print_json({"accounts": [_account_json(each, plans.get(each.handle)) for each in listed]})
        return
    for each in listed:
        plan = plans.get(each.handle)
        remark = f"It {each.remark}. " if each.remark else ""
        text = f"@{each.handle}: {remark}{plan.sentence if plan else 'It is not fetched on schedule.'}"
        out.print(text, markup=False, highlight=False, soft_wrap=True)


def _account_json(account: Account, plan: FetchPlan | None) -> dict[str, object]:
    return {
        "handle": account.handle,
        "basis": account.basis,
        "standing": account.standing,
        "now_called": account.now_called,
        "posts_a_day": cents(plan.posts_a_day) if plan else None,
        "fetched_every_hours": plan.every / timedelta(hours=1) if plan else None,
        "next_fetch_at": plan.next_at.isoformat() if plan and plan.next_at else None,
        "usd_a_month": cents(plan.usd_a_month) if plan else None,
    }


@cli.command()
@click.option("--month", metavar="YYYY-MM", help="Another month than this one.")
@json_option
@command
async def costs(config: Config, month: str | None, as_json: bool) -> None:
    """What X was paid this month, for what, and what is left under the cap."""
    if month is not None and not re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", month):
        raise UsageError(f"{month!r} is no month; write it like 2026-11.")
    async with open_rooms(config) as rooms:
        shown = await rooms.ledger.month(month)
        is_now = shown.month == (await rooms.ledger.month()).month
        months = await rooms.ledger.months()
        outlook = await rooms.forecast.outlook() if is_now else None
    if as_json:
        print_json(
            {
                "month": shown.month,
                "lines": [asdict(entry) for entry in shown.entries],
                "by_purpose": shown.by_purpose(),
                "by_account": shown.by_account(),
                "by_own_account": shown.by_own_account(),
                "by_day": dict(shown.days),
                "spent": shown.spent,
                "unanswered": shown.unanswered,
                "under_way": shown.under_way,
                "cap": shown.cap if is_now else None,
                "left": shown.left if is_now else None,
                "left_for_reading": shown.left_for_reading if is_now else None,
                "month_end": cents(outlook.month_end) if outlook else None,
                "months": [{"month": name, "usd": usd} for name, usd in months],
            }
        )
        return
    _print_month(shown, is_now)
    if outlook:
        out.print(_outlook(outlook), highlight=False)
    others = [f"{name} {dollars(usd)}" for name, usd in months if name != shown.month]
    if others:
        out.print(f"Other months: {', '.join(others)}.", highlight=False)


def _outlook(outlook: Outlook) -> str:
    a_day = f"{dollars(cents(outlook.scheduled_a_day))} a day as scheduled"
    others = f"{dollars(cents(outlook.others_a_day))} for everything else, as in the last seven days"
    empty = f" Nothing is left on {outlook.runs_out}." if outlook.runs_out else ""
    return f"At {a_day} and {others}, the month will end at about {dollars(cents(outlook.month_end))}.{empty}"


def _print_month(month: Month, is_now: bool) -> None:
    table = Table("for", "about", "by", "calls", "units", "dollars", title=f"X in {month.month}", title_justify="left")
    for entry in month.entries:
        numbers = (f"{entry.calls:,}", f"{entry.units:,}", dollars(entry.usd))
        table.add_row(entry.purpose, entry.about, entry.account, *numbers)
    if month.entries:
        out.print(table)
        for title, sums in (
            ("By purpose", month.by_purpose()),
            ("By account or persona", month.by_account()),
            ("By account of ours", month.by_own_account()),
            ("By day", dict(month.days)),
        ):
            out.print(f"{title}: {', '.join(f'{name} {dollars(usd)}' for name, usd in sums.items())}.", highlight=False)
    rest = f" of the cap of {dollars(month.cap)}; {dollars(month.left)} are left" if is_now else ""
    if is_now and month.reserved:
        rest += f", {dollars(month.reserved)} of these for posting alone"
    out.print(f"{month.month}: {dollars(month.spent)} spent{rest}.", highlight=False)
    if month.under_way:
        out.print(f"Under way: calls that may cost {dollars(month.under_way)} at most.", highlight=False)
    if month.unanswered:
        out.print(
            f"Of what is spent, {dollars(month.unanswered)} are for calls that ended without an answer, reckoned at "
            "the most they can have cost.",
            highlight=False,
        )


@cli.command()
@click.argument("handle")
@json_option
@command
async def tweets(config: Config, handle: str, as_json: bool) -> None:
    """What an account is like: counts with reasons, dates, lengths, languages, habits, and examples."""
    handle = normalise_handle(handle)
    async with open_rooms(config, examples=True) as rooms:
        counts = await rooms.store.counts(handle)
        portrait = await rooms.store.portrait(handle)
    if as_json:
        examples = portrait.examples[Verdict.KEPT]
        print_json(
            {"account": counts.as_json(), "examples": list(examples), "portrait": portrait.model_dump(mode="json")}
        )
        return
    print_portrait(counts, portrait)


@contextmanager
def _progress() -> Iterator[Callable[[str, float], None]]:
    """A bar on stderr for what takes longer than two seconds."""
    columns = (progress.TextColumn("{task.description}"), progress.BarColumn(), progress.TaskProgressColumn())
    bar = progress.Progress(*columns, console=err, transient=True)
    task = bar.add_task("reading", total=1.0)
    timer = asyncio.get_running_loop().call_later(PATIENCE_S, bar.start)

    def show(what: str, share: float) -> None:
        # Cleaning can't be counted: the bar only moves.
        bar.update(task, description=what, completed=share, total=1.0 if what == "reading" else None)

    try:
        yield show
    finally:
        timer.cancel()
        bar.stop()


def _print_counts(counts: Iterable[AccountCounts]) -> None:
    table = Table("account", "tweets", "retweets", "short", "duplicates", "kept", "characters", "enough?")
    for each in counts:
        numbers = (each.downloaded, each.retweets, each.short, each.duplicates, each.kept, each.characters)
        table.add_row(f"@{each.handle}", *(f"{number:,}" for number in numbers), each.verdict.value)
    out.print(table)
