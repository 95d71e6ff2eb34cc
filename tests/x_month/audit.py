"""What must hold after a month, each as a list of sentences about what does not."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

from bot.config import Prices
from bot.database import Row
from bot.loopback.x import XPost
from bot.replies.post import read_post
from bot.replies.schedule import LATE, Schedule
from bot.replies.threads import split
from bot.tweets.costs import Ledger, Month
from tests.x_month.month import HANDLES, SETTINGS, World
from tests.x_month.people import Kind, Spoken

_OVER = {"sent", "refused", "expired", "deleted"}
_KINDS = {  # purposes of the ledger by the bill's kinds; all others are reads
    "post created": "post",
    "post with link created": "post",
    "summoned reply": "reply",
    "post deleted": "delete",
}


async def faults(world: World) -> list[str]:
    """Everything that is wrong."""
    found = [*await faults_of_posting(world), *await _passed_over(world), *await _money(world)]
    return [*found, *world.x.violations]


async def faults_of_posting(world: World) -> list[str]:
    """What is wrong with what was published and with what that has cost."""
    checks = [_posts(world), _answers(world), _opt_outs(world), _bursts(world)]
    prices = [said for kind, said in (await _sums(world)).items() if kind != "reads"]
    return [*_schedules(world), *prices, *[each for check in checks for each in await check]]


def said(world: World, handle: str) -> tuple[list[XPost], list[XPost]]:
    """What an account of ours has ever posted, the oldest first: posts with their threads, and replies to others."""
    own = world.x.account(handle).id
    rows = sorted(world.x.rows(own), key=lambda post: int(post.id))
    replies = [post for post in rows if post.reply_to and world.x.posts[post.reply_to].author_id != own]
    return [post for post in rows if post not in replies], replies


# Posts


async def _posts(world: World) -> list[str]:
    rows = await world.database.all("SELECT * FROM posts ORDER BY id")
    found = [*_decided_otherwise(world, rows)]
    standing = await world.database.all(
        "SELECT account, post_id, number, post_parts.text, post_parts.platform_id FROM post_parts "
        "JOIN posts ON posts.id = post_id WHERE post_parts.platform_id IS NOT NULL ORDER BY post_id, number"
    )
    by_id = {row["platform_id"]: row for row in standing}
    if len(by_id) != len(standing):
        found.append("two parts have the same id on X")
    for account, handle in HANDLES.items():
        posts, _ = said(world, handle)
        for post in posts:
            row = by_id.pop(post.id, None)
            if row is None:
                found.append(f"{handle}'s {post.id} stands on X and belongs to no post: {post.text!r}")
            elif (row["account"], row["text"]) != (account, post.text):
                found.append(f"{handle}'s {post.id} is not what was approved: {post.text!r} for {row['text']!r}")
        texts = Counter(post.text for post in posts)
        found += [f"{handle} said {count} times: {text!r}" for text, count in texts.items() if count > 1]
    found += [f"part {row['number']} of post {row['post_id']} is not on X" for row in by_id.values()]
    return [*found, *_incomplete(world, rows, standing)]


def _decided_otherwise(world: World, rows: Iterable[Row]) -> Iterator[str]:
    """Posts whose text or state is not what the desk has decided."""
    by_number = {row["id"]: row for row in rows}
    for number, approved in world.desk.approved.items():
        row = by_number[number]
        if row["text"] != approved.text:
            yield f"post {number} is not what was approved"
        if row["state"] not in _OVER or (row["state"] in ("refused", "expired") and not row["reason"]):
            yield f"post {number} was approved and is {row['state']} ({row['reason']})"
        if row["state"] == "sent" and approved.not_before:
            sent = datetime.fromisoformat(row["sent_at"])
            if sent < approved.not_before:
                yield f"post {number} went out {approved.not_before - sent} too early"
    for number, row in by_number.items():
        by_itself = not SETTINGS[row["account"]].approval
        if row["state"] in ("sent", "deleted", "sending", "unknown") and not by_itself:
            if number not in world.desk.approved:
                yield f"post {number} went out and nobody approved it"
        elif row["state"] not in _OVER and not (row["state"] == "drafted" and not by_itself):
            yield f"post {number} is {row['state']} after all ({row['reason']})"
    for number in world.desk.refused:
        if by_number[number]["state"] != "refused":
            yield f"post {number} was refused and is {by_number[number]['state']}"
    for number in world.desk.taken_back:
        if by_number[number]["state"] != "deleted":
            yield f"post {number} was to be taken back and is {by_number[number]['state']}"


def _incomplete(world: World, rows: Iterable[Row], standing: Iterable[Row]) -> Iterator[str]:
    """Posts of which something is missing on X, or that stand there in another order."""
    parts: defaultdict[int, list[Row]] = defaultdict(list)
    for part in standing:
        parts[part["post_id"]].append(part)
    for row in rows:
        there = [part["platform_id"] for part in parts[row["id"]]]
        if row["state"] in ("sent", "deleted") and [part["text"] for part in parts[row["id"]]] != [*split(row["text"])]:
            yield f"post {row['id']} is {row['state']} and not whole on X"
        if row["state"] == "expired" and there:
            yield f"post {row['id']} is expired and stands on X"
        if row["state"] == "deleted" and not all(world.x.is_gone(each) for each in there):
            yield f"post {row['id']} is deleted and stands on X"
        known_gone = [each for each in there if world.x.is_gone(each)]
        if row["state"] == "sent" and set(known_gone) - world.deleted_on_x:
            yield f"post {row['id']} is sent and gone from X"
        for before, part in zip([None, *there], there, strict=False):
            if world.x.posts[part].reply_to != before:
                yield f"post {row['id']} is no thread on X"


# Mentions


async def _answers(world: World) -> list[str]:
    rows = await world.database.all("SELECT * FROM x_mentions")
    known = {(row["account"], row["mention_id"]): row for row in rows}
    found = []
    for account, handle in HANDLES.items():
        _, replies = said(world, handle)
        for mention_id, count in Counter(post.reply_to or "" for post in replies).items():
            row, spoken = known.get((account, mention_id)), world.people.spoken.get(mention_id)
            if count > 1:
                found.append(f"{handle} has answered {mention_id} {count} times")
            if spoken is None or not _deserves(world, spoken):
                found.append(f"{handle} has answered {mention_id}, which deserves none: {spoken}")
            if row is None or row["state"] != "answered":
                found.append(f"{handle} has answered {mention_id}, which is {row and row['state']}")
        answered = {row["reply_id"] for row in rows if row["account"] == account and row["state"] == "answered"}
        missing = answered - {post.id for post in replies}
        found += [f"the reply {each} of {handle} is not on X" for each in missing]
    return found


def _deserves(world: World, spoken: Spoken) -> bool:
    """Whether the rules let it be answered at all."""
    if spoken.kind is Kind.STOPPED:  # is confirmed, whoever asks
        return True
    return spoken.kind is not Kind.CARRIED and spoken.author not in world.people.bots | world.people.protected


async def _passed_over(world: World) -> list[str]:
    """What was said to us and is not on record, though X shows it, and what is on record and undecided."""
    rows = await world.database.all("SELECT * FROM x_mentions")
    found = [
        f"mention {row['mention_id']} is {row['state']} after all ({row['reason']})"
        for row in rows
        if row["state"] not in ("answered", "left alone")
    ]
    known = {(row["account"], row["mention_id"]) for row in rows}
    accounts = {handle: name for name, handle in HANDLES.items()}
    for mention_id, spoken in world.people.spoken.items():
        if spoken.author in world.people.protected or world.x.is_gone(mention_id):
            continue
        found += [
            f"{mention_id} to {handle} was never noticed: {spoken}"
            for handle in spoken.to
            if (accounts[handle], mention_id) not in known
        ]
    return found


async def _opt_outs(world: World) -> list[str]:
    rows = await world.database.all("SELECT * FROM x_mentions ORDER BY seen_at")
    seen: dict[str, tuple[datetime, str]] = {}  # by author: when the first wish was read, and in which post
    for row in rows:
        spoken = world.people.spoken.get(row["mention_id"])
        if spoken is not None and spoken.kind is Kind.STOPPED and spoken.author not in seen:
            seen[spoken.author] = datetime.fromisoformat(row["seen_at"]), row["mention_id"]
    found, confirmed = [], Counter[str]()
    for handle in HANDLES.values():
        for reply in said(world, handle)[1]:
            spoken = world.people.spoken.get(reply.reply_to or "")
            if spoken is None or spoken.author not in seen:
                continue
            since, wish = seen[spoken.author]
            if spoken.kind is Kind.STOPPED:
                confirmed[spoken.author] += 1
            elif reply.created_at > since:
                found.append(f"{spoken.author} wants no answers since {since} ({wish}) and got one: {reply}")
    return found + [f"{author} was told {count} times" for author, count in confirmed.items() if count > 1]


# Schedules


def _schedules(world: World) -> Iterator[str]:
    for account, handle in HANDLES.items():
        settings = SETTINGS[account]
        schedule = Schedule.of(account, settings)
        own = world.x.account(handle).id
        begun = [post for post in said(world, handle)[0] if post.reply_to is None]
        assert all(post.author_id == own for post in begun)
        days = Counter(post.created_at.astimezone(ZoneInfo(settings.time_zone)).date() for post in begun)
        for day, count in days.items():
            if settings.posts_per_day and count > settings.posts_per_day:
                yield f"{handle} posted {count} times on {day}"
        for post in begun:
            if schedule.quiet and post.created_at in schedule.quiet:
                yield f"{handle} posted in quiet hours, at {post.created_at}"


async def _bursts(world: World) -> list[str]:
    """Turns of the schedule that came too soon after one another, and late posts that went out together."""
    found = []
    for account, handle in HANDLES.items():
        rows = await world.database.all("SELECT * FROM posts WHERE account = ? ORDER BY created_at", (account,))
        turns = [datetime.fromisoformat(row["created_at"]) for row in rows if row["scheduled"]]
        if SETTINGS[account].post_at:  # each hour, with a jitter below one
            hours = Counter(turn.replace(minute=0, second=0, microsecond=0) for turn in turns)
            found += [f"{handle} had {count} turns at {hour}" for hour, count in hours.items() if count > 1]
        else:
            found += [f"{handle}: {b - a} between two turns" for a, b in pairwise(turns) if b - a < timedelta(hours=1)]
        found += [f"{handle}: {each}" async for each in _hurried(world, account)]
    return found


async def _hurried(world: World, account: str) -> AsyncIterator[str]:
    rows = await world.database.all(
        "SELECT posts.*, tried_at FROM posts JOIN post_parts ON post_id = posts.id "
        "WHERE account = ? AND number = 1 AND post_parts.platform_id IS NOT NULL ORDER BY tried_at",
        (account,),
    )
    sent = [(read_post(row), datetime.fromisoformat(row["tried_at"])) for row in rows]
    for (before, earlier), (post, at) in pairwise(sent):
        if at - earlier < LATE < at - post.due_since:
            yield f"post {post.id} was {at - post.due_since} late and went out {at - earlier} after {before.id}"


# Money


async def _sums(world: World) -> dict[str, str]:
    """Kinds of charges of which the ledger does not say what the bill says."""
    billed: defaultdict[str, Decimal] = defaultdict(Decimal)
    for charge in world.x.charges:
        billed[_KINDS.get(charge.what, "reads")] += charge.usd
    ours: defaultdict[str, Decimal] = defaultdict(Decimal)
    for month in await months(world):
        for purpose, usd in month.by_purpose().items():
            ours[purpose if purpose in _KINDS.values() else "reads"] += usd
    return {
        kind: f"{kind}: the ledger says ${ours[kind]}, the bill ${billed[kind]}"
        for kind in sorted({*ours, *billed})
        if ours[kind] != billed[kind]
    }


async def _money(world: World) -> list[str]:
    ledger = await months(world)
    days: defaultdict[str, Decimal] = defaultdict(Decimal)
    for charge in world.x.charges:
        days[charge.day.isoformat()] += charge.usd
    paid = dict(day for month in ledger for day in month.days)
    found = [said for kind, said in (await _sums(world)).items() if kind == "reads"]
    found += [
        f"{day}: the ledger says ${paid.get(day)}, the bill ${days[day]}"
        for day in sorted({*days, *paid})
        if paid.get(day, Decimal(0)) != days[day]
    ]
    if any(month.unanswered for month in ledger):
        rows = await world.database.all("SELECT * FROM costs WHERE holder IS NOT NULL")
        found += [f"nobody knows about {dict(row)}" for row in rows]
    return found


async def months(world: World) -> list[Month]:
    """The ledger; the last things may settle in the month after."""
    ledger = Ledger(world.database, Prices(), Decimal(0), world.clock)
    return [await ledger.month(month) for month, _ in await ledger.months()]


async def summary(world: World) -> dict[str, object]:
    """What has happened, in figures."""
    states = await world.database.all("SELECT account, state, count(*) AS n FROM posts GROUP BY 1, 2")
    reasons = await world.database.all("SELECT state, reason, count(*) AS n FROM x_mentions GROUP BY 1, 2 ORDER BY 3")
    return {
        "requests": len(world.x.requests),
        "statuses": dict(Counter(request.status for request in world.x.requests)),
        "kills": dict(world.kills.done),
        "weather": dict(world.weather.seen),
        "posts": {f"{row['account']} {row['state']}": row["n"] for row in states},
        "mentions": {f"{row['state']}: {row['reason']}": row["n"] for row in reasons},
        "said to us": {kind.value: count for kind, count in world.people.counts().items()},
        "bill": str(world.x.bill()),
    }
