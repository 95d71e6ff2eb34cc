"""The command that puts a version on Hugging Face's hub."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

from bot.app.rooms import open_rooms
from bot.cli.terminal import cli, command, err, json_option, note, out, print_json
from bot.config import Config
from bot.training.hub import Sent
from bot.training.pushing import Plan
from bot.tweets.tweet import normalise_handle

LARGE = 1_000_000  # bytes, from which on a file has a bar of its own


@cli.command()
@click.argument("persona")
@click.option("--repo", help="NAME or OWNER/NAME on the hub; your own, named as the persona, unless given.")
@click.option("--version", help="The version in use unless given.")
@click.option("--adapter", is_flag=True, help="The adapter alone, not merged into its base.")
@click.option("--private/--public", "private", default=None, help="A new repository is private unless it is told.")
@click.option("--yes", is_flag=True, help="Go on without asking.")
@json_option
@command
async def push(
    config: Config,
    persona: str,
    repo: str | None,
    version: str | None,
    adapter: bool,
    private: bool | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Put a version on Hugging Face's hub: model, card and pictures, never a tweet."""
    async with open_rooms(config) as rooms:
        name = normalise_handle(persona)
        manifest = rooms.shelf.meant(name, version)
        async with rooms.pushes.planned(manifest, adapter, repo, private, note) as plan:
            if plan.already:
                commit, done = plan.already.commit, f"{name} {manifest.version} lies in {plan.repo} already."
            else:
                _say_what_goes(plan)
                if not yes and not click.confirm("Push it?", err=True):
                    raise click.Abort
                with _progress() as show:
                    committed = await rooms.pushes.push(plan, show)
                commit, done = committed.commit, f"{name} {manifest.version} lies at {committed.url}"
    if as_json:
        print_json(
            {
                "persona": name,
                "version": manifest.version,
                "form": plan.form,
                "repo": plan.repo,
                "private": plan.private,
                "commit": commit,
                "pushed": plan.already is None,
                "files": plan.sizes,
            }
        )
    else:
        out.print(done, markup=False, highlight=False, soft_wrap=True)


def _say_what_goes(plan: Plan) -> None:
    """On stderr, before anybody is asked."""
    what = "the adapter alone" if plan.form == "adapter" else "a whole model"
    there = "which is there and gets a new commit" if plan.exists else "which will be made"
    if not plan.exists:
        seen = "private: seen by you alone" if plan.private else "public: seen by everybody"
    elif plan.was_private == plan.private:
        seen = "private, as it is" if plan.private else "public, as it is: seen by everybody"
    else:
        seen = "private from now on" if plan.private else "public from now on: seen by everybody"
    note(f"{plan.manifest.persona} {plan.manifest.version}, {what}, goes to {plan.repo}, {there}; {seen}.")
    width = max(map(len, plan.sizes))
    for name, size in plan.sizes.items():
        note(f"  {name:{width}}  {_size(size)}")


def _size(number: int) -> str:
    return f"{number / 1e6:,.1f} MB" if number >= 1e5 else f"{number / 1e3:,.1f} kB"


@contextmanager
def _progress() -> Iterator[Callable[[Sent], None]]:
    """A bar on stderr for each large file."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=err) as progress:
        bars: dict[str, TaskID] = {}

        def show(sent: Sent) -> None:
            if sent.size < LARGE:
                return
            if sent.name not in bars:
                bars[sent.name] = progress.add_task(sent.name, total=sent.size)
            progress.update(bars[sent.name], completed=sent.sent)

        yield show
