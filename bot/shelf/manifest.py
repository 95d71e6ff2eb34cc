"""What stands in `manifest.json` of a version: everything needed to know where it came from and how good it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bot.shelf.bases import SMOLLM2_SHA256
from bot.shelf.figures import Figures

OWN_SETTINGS = ("temperature", "top_p", "top_k")  # of how it is sampled, that a model which is adopted brings along
Form = Literal["adapter", "whole"]  # beside the base that it stands on; or a model of its own


class HandleCounts(BaseModel):
    """How many tweets of one account went which way."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    handle: str  # lower case, no @
    downloaded: int
    retweets: int
    short: int
    duplicates: int
    kept: int
    quotes: int | None = None  # of the retweets, those quoted by hand; None in older versions
    near_duplicates: int | None = None  # of the duplicates, those that are not the very words; None in older versions


class HandleSplit(BaseModel):
    """What became of the kept tweets of one account; the first five are all of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    handle: str
    said_before: int  # left out: the account has said it before, in the same words or nearly
    said_elsewhere: int  # left out of what is learned: another account's training tweet says it
    known_already: int  # left out of what is judged with: a training tweet or one put aside before says it
    train: int
    held_out: int
    epoch: int  # of the training tweets, how many an epoch takes
    characters: int  # of the training tweets
    tokens: int | None  # of the training tweets, one end token of each included
    first: datetime | None  # UTC; of the oldest training tweet that has a time
    boundary: datetime | None  # UTC; of the oldest held-out tweet
    last: datetime | None  # UTC; of the newest held-out tweet
    answers: int = 0  # of the training tweets, replies that came with what they answer


class Answering(BaseModel):
    """The held-out replies of which it is known what they answer, behind that and alone, in nats per token."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    held_out: int  # how many they are
    loss: float  # behind what they answer, which itself is not scored
    loss_alone: float  # the same tokens after the end token alone


class Metrics(BaseModel):
    """Figures on the held-out tweets, each scored alone after the end token, its closing end token included."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    held_out_tweets: int
    held_out_loss: float  # nats per token
    base_held_out_loss: float  # the base's own, on the same tweets
    bits_per_byte: float
    base_bits_per_byte: float
    previous_held_out_loss: float | None = None  # of the version in use, on the same tweets
    figures: Figures | None = None  # everything else that it is judged by; None in older versions
    unjudged: str | None = None  # why there are no figures although they were wanted, in a sentence
    answering: Answering | None = None  # None without such replies, and in older versions


class Prediction(BaseModel):
    """One thing that the version says when asked; never a tweet that it learned from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str  # what it was given as the beginning; empty when nothing
    text: str  # the whole of it, the beginning included


class Tracked(BaseModel):
    """The run that an experiment tracker shows of the training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    service: str  # wandb, trackio
    run: str  # its id there
    url: Annotated[str, Field(pattern=r"^https?://")] | None = None  # where it is seen; None: in the data folder


class Part(BaseModel):
    """A version of which a blend is made, as it was then: it may be pruned, and its data set is still to be known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    persona: str
    version: str
    weight: float  # how often the blend adds to the base what this version adds
    weights_sha256: str  # digest of its adapter's weights
    handles: tuple[str, ...]  # sorted
    fingerprint: str  # of its data set; empty when it was adopted
    tweets_read_at: datetime  # UTC
    seed: int
    hyperparameters: dict[str, Any]  # those that decide the data set

    @property
    def share(self) -> str:
        """The weight in per cent."""
        return f"{100 * self.weight:.3g}%"


class Manifest(BaseModel):
    """One version of one persona."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    persona: str
    version: Annotated[str, Field(pattern=r"^v[1-9][0-9]*$")]
    form: Form = "adapter"
    parent: str | None  # the version that was in use when this one was made
    adopted_from: str | None = None  # hub id, or name of the folder, of a model that somebody else trained
    blended_from: tuple[Part, ...] = ()  # what it is the weighted sum of; empty for all that was trained
    handles: tuple[str, ...]  # sorted
    base: str  # as the configuration names it; what a whole model that was adopted is only set beside
    base_sha256: str  # of the base's model.safetensors
    fingerprint: str  # of the data set: texts, order, split and settings; empty when it was adopted
    tweets_read_at: datetime  # UTC; what was stored later is new to this version; when it was adopted, that moment
    created: datetime  # UTC
    code_version: str
    seed: int
    counts: tuple[HandleCounts, ...]  # empty when it was adopted: nobody here knows
    splits: tuple[HandleSplit, ...] = ()  # one for each account; empty in older versions
    consent: dict[str, str] = {}  # account -> own, permission, public_official or invented; empty in older versions
    hyperparameters: dict[str, Any]
    metrics: Metrics | None  # None when it was adopted and no tweet is stored that it could be judged by
    languages: tuple[str, ...] = ()  # of its tweets, ISO 639-1, the commonest first; empty in older versions
    predictions: tuple[Prediction, ...] = ()  # the first is in the picture; empty in older versions
    answers: int = 0  # replies that it learned with what they answer, see `bot.shelf.answering`
    tracked: Tracked | None = None  # None where no tracker is set up, or none could be reached
    sha256: dict[str, str]  # file name -> digest, for every other file of the version

    @model_validator(mode="before")
    @classmethod
    def _by_its_name_now(cls, read: Any) -> Any:
        """The base that was the embedded one when older versions were trained is called smollm2."""
        if isinstance(read, dict) and (read.get("base"), read.get("base_sha256")) == ("embedded", SMOLLM2_SHA256):
            return read | {"base": "smollm2"}
        return read

    @property
    def own_sampling(self) -> dict[str, float]:
        """How it is sampled unless somebody asks for something else; without what the configuration says."""
        return own_settings(self.hyperparameters.get("generation", {}))

    @property
    def kind(self) -> str:
        """What it is, in the words of the field: of one account a bot, of several a cyborg."""
        return "AI BOT" if len(self.handles) == 1 else "AI CYBORG"

    @property
    def people(self) -> str:
        """`@a`, `@a and @b`, `@a, @b and @c`."""
        *others, last = (f"@{handle}" for handle in self.handles)
        return f"{', '.join(others)} and {last}" if others else last

    @property
    def number(self) -> int:
        """`v12` -> 12; versions are ordered by it."""
        return int(self.version.removeprefix("v"))


def own_settings(generation: Mapping[str, float]) -> dict[str, float]:
    """Those of `OWN_SETTINGS` that stand in a model's generation configuration; `top_k` is a whole number."""
    found = {name: generation[name] for name in OWN_SETTINGS if name in generation}
    return {name: int(value) if name == "top_k" else value for name, value in found.items()}
