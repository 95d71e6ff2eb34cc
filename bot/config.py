"""Every setting, read once, strict and frozen.

Outcome: `load(path, environment)` gives a `Config` or raises `ConfigError` with one sentence. `config.toml` in the
project's root is the manual: it holds every key with the default that stands here, which a test checks.
`MOCKINGBIRD_SECTION__KEY` in the environment overrides a key. Secrets are only named (`token_env`), and are looked up
by `secret()` at the moment of use, so that no configuration object ever holds one.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from bot.errors import ConfigError

PREFIX = "MOCKINGBIRD_"

Folder = Annotated[Path, Field(strict=False)]
Dollars = Annotated[Decimal, Field(strict=False, ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
TimeOfDay = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


def _hours(text: str) -> str:
    start, _, end = text.partition("-")
    if text and start == end:
        raise ValueError("they end when they begin; leave them empty where there are to be none")
    return text


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError('there is no such time zone; name one such as "UTC" or "Europe/Berlin"') from error
    return name


HoursOfDay = Annotated[
    str, Field(pattern=r"^(([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d)?$"), AfterValidator(_hours)
]
TimeZone = Annotated[str, AfterValidator(_time_zone)]


class Section(BaseModel):
    """Strict, frozen, and with no room for a key that means nothing."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Paths(Section):
    """Where things live; relative paths are relative to the configuration file."""

    data: Folder = Path("data")
    models: Folder = Path("models")
    examples: Folder = Path("examples")


class Model(Section):
    """The base that all personas share."""

    base: str = "embedded"
    weights: Literal["int8", "float32"] = "int8"
    threads: Annotated[int, Field(ge=0)] = 0
    rows: Annotated[int, Field(ge=8, le=1024)] = 32
    memory_mb: Annotated[float, Field(gt=0)] = 1024.0


class Hub(Section):
    """Hugging Face's hub: where bases come from, and where `mockingbird push` puts a version."""

    endpoint: str = ""
    token_env: str = "HF_TOKEN"


class ShelfRules(Section):
    """What is kept of what was learned."""

    keep_versions: Annotated[int, Field(ge=0)] = 5


class Generation(Section):
    """How drafts are sampled and which are let through."""

    temperature: Annotated[float, Field(ge=0.01, le=5)] = 0.8
    top_p: Annotated[float, Field(ge=0.01, le=1)] = 0.95
    top_k: Annotated[int, Field(ge=0)] = 0
    min_tokens: Annotated[int, Field(ge=0, le=512)] = 3
    max_tokens: Annotated[int, Field(ge=1, le=512)] = 80
    repetition_penalty: Annotated[float, Field(ge=1, le=5)] = 1.0
    drafts: Annotated[int, Field(ge=1, le=32)] = 5
    min_novelty: Share = 0.3
    handles: Literal["none", "plain"] = "none"
    links: bool = False
    max_waiting: Annotated[int, Field(ge=1)] = 64


class SafetySettings(Section):
    """What is neither said nor answered."""

    enabled: bool = True
    most_offence_said: Share = 0.9
    most_offence_heard: Share = 0.98
    never_said: Annotated[tuple[str, ...], Field(strict=False)] = ()


class Training(Section):
    """How a persona is learned."""

    method: Literal["lora", "full"] = "lora"
    rank: Annotated[int, Field(ge=0, le=256)] = 0
    layers: Annotated[int, Field(ge=0)] = 0
    epochs: Annotated[int, Field(ge=0, le=100)] = 0
    learning_rate: Annotated[float, Field(ge=0, lt=1)] = 0.0
    batch_tokens: Annotated[int, Field(ge=0)] = 0
    patience: Annotated[int, Field(ge=1)] = 2
    held_out: Annotated[float, Field(gt=0, le=0.5)] = 0.1
    balance: Share = 0.5
    prompted: Share = 0.5
    seed: int = 1
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: Annotated[int, Field(ge=0)] = 0
    min_characters: Annotated[int, Field(ge=0)] = 6_000


class Retraining(Section):
    """When a persona learns again."""

    enabled: bool = True
    min_new_tweets: Annotated[int, Field(ge=1)] = 50
    min_new_share: Share = 0.02
    min_hours_between: Annotated[float, Field(ge=0)] = 24.0
    quiet_hours: HoursOfDay = ""
    time_zone: TimeZone = "UTC"
    check_every_minutes: Annotated[float, Field(gt=0)] = 15.0
    tolerance: Annotated[float, Field(ge=0)] = 0.03


class Judging(Section):
    """By which figures a new version is judged before it is put in use."""

    samples: Annotated[int, Field(ge=0)] = 1_000
    tweets: Annotated[int, Field(ge=1)] = 300
    threads: Annotated[int, Field(ge=0)] = 0
    max_exact_copies: Share = 0.05
    max_near_copies: Share = 0.15
    max_more_toxicity: Share = 0.02


class Tracking(Section):
    """Where a training is shown beside the record that its version holds."""

    service: Literal["", "wandb", "trackio"] = ""
    mode: Literal["online", "offline"] = "online"
    project: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] = "mockingbird"
    send_tweets: bool = False
    limit_seconds: Annotated[float, Field(gt=0)] = 300.0


class Replies(Section):
    """What is said to whom."""

    default_persona: str = "lighthouse_nell"
    requests_per_hour: Annotated[int, Field(ge=1)] = 60
    most_requests_per_hour: Annotated[int, Field(ge=1)] = 600
    server_requests_per_hour: Annotated[int, Field(ge=1)] = 3_000
    cooldown_seconds: Annotated[float, Field(ge=0)] = 0.0
    keep_days: Annotated[int, Field(ge=1)] = 90
    drain_seconds: Annotated[float, Field(ge=0)] = 10.0


class Discord(Section):
    """The Discord bot."""

    enabled: bool = False
    token_env: str = "DISCORD_TOKEN"
    api_base: str = "https://discord.com/api/v10"
    gateway_url: str = "wss://gateway.discord.gg/"
    announce_versions: bool = True
    in_costume: bool = False
    message_content: bool = False
    allowed_servers: Annotated[tuple[int, ...], Field(strict=False)] = ()
    blocked_servers: Annotated[tuple[int, ...], Field(strict=False)] = ()
    deciding_servers: Annotated[tuple[int, ...], Field(strict=False)] = ()
    development_server: Annotated[int, Field(ge=0)] = 0
    forget_server_after_days: Annotated[int, Field(ge=0)] = 30


class XReading(Section):
    """Reading from X: one for all accounts of ours."""

    enabled: bool = False
    api_base: str = "https://api.x.com"
    bearer_token_env: str = "X_BEARER_TOKEN"
    i_have_permission_to_train: bool = False
    fetch_interval_minutes: Annotated[float, Field(ge=0)] = 360.0
    vocabulary: Literal["tweet", "post"] = "tweet"
    check_interval_hours: Annotated[float, Field(ge=0)] = 12.0
    check_posts: Literal["off", "jobs", "lookup"] = "jobs"


class XAccount(Section):
    """An account of ours on X. In [x.accounts.NAME] what is not named is as in [x], but for the token."""

    consumer_key_env: str = "X_CONSUMER_KEY"
    consumer_secret_env: str = "X_CONSUMER_SECRET"
    access_token_env: str = "X_ACCESS_TOKEN"
    access_token_secret_env: str = "X_ACCESS_TOKEN_SECRET"
    persona: str = ""
    post_every_minutes: Annotated[float, Field(ge=0)] = 0.0
    post_at: Annotated[tuple[TimeOfDay, ...], Field(strict=False)] = ()
    time_zone: TimeZone = "UTC"
    jitter_minutes: Annotated[float, Field(ge=0, le=720)] = 0.0
    quiet_hours: HoursOfDay = ""
    posts_per_day: Annotated[int, Field(ge=0)] = 0
    paused: bool = False
    approval: bool = True
    approved_for_hours: Annotated[float, Field(gt=0)] = 48.0
    reply_to_mentions: bool = False
    mentions_by: Literal["polling", "stream"] = "polling"
    mentions_every_minutes: Annotated[float, Field(gt=0)] = 5.0
    most_turns: Annotated[int, Field(ge=1, le=20)] = 3
    answer_bots: bool = False
    monthly_budget_usd: Dollars = Decimal("20.00")


MAIN = "main"  # the account that [x] itself is about


def _account_name(name: str) -> str:
    if name == MAIN:
        raise ValueError(f"{MAIN} is the account of [x] itself; give this one another name")
    return name


AccountName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$"), AfterValidator(_account_name)]


class X(XAccount, XReading):
    """Reading from and posting to X."""

    reserve_for_posting_usd: Dollars = Decimal("0.00")
    warn_at: Annotated[tuple[Share, ...], Field(strict=False)] = (0.5, 0.8, 0.95)
    oauth2_client_id_env: str = "X_CLIENT_ID"
    oauth2_client_secret_env: str = "X_CLIENT_SECRET"
    login_base: str = "https://x.com"
    login_port: Annotated[int, Field(ge=1, le=65535)] = 8723
    token_key_env: str = "MOCKINGBIRD_TOKEN_KEY"
    accounts: dict[AccountName, XAccount] = {}


def x_accounts(settings: X) -> dict[str, X]:
    """The settings of each account on X by its name: the one of [x] itself, and those of [x.accounts.NAME].

    Who names no access token has none: with that of [x] it would post as the account of [x].
    """
    none = {"access_token_env": "", "access_token_secret_env": ""}
    named = {
        name: settings.model_copy(update=none | account.model_dump(exclude_unset=True))
        for name, account in settings.accounts.items()
    }
    return {MAIN: settings} | named


class Prices(Section):
    """What X bills, in US dollars."""

    post_read: Dollars = Decimal("0.005")
    user_read: Dollars = Decimal("0.010")
    owned_read: Dollars = Decimal("0.001")
    post_create: Dollars = Decimal("0.015")
    post_create_with_url: Dollars = Decimal("0.200")
    summoned_reply: Dollars = Decimal("0.010")
    post_delete: Dollars = Decimal("0.010")
    compliance_job: Dollars = Decimal("0.000")


class Web(Section):
    """The web page."""

    enabled: bool = True
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    password_env: str = "MOCKINGBIRD_WEB_PASSWORD"


class Log(Section):
    """What is written to stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "human", "json"] = "auto"


class Config(Section):
    """All settings; `folder` is where relative paths start."""

    paths: Paths = Paths()
    model: Model = Model()
    hub: Hub = Hub()
    shelf: ShelfRules = ShelfRules()
    generation: Generation = Generation()
    safety: SafetySettings = SafetySettings()
    training: Training = Training()
    retraining: Retraining = Retraining()
    judging: Judging = Judging()
    tracking: Tracking = Tracking()
    replies: Replies = Replies()
    discord: Discord = Discord()
    x: X = X()
    prices: Prices = Prices()
    web: Web = Web()
    log: Log = Log()


def load(path: Path | None, environment: Mapping[str, str] = os.environ) -> Config:
    """The settings in `path` (`config.toml` in the working folder when None, built-in defaults when there is none),
    overridden by the environment, with absolute paths. Raises `ConfigError`.
    """
    file = path or Path("config.toml")
    if path is not None and not path.is_file():
        raise ConfigError(f"There is no configuration file {path}. Name an existing one with --config.")
    settings = _read(file) if file.is_file() else {}
    for name, value in environment.items():
        if name.startswith(PREFIX) and "__" in name:
            section, _, key = name.removeprefix(PREFIX).lower().partition("__")
            keys = settings.setdefault(section, {})
            if isinstance(keys, dict):  # else validation says what is wrong with the section
                keys[key] = _typed(section, key, value)
    try:
        config = Config.model_validate(settings)
    except ValidationError as error:
        raise ConfigError(_sentence(error)) from error
    folder = file.resolve().parent
    paths = {name: folder / value.expanduser() for name, value in config.paths}
    return config.model_copy(update={"paths": Paths(**paths)})


def secret(variable: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """The secret in the environment variable of that name; None when unset or blank."""
    return environment.get(variable, "").strip() or None


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file.name} is not valid TOML: {error}. The shipped config.toml shows the form.") from error
    except OSError as error:
        raise ConfigError(f"{file.name} can't be read: {error.strerror}. Check its permissions.") from error


def _typed(section: str, key: str, raw: str) -> Any:
    """An environment value as TOML would read it, except where the key holds a string anyway."""
    model = Config.model_fields.get(section)
    field = model.annotation.model_fields.get(key) if model else None  # type: ignore[union-attr]
    if field is not None and field.annotation in (str, Path, Decimal):
        return raw
    try:
        return tomllib.loads(f"value = {raw}")["value"]
    except tomllib.TOMLDecodeError:
        return raw


def _sentence(error: ValidationError) -> str:
    """The first thing that is wrong, with the nearest known key when one is unknown."""
    first = error.errors()[0]
    location = [part for part in first["loc"] if isinstance(part, str) and part != "[key]"]  # no places in a list
    section, key = location[0], location[-1]
    table = ".".join(location[:-1]) or section
    if first["type"] != "extra_forbidden":
        why = first["msg"].removeprefix("Value error, ")
        return f"[{table}] {key} can't be {first['input']!r}: {why}. config.toml explains each key."
    if len(location) == 1:
        return f"[{section}] is no section{_nearest(section, Config.model_fields)} Remove or rename it."
    known: Mapping[str, object] = Config.model_fields[section].annotation.model_fields  # type: ignore[union-attr]
    if len(location) > 2:  # [x.accounts.NAME]
        if key in known:
            return f"[{table}] {key} is one for all accounts: it belongs into [{section}]. Move it there."
        known = XAccount.model_fields
    return f"[{table}] {key} is no setting{_nearest(key, known)} Remove or rename it."


def _nearest(word: str, known: Mapping[str, object]) -> str:
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {matches[0]}?" if matches else f"; known are {', '.join(known)}."
