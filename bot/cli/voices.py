"""Commands about personas: letting them speak, and their versions."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any, TypedDict

import click
from rich.table import Table

from bot.app.engines import open_engines
from bot.app.rooms import open_rooms
from bot.cli.streaming import live_rows
from bot.cli.terminal import cli, command, err, json_option, note, out, print_json
from bot.config import Config
from bot.errors import UsageError
from bot.generation.draft import Drafts, OnPartial, Sampling
from bot.generation.safety import words_of
from bot.shelf.card import CARD
from bot.shelf.manifest import Manifest, Metrics
from bot.training.decisions import SWITCHES, Decision
from bot.tweets.tweet import normalise_handle


class _How(TypedDict):
    """What a draft and its replay are asked with alike."""

    sampling: Sampling
    start: str
    on_partial: OnPartial | None


@cli.command()
@click.argument("persona")
@click.option("--start", default="", help="How each draft begins.")
@click.option("-n", "count", type=click.IntRange(1, 100), default=5, show_default=True, help="How many drafts.")
@click.option("--seed", type=click.IntRange(0), help="The first draft's seed; the next ones count up.")
@click.option("--version", help="Who speaks; the version in use unless given.")
@click.option("--replay", is_flag=True, help="Nothing but the draft of --seed, or why it is not shown.")
@click.option("--temperature", type=click.FloatRange(0, 5, min_open=True))
@click.option("--top-p", type=click.FloatRange(0, 1, min_open=True), help="Nucleus sampling; 1 is off.")
@click.option("--top-k", type=click.IntRange(0, 1_000_000), help="Only the k likeliest tokens; 0 is off.")
@click.option("--min-tokens", type=click.IntRange(0, 512), help="A draft does not end before.")
@click.option("--max-tokens", type=click.IntRange(1, 512), help="A draft ends here at the latest.")
@click.option("--repetition-penalty", type=click.FloatRange(1, 5), help="Above 1 words come again less often.")
@click.option(
    "--ban", "banned", multiple=True, metavar="WORD", help="A word that no draft may hold; as often as needed."
)
@click.option("--stream", is_flag=True, help="Show on stderr how the rows grow, before the filters see them.")
@json_option
@command
async def say(
    config: Config,
    /,
    persona: str,
    start: str,
    count: int,
    seed: int | None,
    version: str | None,
    replay: bool,
    banned: tuple[str, ...],
    stream: bool,
    as_json: bool,
    **asked: float | None,
) -> None:
    """Drafts in a persona's voice."""
    sampling = Sampling.from_settings(config.generation, banned=words_of(banned), **asked)
    if replay and seed is None:
        raise UsageError("--replay needs --seed: the number that stands under the draft.")
    if stream and as_json:
        raise UsageError("--stream is for people at a terminal. Leave it out where --json is asked for.")
    async with open_rooms(config, examples=True) as rooms:
        persona = normalise_handle(persona)
        await rooms.conversation.require_here(persona)
        meant = rooms.shelf.meant(persona, version)  # a wrong name need not wait for the engine
        async with open_engines(rooms.config, rooms.shelf, note) as engines:
            rooms.speaker.speak_with(engines)
            with live_rows(err) if stream else nullcontext() as on_partial:
                how = _How(sampling=sampling, start=start, on_partial=on_partial)
                if replay and seed is not None:
                    made = await rooms.speaker.replay(persona, meant.version, seed=seed, **how)
                else:
                    made = await rooms.speaker.drafts(persona, count=count, seed=seed, version=version, **how)
    if as_json:
        print_json(_drafts_json(made))
    else:
        _print_drafts(made)


@cli.command()
@json_option
@command
async def personas(config: Config, as_json: bool) -> None:
    """Everybody on the shelf, with the version in use."""
    async with open_rooms(config) as rooms:
        current = [rooms.shelf.current(name) for name in rooms.shelf.personas()]
        remarks = {each.persona: await rooms.store.remarks(each.handles) for each in current}
        outlooks = {each.persona: (await rooms.trainings.outlook(each.persona)).sentence for each in current}
    if as_json:
        print_json(
            {
                "personas": [manifest.model_dump(mode="json") for manifest in current],
                "remarks": remarks,
                "next_training": outlooks,
            }
        )
    elif current:
        print_versions(current, None)
        for name in remarks:
            text = " ".join([*remarks[name], f"Next training: {outlooks[name]}"])
            out.print(f"{name}: {text}", markup=False, highlight=False, soft_wrap=True)
    else:
        note("No persona yet. `mockingbird train HANDLE` makes one.")


@cli.command()
@click.argument("persona")
@json_option
@command
async def versions(config: Config, persona: str, as_json: bool) -> None:
    """All versions of a persona, the one in use marked, and what was decided about them, why and by whom."""
    async with open_rooms(config) as rooms:
        found = rooms.shelf.versions(normalise_handle(persona))
        current = rooms.shelf.current(normalise_handle(persona)).version
        decided = await rooms.decisions.of(normalise_handle(persona))
    if as_json:
        print_json(
            {
                "current": current,
                "versions": [manifest.model_dump(mode="json") for manifest in found],
                "decisions": [decision.as_json() for decision in decided],
            }
        )
    else:
        print_versions(found, current)
        _print_decisions(decided)


@cli.command()
@click.argument("persona")
@click.argument("version", required=False)
@command
async def rollback(config: Config, persona: str, version: str | None) -> None:
    """Put an earlier version in use: the one before the present one, or the one that is named."""
    async with open_rooms(config) as rooms:
        name = normalise_handle(persona)
        decision = await rooms.decisions.roll_back(name, version, "command")
        current = rooms.shelf.current(name).version
    if decision is None:
        out.print(f"{name} speaks as {current} already.", highlight=False)
    else:
        out.print(f"{name} speaks as {current} again (rolled back from {decision.from_version}).", highlight=False)


@cli.command()
@click.argument("persona")
@command
async def card(config: Config, persona: str) -> None:
    """The model card of the version in use."""
    async with open_rooms(config) as rooms:
        manifest = rooms.shelf.current(normalise_handle(persona))
        click.echo((rooms.shelf.path(manifest) / CARD).read_text(encoding="utf-8"))


def _drafts_json(made: Drafts) -> dict[str, Any]:
    refused = {reason.value: number for reason, number in made.refused.items()}
    drafts = [asdict(draft) for draft in made.drafts]
    return {"persona": made.persona, "version": made.version, "drafts": drafts, "refused": refused}


def _print_drafts(made: Drafts) -> None:
    for draft in made.drafts:
        origin = f"{made.version} · seed {draft.seed} · novelty {draft.novelty:.2f} · score {draft.score:.2f}"
        out.print(draft.text, markup=False, highlight=False)
        out.print(f"  [dim]{origin}[/]", highlight=False)


def _print_decisions(decided: Iterable[Decision]) -> None:
    for each in decided:
        before = f" instead of {each.from_version}" if each.from_version not in (None, each.to_version) else ""
        shown = before if each.what in SWITCHES else ""
        line = f"{each.at:%Y-%m-%d %H:%M}  {each.to_version} {each.what}{shown}, by {each.by}: {each.why}"
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _judged(metrics: Metrics | None) -> tuple[str, str, str]:
    """Loss, the base's, and bits per byte; dashes where nobody could judge it."""
    if metrics is None:
        return "–", "–", "–"
    return f"{metrics.held_out_loss:.3f}", f"{metrics.base_held_out_loss:.3f}", f"{metrics.bits_per_byte:.3f}"


def print_versions(manifests: Iterable[Manifest], current: str | None) -> None:
    """A table of versions, with a star at the one in use."""
    table = Table("persona", "version", "accounts", "tweets kept", "held-out loss", "base", "bits/byte", "created")
    for each in manifests:
        mark = " *" if each.version == current else ""
        table.add_row(
            each.persona,
            each.version + mark,
            ", ".join(f"@{handle}" for handle in each.handles),
            f"{sum(count.kept for count in each.counts):,}" if each.counts else "–",
            *_judged(each.metrics),
            f"{each.created:%Y-%m-%d %H:%M}",
        )
    out.print(table)
