"""Commands about consent: why an account may be learned, who may not, forgetting, and handing over what is held."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click
from rich.table import Table

from bot.app.rooms import open_rooms
from bot.cli.terminal import cli, command, json_option, note, out, print_json
from bot.config import Config
from bot.errors import UsageError
from bot.forgetting.export import export as export_all
from bot.personas.consent import require_note
from bot.personas.takedown import DELETED, Receipt, Takedown
from bot.training.pushing import HUB
from bot.tweets.blocked import NO_REASON, Blocked, read_list, write_list
from bot.tweets.costs import dollars
from bot.tweets.store import Basis
from bot.tweets.tweet import normalise_handle

BASES = click.Choice([basis.value for basis in Basis])


@cli.command()
@click.argument("handle")
@click.argument("basis", required=False, type=BASES)
@click.option("--note", "words", help="Where a permission is written.")
@json_option
@command
async def basis(config: Config, handle: str, basis: str | None, words: str | None, as_json: bool) -> None:
    """Say why an account may be learned, or show what was said."""
    name = normalise_handle(handle)
    if basis is None and words is not None:
        raise UsageError(f"Name the basis, too: `mockingbird basis {name} BASIS --note TEXT`.")
    async with open_rooms(config) as rooms:
        if basis is not None:
            require_note(Basis(basis), words)
            await rooms.store.set_basis(name, Basis(basis), words)
        stands, noted = await rooms.store.basis(name), await rooms.store.basis_note(name)
    if as_json:
        print_json({"handle": name, "basis": stands.value if stands else None, "note": noted})
    elif stands is None:
        note(f"Nobody has said why @{name} may be learned: `mockingbird basis {name} BASIS`.")
    else:
        out.print(f"@{name}: {stands.value}{f' ({noted})' if noted else ''}", markup=False, highlight=False)


@cli.command()
@click.argument("handle")
@click.option(
    "--delete-posts",
    is_flag=True,
    help="Delete what was said in its voice on X and Discord, and what lies on the hub, too.",
)
@click.option("--reason", default="", help="Stands on the blocked list.")
@click.option("--yes", is_flag=True, help="Go on without asking.")
@json_option
@command
async def forget(config: Config, handle: str, delete_posts: bool, reason: str, yes: bool, as_json: bool) -> None:
    """Delete everything that was learned from an account, for good, and never learn it again."""
    async with open_rooms(config) as rooms:
        found = await rooms.takedowns.preview(handle)
        _say_what_goes(found, delete_posts)
        posts = sum(1 for each in found.said if each.platform == "x" and each.id)
        if delete_posts:
            await rooms.takedowns.require_means(found)
        if delete_posts and posts:
            price = posts * rooms.ledger.prices.post_delete
            month, cap = await rooms.ledger.month_total(), rooms.ledger.monthly_budget
            note(
                f"Deleting {posts:,} posts on X costs {dollars(price)}. "
                f"This month {dollars(month)} of {dollars(cap)} are spent."
            )
        if not yes and not click.confirm("Forget it all?", err=True):
            raise click.Abort
        done = await rooms.takedowns.forget(handle, "command", reason, delete_posts)
    if as_json:
        print_json(done.as_json())
    else:
        _print_receipt(done)


@cli.command()
@click.argument("handle", required=False, default="")
@json_option
@command
async def receipts(config: Config, handle: str, as_json: bool) -> None:
    """The receipts of accounts that were forgotten: all, or those of one handle."""
    async with open_rooms(config) as rooms:
        found = await rooms.takedowns.all(handle)
    if as_json:
        print_json({"receipts": [each.as_json() for each in found]})
    elif not found:
        note("There is no receipt.")
    for each in () if as_json else found:
        _print_receipt(each)


@cli.command()
@click.argument("handle")
@click.argument("path", required=False, type=click.Path(path_type=Path))
@json_option
@command
async def export(config: Config, handle: str, path: Path | None, as_json: bool) -> None:
    """Write a zip with all that is held about an account, to hand it to its owner."""
    file = path or Path(f"{normalise_handle(handle)}.zip")
    async with open_rooms(config) as rooms:
        names = await export_all(rooms.store, rooms.emptied, rooms.blocklist, rooms.takedowns, handle, file)
    if as_json:
        print_json({"path": str(file), "files": names})
    else:
        out.print(f"{file} holds {', '.join(names)}.", markup=False, highlight=False)


@cli.command()
@click.option("--add", help="Block this account.")
@click.option("--reason", help="Why; with --add.")
@click.option("--remove", help="Let this account be learned again.")
@click.option("--import", "import_file", type=click.Path(path_type=Path), help="Block every account in this text file.")
@click.option("--export", "export_file", type=click.Path(path_type=Path), help="Write the list to this text file.")
@json_option
@command
async def blocked(
    config: Config,
    add: str | None,
    reason: str | None,
    remove: str | None,
    import_file: Path | None,
    export_file: Path | None,
    as_json: bool,
) -> None:
    """The accounts that are not to be learned: list, add, remove, import, export."""
    if sum(each is not None for each in (add, remove, import_file, export_file)) > 1:
        raise UsageError("Do one thing at a time: --add, --remove, --import or --export.")
    async with open_rooms(config) as rooms:
        if add is not None or import_file is not None:
            text = _text(import_file) if import_file else normalise_handle(add or "")
            entries = read_list(text)
            if add is not None and len(entries) != 1:
                raise UsageError("Name one account to block, for example --add nasa.")
            if add is not None:
                entries = [Blocked(entries[0].handle, None, reason or NO_REASON)]
            new = await rooms.blocklist.add(entries)
            note(f"{new} of {len(entries)} were not blocked before.")
            for entry in entries:
                if await rooms.store.account(entry.handle):
                    note(f"@{entry.handle} is still stored here; `mockingbird forget {entry.handle}` deletes it.")
        if remove is not None:
            await rooms.blocklist.remove(remove)
            note(f"@{normalise_handle(remove)} may be learned again.")
        listed = await rooms.blocklist.all()
    if export_file is not None:
        _write(export_file, write_list(listed))
        note(f"{export_file} holds {len(listed)} accounts.")
    if as_json:
        print_json({"blocked": [_entry(each) for each in listed]})
    elif not any((add, remove, import_file, export_file)):
        _print_blocked(listed)


def _say_what_goes(found: Receipt, delete_posts: bool) -> None:
    """On stderr, before anybody is asked."""
    names = ", ".join(f"@{handle}" for handle in found.handles)
    tweets = (found.found or {}).get("tweets", {}).get("tweets", 0)
    versions = len((found.found or {}).get("versions", {}))
    note(f"{names}: {tweets:,} tweets; {versions} versions of {', '.join(found.personas) or 'no persona'}.")
    fate = "are deleted, too" if delete_posts else "are listed and stay (--delete-posts deletes them)"
    repos = [str(each.id) for each in found.said if each.platform == HUB]
    if said := len(found.said) - len(repos):
        note(f"{said:,} posts and messages in its voice {fate}.")
    if repos:
        note(f"On Hugging Face's hub {', '.join(repos)} {fate}.")


def _print_receipt(done: Takedown) -> None:
    waits = "all is removed here, not finished yet" if done.receipt.removed_at else "not finished yet"
    ended = f"finished {done.finished_at:%Y-%m-%d %H:%M:%S} UTC" if done.finished_at else waits
    lines = [f"Receipt {done.id}: @{done.handle}, begun {done.begun_at:%Y-%m-%d %H:%M:%S} UTC, {ended}"]
    if len(done.receipt.handles) > 1:
        lines.append(f"  the same account: {', '.join(f'@{handle}' for handle in done.receipt.handles[1:])}")
    for room, found in (done.receipt.found or {}).items():
        lines += [f"  {room}: {what} {_figure(figure)}" for what, figure in found.items()]
    for each in done.receipt.said:
        place = f" in channel {each.channel}" if each.channel else ""
        kind = "lies on the hub" if each.platform == HUB else f"said on {each.platform}{place}"
        lines.append(f"  {kind}: {each.id or 'id unknown'}, {each.outcome or 'still stands'}")
    left = [each for each in done.receipt.said if each.outcome != DELETED]
    if left:
        lines.append(f"  {len(left)} of these still stand; `mockingbird forget {done.handle} --delete-posts`.")
    for line in lines:
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _figure(figure: object) -> str:
    """A count, or the digests of a version."""
    if not isinstance(figure, dict):
        return f"{figure:,}" if isinstance(figure, int) else str(figure)
    files = ", ".join(f"{name} {digest}" for name, digest in figure["files"].items())
    return f"data set {figure['data set']}; {files}"


def _print_blocked(listed: Iterable[Blocked]) -> None:
    table = Table("account", "id on X", "reason", "since")
    for each in listed:
        since = f"{each.at:%Y-%m-%d}" if each.at else ""
        table.add_row(f"@{each.handle}", each.platform_id or "", each.reason, since)
    out.print(table)


def _entry(blocked: Blocked) -> dict[str, str | None]:
    return {
        "handle": blocked.handle,
        "id": blocked.platform_id,
        "reason": blocked.reason,
        "at": blocked.at.isoformat() if blocked.at else None,
    }


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is no text in UTF-8. Save it as such.") from error
    except OSError as error:
        raise UsageError(f"{file} can't be read ({error.strerror}). Check the path.") from error


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file} can't be written ({error.strerror}). Name another one.") from error
