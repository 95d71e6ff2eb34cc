"""How things are put in words on Discord. Pure.

Generated text and names are shown as they are: `plain` takes the meaning out of Discord's markdown. Lines that begin
with `-#` are Discord's small print.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

import discord

from bot.generation.draft import Draft, Drafts
from bot.personas.takedown import DELETED, Receipt, Takedown
from bot.shelf.manifest import Manifest
from bot.training.blends import in_words
from bot.training.decisions import Decision, What
from bot.training.purchase import Purchase, PurchaseState
from bot.training.record import Stage
from bot.training.trainings import Training, TrainingState
from bot.tweets.collecting import Estimate
from bot.tweets.costs import dollars

LONGEST = 2000  # of a message, in UTF-16 code units: what Discord's clients count at most
MOST_LISTED = 25  # of an autocompletion, and of our lists

_ENDS = ("\n\n", "\n", ". ", "! ", "? ", " ")  # where a text may be cut, the best place first


def plain(text: str) -> str:
    """The text as Discord will show it literally."""
    return discord.utils.escape_markdown(text)


def pieces(text: str, longest: int = LONGEST) -> list[str]:
    """The text in messages of at most `longest` UTF-16 code units, cut at paragraph, sentence or word if possible.

    At least one piece, and none that is blank unless the text is.
    """
    found = []
    rest = text.strip()
    while len(head := _fitting(rest, longest)) < len(rest):
        cut = next((at + len(end) for end in _ENDS if (at := head.rfind(end)) > 0), len(head))
        found.append(head[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return [*found, rest] if rest or not found else found


def _units(text: str) -> int:
    """The text's length as Discord's clients count it: in UTF-16 code units."""
    return sum(2 if ord(character) > 0xFFFF else 1 for character in text)


def _fitting(text: str, longest: int) -> str:
    """The longest beginning of at most that many UTF-16 code units; a code point is never divided."""
    units = 0
    for index, character in enumerate(text):
        units += 2 if ord(character) > 0xFFFF else 1
        if units > longest:
            return text[:index]
    return text


def drafts(made: Drafts) -> list[str]:
    """What /tweet and /replay show: each draft with what makes it again."""
    return [_signed(draft.text, _origin(made, draft)) for draft in made.drafts]


def _signed(text: str, origin: str) -> str:
    """The text with its origin below it, cut so that both stand in one message."""
    first, *more = pieces(plain(text), LONGEST - _units(origin) - 3)
    return f"{first}{' …' if more else ''}\n{origin}"


def _origin(made: Drafts, draft: Draft) -> str:
    return f"-# {plain(made.persona)} {made.version} (AI) · seed {draft.seed} · novelty {draft.novelty:.0%}"


def handles(names: Sequence[str]) -> str:
    """`@nasa, @esa`."""
    return ", ".join(f"@{plain(name)}" for name in names)


def blended(manifest: Manifest) -> str:
    """What /cyborg shows."""
    name = plain(manifest.persona)
    return (
        f"**{name}** {manifest.version} is in use, an {manifest.kind} of {handles(manifest.handles)}: "
        f"{plain(in_words(manifest))}.\n"
        f"-# Nothing was trained for it. `/tweet persona:{name}` lets it speak."
    )


def parse_handles(text: str) -> tuple[str, ...]:
    """`@NASA, esa` -> nasa, esa; each once, in order."""
    return tuple(dict.fromkeys(name.lower() for name in re.split(r"[\s,@]+", text) if name))


def training_under_way(training: Training) -> str:
    """What a training's message shows until it ends."""
    head = (
        f"**{plain(training.persona)}** learns from the stored tweets of {handles(training.handles)}, "
        "and from nothing else."
    )
    return f"{head}\n{_progress(training)}"


def _progress(training: Training) -> str:
    if training.state is TrainingState.QUEUED:
        place = training.position or 1
        return f"{'Next' if place == 1 else f'Number {place}'} in line. {_beginning(training)}"
    point = training.point
    if training.stage is Stage.BASE:
        return "The base is made ready; this happens once."
    if training.stage is Stage.JUDGING:
        return "It has learned; how well is being judged, which takes a minute or two."
    if point is None:
        return "Reading the tweets."
    parts = [f"`{_bar(point.step, point.steps)}` step {point.step} of {point.steps}"]
    if point.loss is not None:
        parts.append(f"loss {point.loss:.3f}")
    if point.held_out_loss is not None:
        parts.append(f"held-out {point.held_out_loss:.3f}")
    if point.tokens_per_second is not None:
        parts.append(f"{point.tokens_per_second:,.0f} tokens/s")
    if point.seconds_left is not None:
        parts.append(f"{duration(point.seconds_left)} left")
    return " · ".join(parts)


def _beginning(training: Training) -> str:
    """When it will probably begin, in the reader's own time."""
    if training.starts_at is None:
        return "When it begins is unknown yet."
    return f"It begins {discord.utils.format_dt(training.starts_at, 'R')}, as far as can be told."


def another_version(decision: Decision) -> str:
    """What a channel is told in which that persona was chosen."""
    who = f"**{plain(decision.persona)}** speaks as {decision.to_version}"
    if decision.what is What.ROLLED_BACK:
        before = f" (rolled back from {decision.from_version})" if decision.from_version else ""
        return f"{who} again{before}."
    became = {What.ADOPTED: "was adopted", What.BLENDED: "was blended"}.get(decision.what, "has learned")
    return f"{who} from now on: it {became}."


def purchase(bought: Purchase) -> str:
    """What is to be fetched before a training, what it costs, and how the fetch goes."""
    who = handles(bought.handles)
    month = month_so_far(bought.month, bought.cap)
    match bought.state:
        case PurchaseState.ASKED:
            return (
                f"{who}: fetching from X has a price. Looking it up costs {dollars(bought.look_up_usd)}; "
                f"what the fetch costs is said then.\n{month}"
            )
        case PurchaseState.LOOKING:
            return f"{who}: looking it up on X.\n{month}"
        case PurchaseState.PRICED:
            again = [plain(bought.reason)] if bought.reason else []
            lines = [f"{handles([each.handle])}: {_expected(each)}" for each in bought.estimates]
            return "\n".join(
                [*again, *lines, f"It costs at most {dollars(bought.most)}, or you are asked again.", month]
            )
        case PurchaseState.READY:
            return f"{who}: everything is stored, so nothing has to be bought."
        case PurchaseState.FETCHING:
            return f"{_fetching(bought)}\n{month}"
        case PurchaseState.LEARNING:
            return f"{who}: fetched for {dollars(bought.spent)}.\n{month}"
        case PurchaseState.FAILED:
            cost = f"\n-# It has cost {dollars(bought.spent)}." if bought.spent else ""
            return f"{plain(bought.reason or '')}{cost}"
        case PurchaseState.DECLINED:
            return "Never mind: nothing was learned."


def month_so_far(month: Decimal, cap: Decimal) -> str:
    return f"-# X this month: {dollars(month)} of the cap of {dollars(cap)}."


def _expected(estimate: Estimate) -> str:
    """`about 250 posts are to be fetched from X, for about $1.25.`"""
    if not estimate.posts:
        return "probably nothing new is on X; looking costs nothing when that is so."
    return f"about {estimate.posts:,} posts are to be fetched from X, for about {dollars(estimate.usd)}."


def _fetching(bought: Purchase) -> str:
    if bought.pauses_until is not None:
        return f"X takes no more requests for now; the fetch goes on at {bought.pauses_until:%H:%M} UTC."
    cost = f"{dollars(bought.spent)} of at most {dollars(bought.agreed or bought.most)}"
    if bought.progress is None:
        return f"Fetching {handles(bought.handles)} from X: {cost}."
    read = f"page {bought.progress.pages}, {bought.progress.read:,} posts"
    return f"Fetching @{plain(bought.progress.handle)} from X: {read}, {cost}."


def _bar(step: int, steps: int, width: int = 12) -> str:
    full = round(width * min(step / steps, 1)) if steps else 0
    return "█" * full + "░" * (width - full)


def duration(seconds: float) -> str:
    """`50 s`, `3 min`, `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def quoted(text: str) -> str:
    """The text as a quotation."""
    return "\n".join(f"> {plain(line)}" for line in text.splitlines())


TRAINING_GONE = "This training was forgotten, with everything that it learned from."


def about_to_forget(handle: str, found: Receipt, everywhere: bool) -> str:
    """What /forget asks."""
    standing = [said for said in found.said if said.platform == "discord"]
    posted = [said for said in found.said if said.platform == "x"]
    lines = [f"**Forget @{plain(handle)}, for good?**"]
    if found.personas:
        lines.append(f"These personas go, with all their versions: {', '.join(map(plain, found.personas))}.")
    lines.append(
        f"{(found.found or {}).get('tweets', {}).get('tweets', 0):,} tweets are stored. "
        "Nothing of the account is learned again afterwards."
    )
    if standing or posted:
        fate = "They are deleted, too." if everywhere else "They stay, and are listed."
        lines.append(
            f"{len(standing):,} messages on Discord and {len(posted):,} posts on X were said in its voice. {fate}"
        )
    pushed = sum(1 for said in found.said if said.platform == "hub")
    if pushed:
        lines.append(f"On Hugging Face's hub {'go' if everywhere else 'stay'}: {pushed:,} repositories.")
    return "\n".join(lines)


def price_of_deleting(posts: int, price: Decimal, month: Decimal, cap: Decimal) -> str:
    """What /forget says where posts on X are to be deleted."""
    return f"Deleting {posts:,} posts on X costs {dollars(price)}.\n{month_so_far(month, cap)}"


def forgotten(done: Takedown) -> str:
    """What /forget shows when it is done."""
    left = [said for said in done.receipt.said if said.outcome != DELETED]
    lines = [
        f"**@{plain(done.handle)} is forgotten.** The receipt has number {done.id}; "
        f"`mockingbird receipts {plain(done.handle)}` shows it."
    ]
    if done.receipt.said:
        said = f"{len(done.receipt.said):,} messages, posts and pushed models"
        lines.append(f"Of {said} in its voice {len(left):,} still stand.")
    return "\n".join(lines)
