"""How personas and their versions are put in words on Discord. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import discord

from bot.frontends.discord.texts import handles, plain
from bot.shelf.card import REASONS, hub_name
from bot.shelf.figures import Figures
from bot.shelf.manifest import HandleCounts, Manifest, Metrics
from bot.training.blends import in_words
from bot.training.decisions import Decision, What

LOWER = "Held-out loss: lower is better."


def figure(metrics: Metrics | None) -> str:
    """The one figure that stands for all."""
    if metrics is None:
        return "not judged yet"
    return f"held-out loss {metrics.held_out_loss:.3f} (base {metrics.base_held_out_loss:.3f})"


def figures(metrics: Metrics) -> list[str]:
    """The figures that matter most, each beside what the base or real tweets reach."""
    loss = f"{figure(metrics)[:1].upper()}{figure(metrics)[1:]}; lower is better."
    bits = f"Bits per byte {metrics.bits_per_byte:.3f} (base {metrics.base_bits_per_byte:.3f})."
    before = metrics.previous_held_out_loss
    compared = [] if before is None else [f"The version before: {before:.3f} on the same tweets."]
    return [loss, *compared, bits, *(_further(metrics.figures) if metrics.figures else [])]


def _further(found: Figures) -> list[str]:
    lines = []
    if found.margin:
        lines.append(f"Style margin {found.margin.margin:.3f}: so much of the gain is this voice; higher is better.")
    if found.copies:
        real = "" if found.copies.real_near is None else f" (real tweets {found.copies.real_near:.1%})"
        lines.append(f"Near copies {found.copies.near:.1%}{real}; lower is better.")
    if found.authorship:
        lines.append(f"Author classifier {found.authorship.samples:.0%} (real tweets {found.authorship.real:.0%}).")
    return lines


def counts(count: HandleCounts) -> str:
    """What became of one account's tweets."""
    return (
        f"@{plain(count.handle)}: {count.kept:,} of {count.downloaded:,} tweets kept "
        f"(left out: {count.retweets:,} retweets, {count.short:,} short, {count.duplicates:,} repeated)."
    )


# --- /personas ---


def personas(shown: Sequence[Manifest], first: int, known: int, here: str) -> str:
    """One page of /personas; `first` is the number of the first on it, `known` how many there are in all, `here` who
    answers in this channel.
    """
    if not shown:
        return "Nobody has been learned yet. `/train` with a handle makes the first persona."
    paged = [] if known == len(shown) else [f"-# {first} to {first + len(shown) - 1} of {known}."]
    return "\n".join(
        [*map(_persona, shown), *paged, f"-# In this channel {plain(here)} answers. {LOWER}"],
    )


def _persona(manifest: Manifest) -> str:
    return (
        f"**{plain(manifest.persona)}** {manifest.version} · {handles(manifest.handles)} · {_made_of(manifest)} · "
        f"{figure(manifest.metrics)}"
    )


def _made_of(manifest: Manifest) -> str:
    if manifest.blended_from:
        return f"blended of {plain(in_words(manifest))}"
    if manifest.adopted_from:
        return f"adopted from {plain(manifest.adopted_from)}"
    return f"{sum(count.kept for count in manifest.counts):,} tweets"


# --- /persona show ---


def card(manifest: Manifest, versions: int, remarks: Sequence[str], outlook: str) -> str:
    """The essence of a version's card; `versions` is how many the persona has, `remarks` how its accounts stand on X,
    `outlook` when it learns again.
    """
    name = plain(manifest.persona)
    lines = [
        f"**{name}** {manifest.version}, {manifest.kind} of {handles(manifest.handles)}",
        f"{_made_of(manifest)[:1].upper()}{_made_of(manifest)[1:]}, {_when(manifest.created)}, "
        f"on the base {plain(hub_name(manifest.base))}.",
        *map(counts, manifest.counts),
        *_reasons(manifest.consent),
        *(figures(manifest.metrics) if manifest.metrics else ["It is not judged yet."]),
    ]
    if manifest.languages:
        lines.append(f"Languages: {', '.join(manifest.languages)}.")
    lines += [plain(remark) for remark in remarks]
    lines.append(f"Next training: {outlook}")
    many = "It has one version." if versions == 1 else f"It has {versions} versions: `/versions persona:{name}`."
    return "\n".join([*lines, f"-# {many} What it says is made up; nobody has said it."])


def _reasons(consent: Mapping[str, str]) -> list[str]:
    """Why the accounts may be learned."""
    return [f"@{plain(handle)} may be learned: {REASONS.get(basis, basis)}." for handle, basis in consent.items()]


def _when(moment: datetime) -> str:
    return discord.utils.format_dt(moment, "D")


# --- /versions and /rollback ---


def versions(shown: Sequence[Manifest], current: str, reasons: Mapping[str, Decision], known: int) -> str:
    """One page of /versions, the newest first; `reasons` are the newest decisions about them, by version."""
    lines = []
    for manifest in shown:
        mark = " (in use)" if manifest.version == current else ""
        lines.append(
            f"**{plain(manifest.persona)} {manifest.version}**{mark} · {_when(manifest.created)} · "
            f"{_made_of(manifest)} · {figure(manifest.metrics)}"
        )
        if decision := reasons.get(manifest.version):
            lines.append(f"-# {_decided(decision)}")
    paged = [] if known == len(shown) else [f"-# {known} versions in all."]
    return "\n".join([*lines, *paged, f"-# {LOWER}"])


def _decided(decision: Decision) -> str:
    what = {What.KEPT: "not used", What.UNCHANGED: "nothing new was learned"}.get(decision.what, decision.what.value)
    return f"{what[:1].upper()}{what[1:]}, {_when(decision.at)}: {plain(decision.why)}"


def rollback(now: Manifest, then: Manifest) -> str:
    """What /rollback asks."""
    return (
        f"**{plain(now.persona)}** speaks as {now.version}: {figure(now.metrics)}.\n"
        f"Let it speak as {then.version} of {_when(then.created)} again, with {_made_of(then)} and "
        f"{figure(then.metrics)}?\n"
        "-# Nothing is deleted: `/rollback` takes it back to any version that is there. It speaks so in every server."
    )


def rolled_back(persona: str, version: str, decision: Decision | None) -> str:
    """What stands there afterwards; without a decision it spoke so already."""
    if decision is None:
        return f"**{plain(persona)}** speaks as {version} already."
    before = f" (rolled back from {decision.from_version})" if decision.from_version else ""
    return f"**{plain(persona)}** speaks as {version} again{before}."


def left_alone(now: Manifest) -> str:
    """What stands there where nobody rolls back."""
    return f"**{plain(now.persona)}** goes on speaking as {now.version}."
