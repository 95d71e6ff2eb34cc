"""`mockingbird doctor`: looks at everything the service will need and says what to do about each finding.

It reads settings, environment, disk, database and shelf, asks Discord where that is switched on, and X for `usage` and
`label`, where somebody wants that. It costs nothing but `label`.
"""

from __future__ import annotations

import base64
import binascii
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_UP, Decimal
from enum import StrEnum

from bot.config import Config, X, secret, x_accounts
from bot.database import Database
from bot.errors import DiscordUnreachable, MockingbirdError
from bot.frontends.discord.inspection import inspect
from bot.frontends.discord.invite import invite_link
from bot.replies.bio import missing_from_bio
from bot.replies.opt_outs import OptOuts
from bot.shelf.bases import SMOLLM2_SHA256, Base, embedded_record, find_base
from bot.shelf.manifest import Manifest
from bot.shelf.shelf import Shelf
from bot.tweets.charges import Charges
from bot.tweets.costs import Ledger, dollars
from bot.tweets.forecast import Forecast
from bot.tweets.x_api import XClient
from bot.tweets.x_logins import Login, Logins
from bot.tweets.x_oauth2 import SCOPES

READING_POSTS = ("fetch", "mention", "look")  # purposes in the ledger whose units are posts, or nearly all of them
_LABEL = "Label the account as automated and name bot and operator in its bio (docs/x.md)."
_DAY_HOURS = 24.0
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


async def money(config: Config, ledger: Ledger, forecast: Forecast) -> list[Finding]:
    """What this month has cost, and whether the cap lasts with the present settings. Nothing where X is off."""
    if not config.x.enabled:
        return []
    month, outlook = await ledger.month(), await forecast.outlook()
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


async def discord_answers(config: Config, environment: Mapping[str, str] = os.environ) -> list[Finding]:
    """What Discord says about the token, the intents and the commands. Nothing where it is off or has no token."""
    token, path = secret(config.discord.token_env, environment), config.paths.data / "mockingbird.db"
    if not config.discord.enabled or token is None:
        return []
    try:
        async with AsyncExitStack() as stack:
            database = await stack.enter_async_context(Database(path)) if path.is_file() else None
            seen = await inspect(config.discord, token, database)
    except DiscordUnreachable as error:
        return [Finding("discord answers", Grade.NOTE, f"{error} The service goes on trying.")]
    except MockingbirdError as error:
        return [Finding("discord answers", Grade.WRONG, str(error))]
    known = f"The token is {seen.name}'s."
    if config.discord.message_content and not seen.message_content:
        text = f"{known} [discord] message_content is true, but the Message Content Intent is off on its page Bot."
        return [Finding("discord answers", Grade.WRONG, f"{text} Switch it on there, or set false.")]
    if not seen.are_synced:
        text = "Discord doesn't know these commands yet. The next start tells it; so does `mockingbird sync-commands`."
        return [Finding("discord answers", Grade.NOTE, f"{known} {text}")]
    return [Finding("discord answers", Grade.OK, f"{known} Discord knows its commands.")]


async def wishes(config: Config, now: datetime) -> list[Finding]:
    """Which accounts people wish not to be imitated. Nothing where there is none."""
    path = config.paths.data / "mockingbird.db"
    if not path.is_file():
        return []
    async with Database(path) as database:
        waiting = await OptOuts(database, lambda: now).removal_requests()
    handles = sorted({each.handle for each in waiting})
    if not handles:
        return []
    text = f"People wish that these are not imitated: {', '.join(handles)}. `mockingbird forget HANDLE` does it."
    return [Finding("wishes", Grade.NOTE, text)]


async def connections(
    config: Config, logins: Logins | None, environment: Mapping[str, str] = os.environ
) -> list[Finding]:
    """How each account of ours is connected with X: by a login or by keys, whose, until when. Nothing where X is off.

    `logins` is None where there is no database yet.
    """
    if not config.x.enabled:
        return []
    kept = {login.account: login for login in await logins.all()} if logins else {}
    found = []
    for name, settings in x_accounts(config.x).items():
        if logins and name in kept:
            found.append(await _login(kept[name], settings, logins, environment))
        else:
            found.append(_keys(name, settings, environment))
    return found


def named_twice(config: Config, own_ids: Mapping[str, str]) -> list[Finding]:
    """Which accounts of ours are one on X, by X's ids of each. Nothing where X is off."""
    if not config.x.enabled:
        return []
    by_id: dict[str, list[str]] = {}
    for name, own_id in own_ids.items():
        by_id.setdefault(own_id, []).append(name)
    return [
        Finding(
            f"x accounts {' and '.join(names)}",
            Grade.WRONG,
            f"These are one account on X, the one with the id {own_id}: {len(names)} personas post on it. Log all but "
            f"one of them in as other accounts (mockingbird login x --account {names[-1]}), or take them out of the "
            "settings.",
        )
        for own_id, names in by_id.items()
        if len(names) > 1
    ]


async def _login(login: Login, settings: X, logins: Logins, environment: Mapping[str, str]) -> Finding:
    about = f"x account {login.account}"
    try:
        await logins.tokens(login.account)
    except MockingbirdError as error:
        return Finding(about, Grade.WRONG, str(error))
    if secret(settings.oauth2_client_id_env, environment) is None:
        text = f"Logged in as @{login.handle}, but {settings.oauth2_client_id_env} is empty, so it can't be renewed."
        return Finding(about, Grade.WRONG, f"{text} Put the app's client id into it.")
    missing = [scope for scope in SCOPES if scope not in login.scopes]
    if missing:
        text = f"Logged in as @{login.handle}, without {', '.join(missing)}. Log in again and agree to all of it."
        return Finding(about, Grade.NOTE, text)
    where = "keyring" if login.in_keyring else "database, encrypted"
    return Finding(
        about,
        Grade.OK,
        f"Logged in as @{login.handle} since {login.at:%Y-%m-%d} ({where}), may do {', '.join(login.scopes)}; the "
        f"token is good until {login.expires_at:%Y-%m-%d %H:%M} UTC and is renewed by itself. {_LABEL}",
    )


def _keys(name: str, settings: X, environment: Mapping[str, str]) -> Finding:
    keys = ("consumer_key_env", "consumer_secret_env", "access_token_env", "access_token_secret_env")
    variables = {key: getattr(settings, key) for key in keys}
    about = f"x account {name}"
    missing = [variable or key for key, variable in variables.items() if secret(variable, environment) is None]
    if missing:
        text = f"No posting: {', '.join(missing)} not set. Set them, or log in: mockingbird login x --account {name}"
        return Finding(about, Grade.NOTE, text)
    owner = (secret(settings.access_token_env, environment) or "").partition("-")[0]
    whose = f" of the account with the id {owner}" if owner.isdecimal() else ""
    return Finding(about, Grade.OK, f"Keys{whose} for posting are set; they do not expire. {_LABEL}")


async def usage(client: XClient, ledger: Ledger) -> Finding:
    """What X has counted as read against what the ledger has: asks X, which costs nothing."""
    about = "[x] posts read"
    try:
        counted = await client.posts_read()
    except MockingbirdError as error:
        return Finding(about, Grade.NOTE, f"X could not be asked what it has counted: {error}")
    ours = sum(entry.units for entry in (await ledger.month()).entries if entry.purpose in READING_POSTS)
    text = f"X has counted {counted:,} posts as read this month, the ledger {ours:,}."
    if counted <= ours:
        return Finding(about, Grade.OK, text)
    return Finding(
        about, Grade.NOTE, f"{text} Something else uses the same app, or X's month began earlier; look at its console."
    )


async def label(client: XClient, ledger: Ledger, account: str, clock: Callable[[], datetime]) -> Finding:
    """Whether the bio of an account of ours says that it is automated and by whom: a user read, once a day."""
    about, price = f"x bio of {account}", ledger.prices.user_read
    try:
        async with ledger.hold("look up", account, price, "Reading the own bio", account=account) as call:
            found = await client.authors([client.own_id or ""])
            async with ledger.database.transaction() as transaction:
                await Charges(clock).settle_users(transaction, call, found, price)
    except MockingbirdError as error:
        return Finding(about, Grade.NOTE, f"X could not be asked for the bio: {error}")
    author = found.get(client.own_id or "")
    if author is None:
        return Finding(about, Grade.WRONG, "X does not show the account: it is suspended or gone. Look in a browser.")
    missing, label_too = missing_from_bio(author), "Whether its label is set is not told by X's API."
    if not missing:
        text = f"The bio of @{author.handle} says that it is automated and by whom. {label_too}"
        return Finding(about, Grade.OK, text)
    example = f'"A bot, run by @you." {label_too}'
    return Finding(about, Grade.NOTE, f"The bio of @{author.handle} does not {missing}. Write for example: {example}")


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
    """Whether the adapter's base is the configured one, one that comes along, or another that is prepared."""
    known = (configured.record.sha256, embedded_record().sha256, SMOLLM2_SHA256)
    return manifest.base_sha256 in known or bool(find_base(config.paths.data, manifest.base, manifest.base_sha256))


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
    if secret(settings.bearer_token_env, environment) is None:
        yield Finding("x", Grade.NOTE, f"No bearer token for reading: {settings.bearer_token_env} not set.")
    else:
        yield Finding("x", Grade.OK, "The bearer token for reading is set.")
    if not settings.i_have_permission_to_train:
        text = "Fetching to train is off until [x] i_have_permission_to_train is true. An own archive needs none."
        yield Finding("x", Grade.NOTE, text)
    elif settings.check_posts == "off" or not 0 < settings.check_interval_hours <= _DAY_HOURS:
        text = (
            "X wants what was deleted there gone from here within a day, and these settings do not see to that. Let "
            "check_interval_hours be 24 at most and more than 0, and check_posts something else than off."
        )
        yield Finding("[x] check_interval_hours", Grade.NOTE, text)
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
            does = "is paused; after that it answers" if accounts[name].paused else "answers"
            text = f"{name} {does} mentions. X wants to have approved that beforehand, as the replies are generated."
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
