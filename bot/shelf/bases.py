"""Bases that were made ready to train on and to speak: `data/bases/<slug>/`.

`model/` in it is an ordinary transformers folder (config.json, model.safetensors, tokenizer.json); `graphs/` holds what
the engine built from it. `base.json` is written last, so a base is there whole or not at all. Making one needs torch
and happens in a process of its own (`mockingbird prepare`, `bot.training.prepare`); finding one needs only this file.

Two bases come along and have names: "embedded", of our own making, in `bot/embedded/`; and "smollm2", in a package,
which was the embedded one before. Ours is renewed now and then: each edition has a folder of its own, and versions that
were trained on an older one go on speaking with that, where it was made ready before.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from bot.errors import BaseUnavailable

ALONG = ("embedded", "smollm2")  # bases that need no download
EMBEDDED = Path(__file__).parent.parent / "embedded"  # the packed base, see `bot.training.embedded`
SMOLLM2_SHA256 = "d8d8571b3af99053c8ad455ce009d8479eec5da515f80a417c075d0a7f317904"  # made ready, as in `BaseRecord`
END_TOKEN = "<|endoftext|>"  # stands before and after each tweet, in training, scoring and speaking alike


class BaseRecord(BaseModel):
    """What stands in `base.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    spec: str  # as the configuration names it
    sha256: str  # of model/model.safetensors
    architecture: str  # transformers' model_type: gpt2, llama, ...
    end_id: int  # token id of END_TOKEN, or of the tokenizer's own end token where it has none


@dataclass(frozen=True, slots=True)
class Base:
    """A base that is ready."""

    record: BaseRecord
    folder: Path  # data/bases/<slug>

    @property
    def model(self) -> Path:
        """Folder with config.json, model.safetensors and tokenizer.json."""
        return self.folder / "model"

    @property
    def graphs(self) -> Path:
        """Folder for the engine's graphs of this base."""
        return self.folder / "graphs"


def embedded_record(packed: Path = EMBEDDED) -> BaseRecord:
    """What the packed base will be when it is made ready. Raises `BaseUnavailable` when it is damaged."""
    try:
        return BaseRecord.model_validate_json((packed / "base.json").read_bytes())
    except (OSError, ValidationError) as error:
        raise BaseUnavailable("The embedded base is damaged. Install the project again.") from error


def base_folder(data: Path, spec: str, sha256: str | None = None) -> Path:
    """Where the base of that name lives: readable, and different for different specs.

    "embedded" has a folder for each edition; `sha256` names one, else it is the edition that comes along now. SmolLM2
    lies where it lay when it was the embedded one, so that an upgrade finds it there.
    """
    if spec == "embedded":
        return data / "bases" / f"{spec}-{(sha256 or embedded_record().sha256)[:12]}"
    known = "embedded" if spec == "smollm2" else spec
    slug = re.sub(r"[^a-z0-9]+", "-", known.lower()).strip("-")[-40:]
    return data / "bases" / f"{slug}-{hashlib.sha256(known.encode()).hexdigest()[:6]}"


def find_base(data: Path, spec: str, sha256: str | None = None) -> Base | None:
    """The base if it was made ready, with these weights where they are given; else None."""
    folder = base_folder(data, spec, sha256)
    try:
        record = BaseRecord.model_validate_json((folder / "base.json").read_bytes())
    except (OSError, ValidationError):
        return None
    return Base(record.model_copy(update={"spec": spec}), folder) if sha256 in (None, record.sha256) else None
