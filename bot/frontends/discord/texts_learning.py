"""How a training is put in words on Discord: before it begins, and when it has ended. Pure."""

from __future__ import annotations

from bot.frontends.discord.texts import TRAINING_GONE, duration, handles, plain
from bot.frontends.discord.texts_shelf import counts, figures
from bot.shelf.card import REASONS
from bot.training.plan import Plan
from bot.training.trainings import FORGETTING, Training, TrainingState
from bot.tweets.counts import LITTLE_CHARACTERS, AccountCounts


def plan(planned: Plan) -> str:
    """What /train asks where nothing has to be bought."""
    return "\n".join(
        [
            f"**Learn {plain(planned.persona)}?**",
            *(
                f"It reads {account.kept:,} of the {account.downloaded:,} stored tweets of @{plain(account.handle)} "
                f"({REASONS.get(planned.bases[account.handle], planned.bases[account.handle])})."
                for account in planned.accounts
            ),
            "Nothing else is read, and it costs nothing.",
            *_little(sum(account.characters for account in planned.accounts)),
            f"-# {_time(planned)}",
        ]
    )


def _time(planned: Plan) -> str:
    takes = (
        "How long it takes is unknown yet."
        if planned.seconds is None
        else f"It takes about {duration(planned.seconds)}."
    )
    line = {0: "Nothing waits before it.", 1: "One training is before it."}
    return f"{takes} {line.get(planned.ahead, f'{planned.ahead} trainings are before it.')}"


def _little(characters: int) -> list[str]:
    if characters >= LITTLE_CHARACTERS:
        return []
    return [
        f"{characters:,} characters are few: below {LITTLE_CHARACTERS:,}, huggingtweets' rule of thumb, a voice "
        "repeats itself."
    ]


def archive_read(account: AccountCounts) -> str:
    """What is stored of an account whose archive somebody attached."""
    return f"-# The archive of @{plain(account.handle)} is read and stored; the file is deleted."


def ended(training: Training, characters: int | None) -> str:
    """What a training's message shows at last; `characters` are those it learned from, where known."""
    if training.reason == FORGETTING:
        return TRAINING_GONE
    name = plain(training.persona)
    heads = {
        TrainingState.PUBLISHED: f"**{name}** has learned: {training.version} is in use.",
        TrainingState.KEPT: f"**{name}** has learned, but {training.version} isn't used.",
        TrainingState.CANCELLED: f"Learning **{name}** was cancelled. What was there before is untouched.",
    }
    lines = [heads.get(training.state, f"**{name}** could not be learned.")]
    if training.reason and training.state is not TrainingState.CANCELLED:
        lines.append(plain(training.reason))
    if training.result is not None:
        lines += map(counts, training.result.counts)
        lines += figures(training.result.metrics)
        lines += _rule_of_thumb(characters)
    return "\n".join(lines)


def _rule_of_thumb(characters: int | None) -> list[str]:
    if characters is None:
        return []
    enough = "enough" if characters >= LITTLE_CHARACTERS else "little"
    return [
        f"It learned from {characters:,} characters: {enough} by huggingtweets' rule of thumb "
        f"({LITTLE_CHARACTERS:,} and more)."
    ]


def moved_here(training: Training, channel: int) -> str:
    """What stands above a training's message where it goes on in a direct message."""
    return f"-# In <#{channel}> I can't write any more, so here is how {handles(training.handles)} goes on.\n"
