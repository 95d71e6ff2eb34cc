"""`mockingbird doctor`: looks at everything the service will need and says what to do about each finding.

It asks nobody outside: it reads settings, environment, disk, database and shelf, and costs nothing.
"""

from __future__ import annotations

import base64
import binascii
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_UP, Decimal
from enum import StrEnum

from bot.config import Config, X, secret, x_accounts
from bot.database import Database
from bot.errors import MockingbirdError
from bot.frontends.discord.invite import invite_link
from bot.shelf.bases import Base, find_base
from bot.shelf.manifest import Manifest
from bot.shelf.shelf import Shelf
from bot.tweets.costs import Ledger, dollars
from bot.tweets.forecast import Forecast

LEAST_DISK = 2 * 2**30  # bytes; a base with its graph is half of it


class Grade(StrEnum):
    """How a finding weighs."""

    OK = "ok"
    NOTE = "note"  # works, but not everything does
    WRONG = "wrong"  # the service will not do what the settings ask for


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    about: str
    grade: Grade
    text: str  # what was found and, unless all is well, what to do


def examine(config: Config, environment: Mapping[str, str] = os.environ) -> list[Finding]:
    """All findings, in the order in which a newcomer would mend them."""
    return [
        *_disk(config),
        *_base(config),
        *_shelf(config),
        *_discord(config, environment),
        *_x(config, environment),
        *_web(config, environment),
    ]


async def money(config: Config, now: datetime) -> list[Finding]:
    """What this month has cost, and whether the cap lasts with the present settings. Nothing where X is off."""
    path = config.paths.data / "mockingbird.db"
    if not config.x.enabled or not path.is_file():
        return []
    async with Database(path) as database:
        ledger = Ledger(database, config.prices, config.x.monthly_budget_usd, lambda: now)
        month = await ledger.month()
        outlook = await Forecast(database, ledger, config.x, config.prices, lambda: now).outlook()
    spent = f"{dollars(month.spent + month.under_way)} of this month's cap of {dollars(month.cap)} are spent"
    end = outlook.runs_out
    if end is None:
        return [Finding("[x] monthly_budget_usd", Grade.OK, f"{spent}; the rest lasts.")]
    usd = outlook.scheduled_a_day + outlook.others_a_day
    rate = dollars(usd.quantize(Decimal("0.01"), ROUND_UP))
    text = (
        f"{spent}. At about {rate} a day nothing is left on {end.day} {end:%B}, and then nothing is fetched or posted. "
        "Raise it, follow fewer accounts (mockingbird costs shows which cost most), or post and check less often."
    )
    return [Finding("[x] monthly_budget_usd", Grade.NOTE, text)]


def application_id(token: str) -> int | None:
    """The application that a bot token belongs to: its first part is the id in base64. None when it isn't a token."""
    head = token.partition(".")[0]
    try:
        return int(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (binascii.Error, ValueError):
        return None


def _disk(config: Config) -> Iterator[Finding]:
    for name, folder in (("data", config.paths.data), ("models", config.paths.models)):
        about = f"[paths] {name}"
        there = next(parent for parent in (folder, *folder.parents) if parent.exists())
        free = shutil.disk_usage(there).free
        if not os.access(there, os.W_OK):
            yield Finding(about, Grade.WRONG, f"{there} is not writable. Change its owner, or name another folder.")
        elif free < LEAST_DISK:
            yield Finding(about, Grade.NOTE, f"{free / 2**30:.1f} GB are free. Make room before preparing a base.")
        else:
            yield Finding(about, Grade.OK, f"{folder} ({free / 2**30:.0f} GB free)")


def _base(config: Config) -> Iterator[Finding]:
    base = find_base(config.paths.data, config.model.base)
    if base is None:
        text = f"{config.model.base} is not prepared yet. `mockingbird prepare` does it; so does the first start."
        yield Finding("[model] base", Grade.NOTE, text)
    else:
        yield Finding("[model] base", Grade.OK, f"{config.model.base} ({base.record.architecture})")


def _shelf(config: Config) -> Iterator[Finding]:
    shelf = Shelf(config.paths.models)
    base = find_base(config.paths.data, config.model.base)
    if not shelf.personas():
        yield Finding("shelf", Grade.NOTE, "No persona yet. Import an archive, then `mockingbird train HANDLE`.")
    for name in shelf.personas():
        try:
            manifest = shelf.current(name)
        except MockingbirdError as error:
            yield Finding(name, Grade.WRONG, str(error))
            continue
        damaged = shelf.damaged(manifest)
        if damaged:
            text = (
                f"{manifest.version} is damaged ({', '.join(damaged)}). `mockingbird rollback {name}` or train again."
            )
            yield Finding(name, Grade.WRONG, text)
        elif manifest.form == "adapter" and base and not _has_base(config, manifest, base):
            text = f"{manifest.version} was trained on {manifest.base}, which is not prepared. Train it again."
            yield Finding(name, Grade.WRONG, text)
        else:
            yield Finding(name, Grade.OK, f"{manifest.version}, {_loss(manifest)}")
    default = config.replies.default_persona
    if shelf.personas() and default not in shelf.personas():
        text = f"{default} is not on the shelf. Name one of {', '.join(shelf.personas())}."
        yield Finding("[replies] default_persona", Grade.WRONG, text)


def _has_base(config: Config, manifest: Manifest, configured: Base) -> bool:
    """Whether the adapter's base is the configured one, or another that is prepared."""
    own = find_base(config.paths.data, manifest.base)
    return manifest.base_sha256 in (configured.record.sha256, own.record.sha256 if own else None)


def _loss(manifest: Manifest) -> str:
    return f"held-out loss {manifest.metrics.held_out_loss:.3f}" if manifest.metrics else "not judged yet"


def _discord(config: Config, environment: Mapping[str, str]) -> Iterator[Finding]:
    variable = config.discord.token_env
    token = secret(variable, environment)
    if not config.discord.enabled:
        yield Finding(
            "discord", Grade.NOTE, "Off. docs/discord.md leads from the developer portal to the first answer."
        )
    elif token is None:
        yield Finding("discord", Grade.WRONG, f"On, but {variable} is empty. Put the bot's token into it.")
    else:
        application = application_id(token)
        if application is None:
            yield Finding("discord", Grade.WRONG, f"{variable} doesn't look like a bot's token. Copy it again.")
        else:
            yield Finding("discord", Grade.OK, f"Invite the bot with {invite_link(application)}")


def _x(config: Config, environment: Mapping[str, str]) -> Iterator[Finding]:
    if not config.x.enabled:
        yield Finding("x", Grade.NOTE, "Off. docs/x.md says what it costs and what X asks for.")
        return
    settings = config.x
    reading = [settings.bearer_token_env]
    posting = [
        settings.consumer_key_env,
        settings.consumer_secret_env,
        settings.access_token_env,
        settings.access_token_secret_env,
    ]
    for purpose, variables in (("reading", reading), ("posting", posting)):
        missing = [variable for variable in variables if secret(variable, environment) is None]
        if missing:
            yield Finding("x", Grade.NOTE, f"No {purpose}: {', '.join(missing)} not set.")
        else:
            yield Finding("x", Grade.OK, f"Keys for {purpose} are set.")
    if not settings.i_have_permission_to_train:
        text = "Fetching to train is off until [x] i_have_permission_to_train is true. An own archive needs none."
        yield Finding("x", Grade.NOTE, text)
    yield from _mentions(settings)


def _mentions(settings: X) -> Iterator[Finding]:
    """Whether mentions are answered, and what X asks for before they are."""
    accounts = x_accounts(settings)
    answering = [name for name, account in accounts.items() if account.reply_to_mentions]
    if not answering:
        text = (
            "Mentions are not answered: X wants to approve generated replies beforehand. Once it has, set "
            "reply_to_mentions = true (docs/x.md, Mentions)."
        )
        yield Finding("[x] reply_to_mentions", Grade.NOTE, text)
    for name in answering:
        if accounts[name].persona:
            text = f"{name} answers mentions. X wants to have approved that beforehand, as the replies are generated."
            yield Finding("[x] reply_to_mentions", Grade.NOTE, text)
        else:
            text = f"{name} is to answer mentions and has no persona. Name one in its settings."
            yield Finding("[x] reply_to_mentions", Grade.WRONG, text)


def _web(config: Config, environment: Mapping[str, str]) -> Iterator[Finding]:
    loopback = config.web.host in ("127.0.0.1", "::1", "localhost")
    if not config.web.enabled:
        yield Finding("web", Grade.NOTE, "Off.")
    elif not loopback and secret(config.web.password_env, environment) is None:
        text = f"{config.web.host} is reachable by others: set a password in {config.web.password_env}."
        yield Finding("web", Grade.WRONG, text)
    else:
        yield Finding("web", Grade.OK, f"http://{config.web.host}:{config.web.port}")
