"""Commands about posts for X: the approval desk at a terminal. It decides by the same functions as its other places."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import datetime, tzinfo
from typing import Any

import click

from bot.app import now
from bot.app.engines import open_engines
from bot.app.rooms import Rooms, open_rooms
from bot.cli.terminal import cli, command, json_option, note, out, print_json
from bot.config import Config
from bot.errors import UsageError
from bot.replies.desk import MEANINGS, OF_THE_MODEL, Shown
from bot.replies.posts import Post, PostState
from bot.tweets.costs import dollars

DECIDED_BY = "command"

number_argument = click.argument("number", type=click.IntRange(min=1))
yes_option = click.option("--yes", is_flag=True, help="Go on without asking.")
seen_option = click.option("--seen", help="Only if it still is what `posts show --json` said under this name.")


@cli.group(invoke_without_command=True)
@click.option("--limit", type=click.IntRange(min=0), default=20, show_default=True, help="Of those that don't wait.")
@json_option
@click.pass_context
def posts(context: click.Context, limit: int, as_json: bool) -> None:
    """Posts for X: those that wait for a decision, then the newest of the rest."""
    if context.invoked_subcommand is None:
        context.invoke(_listed, limit=limit, as_json=as_json)


@command
async def _listed(config: Config, limit: int, as_json: bool) -> None:
    async with open_rooms(config) as rooms:
        listed = await rooms.posts.waiting() + (await rooms.posts.decided(limit) if limit else [])
        shown = [await _shown(rooms, post) for post in listed]
        if as_json:
            print_json({"posts": [_as_json(rooms, each) for each in shown]})
            return
        for each in shown:
            _print(rooms, each)
    if not shown:
        note("No post waits, and none was proposed yet.")


@posts.command()
@number_argument
@json_option
@command
async def show(config: Config, number: int, as_json: bool) -> None:
    """One post with all that helps to decide."""
    async with open_rooms(config) as rooms:
        shown = await _shown(rooms, await rooms.posts.post(number))
        if as_json:
            print_json(_as_json(rooms, shown))
        else:
            _print(rooms, shown)


@posts.command()
@number_argument
@seen_option
@yes_option
@command
async def approve(config: Config, number: int, seen: str | None, yes: bool) -> None:
    """It may go out, just as it is shown now; asks first."""
    async with open_rooms(config) as rooms:
        seen = await _agreed(rooms, number, seen, yes, "Approve it?")
        await rooms.posts.approve(number, DECIDED_BY, seen=seen)
    note(f"Post {number} is approved and goes out in its turn.")


@posts.command()
@number_argument
@click.option("--at", required=True, help="`18:05`, or `2026-11-30 18:05`, in the account's time zone.")
@seen_option
@yes_option
@command
async def later(config: Config, number: int, at: str, seen: str | None, yes: bool) -> None:
    """It may go out, just as it is shown now, from a moment on; asks first."""
    async with open_rooms(config) as rooms:
        account = (await rooms.posts.post(number)).account
        moment = rooms.posts.later(account, at)
        when = _when(moment, rooms.posts.zone_of(account))
        seen = await _agreed(rooms, number, seen, yes, f"Approve it for {when}?")
        await rooms.posts.approve(number, DECIDED_BY, moment, seen=seen)
    note(f"Post {number} is approved and goes out from {when} on.")


@posts.command()
@number_argument
@click.option("--text", help="The new text; without it, an editor is opened. `-` reads it from standard input.")
@command
async def edit(config: Config, number: int, text: str | None) -> None:
    """Your words in the place of the model's; it still waits for your yes."""
    async with open_rooms(config) as rooms:
        before = await rooms.posts.post(number)
        written = click.edit(before.text) if text is None else text
        if text == "-":
            written = sys.stdin.read()
        if written is None:
            raise UsageError("The editor was left without saving, so nothing was changed. Or use --text.")
        post = await rooms.posts.edit(number, written, DECIDED_BY, seen=before.fingerprint)
        _print(rooms, await _shown(rooms, post))
    note(f"Post {number} has the new text, and still waits: mockingbird posts approve {number}")


@posts.command()
@number_argument
@command
async def another(config: Config, number: int) -> None:
    """Another draft in its place."""
    async with open_rooms(config) as rooms:
        async with AsyncExitStack() as stack:
            if (await rooms.posts.post(number)).state is PostState.DRAFTED:  # a no need not wait for the engine
                rooms.speaker.speak_with(await stack.enter_async_context(open_engines(rooms.config, rooms.shelf, note)))
            new = await rooms.posts.another(number, DECIDED_BY)
        _print(rooms, await _shown(rooms, new))
    note(f"Post {new.id} has taken the place of post {number}.")


@posts.command()
@number_argument
@click.option("--reason", help="Kept with the post.")
@command
async def refuse(config: Config, number: int, reason: str | None) -> None:
    """It will not go out, even where it was approved."""
    async with open_rooms(config) as rooms:
        await rooms.posts.refuse(number, DECIDED_BY, reason)
    note(f"Post {number} is refused and will not go out.")


@posts.command()
@number_argument
@yes_option
@command
async def delete(config: Config, number: int, yes: bool) -> None:
    """Take it back from X; says what that costs, and asks first."""
    async with open_rooms(config) as rooms:
        shown = await _shown(rooms, await rooms.posts.post(number))
        if shown.can_be_deleted:
            note(f"Taking it back costs {dollars(rooms.config.prices.post_delete * shown.standing)}.")
            _ask(yes, "Delete it from X?")
        await rooms.posts.delete(number, DECIDED_BY)
    note(f"Post {number} is taken back from X at the account's next turn.")


async def _agreed(rooms: Rooms, number: int, seen: str | None, yes: bool, question: str) -> str:
    """The fingerprint of what was shown to whoever agreed."""
    shown = await _shown(rooms, await rooms.posts.post(number))
    _print(rooms, shown)
    if shown.is_waiting(now()):
        _ask(yes, question)
    return seen or shown.post.fingerprint


def _ask(yes: bool, question: str) -> None:
    if not yes and not click.confirm(question, err=True):
        raise click.Abort


async def _shown(rooms: Rooms, post: Post) -> Shown:
    return Shown.of(post, tuple(await rooms.posts.parts(post.id)))


def _when(at: datetime, zone: tzinfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M} ({zone})"


def _print(rooms: Rooms, shown: Shown) -> None:
    post = shown.post
    title = f"Post {post.id}: {post.persona} {post.version} on {post.account}, {_standing(rooms, shown)}"
    texts = [f"{number}/{len(shown.texts)} {text}" for number, text in enumerate(shown.texts, start=1)]
    lines = [title, "  " + ", ".join(_figures(rooms, shown))]
    lines += [f"  {OF_THE_MODEL}"] if post.is_edited else []
    lines += texts if len(texts) > 1 else [post.text]
    lines += [f"  with a picture: {post.alt_text or 'without a description'}"] if post.picture else []
    lines += [f"  {post.reason}"] if post.reason and post.state is not PostState.DRAFTED else []
    for line in [*lines, ""]:
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _standing(rooms: Rooms, shown: Shown) -> str:
    """Where it stands, and what comes next."""
    post, zone = shown.post, rooms.posts.zone_of(shown.post.account)
    if shown.is_waiting(now()):
        return f"waits, expires {_when(post.expires_at, zone)}" if post.expires_at else "waits"
    if post.state is PostState.APPROVED and post.not_before is not None:
        return f"goes out from {_when(post.not_before, zone)} on"
    if post.is_being_deleted:
        return "is taken back at the account's next turn"
    return MEANINGS[post.state].label


def _figures(rooms: Rooms, shown: Shown) -> Iterator[str]:
    post = shown.post
    yield shown.length
    yield dollars(shown.price(rooms.config.prices))
    yield f"novelty {post.novelty:.0%}"
    if post.nearest:
        yield f"nearest {post.nearest}"
    if post.offence is not None:
        yield f"offence {post.offence:.0%}"
    if post.score is not None:
        yield f"score {post.score:.0%}"
    if post.likelihood_gain is not None:
        yield f"in its voice {post.likelihood_gain:+.2f} nats a token"


def _as_json(rooms: Rooms, shown: Shown) -> dict[str, Any]:
    post = shown.post
    return {
        "id": post.id,
        "account": post.account,
        "persona": post.persona,
        "version": post.version,
        "state": post.state.value,
        "waits": shown.is_waiting(now()),
        "text": post.text,
        "parts": list(shown.texts),
        "length": post.length,
        "price": shown.price(rooms.config.prices),
        "novelty": post.novelty,
        "nearest": post.nearest,
        "offence": post.offence,
        "score": post.score,
        "likelihood_gain": post.likelihood_gain,
        "picture": post.picture,
        "alt_text": post.alt_text,
        "created_at": post.created_at.isoformat(),
        "not_before": post.not_before.isoformat() if post.not_before else None,
        "expires_at": post.expires_at.isoformat() if post.expires_at else None,
        "decided_by": post.decided_by,
        "sent_at": post.sent_at.isoformat() if post.sent_at else None,
        "platform_id": post.platform_id,
        "reason": post.reason,
        "seen": post.fingerprint,
    }
