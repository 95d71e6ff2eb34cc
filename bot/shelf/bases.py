"""Bases that were made ready to train on and to speak: `data/bases/<slug>/`.

`model/` in it is an ordinary transformers folder (config.json, model.safetensors, tokenizer.json); `graphs/` holds what
the engine built from it. `base.json` is written last, so a base is there whole or not at all. Making one needs torch
and happens in a process of its own (`mockingbird prepare`, `bot.training.prepare`); finding one needs only this file.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

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


def base_folder(data: Path, spec: str) -> Path:
    """Where the base of that name lives: readable, and different for different specs."""
    slug = re.sub(r"[^a-z0-9]+", "-", spec.lower()).strip("-")[-40:]
    return data / "bases" / f"{slug}-{hashlib.sha256(spec.encode()).hexdigest()[:6]}"


def find_base(data: Path, spec: str) -> Base | None:
    """The base if it was made ready, else None."""
    folder = base_folder(data, spec)
    try:
        return Base(BaseRecord.model_validate_json((folder / "base.json").read_bytes()), folder)
    except (OSError, ValidationError):
        return None
