"""The two forms of a version: an adapter beside a base that many share, or a whole model that needs none.

What a folder holds tells which it is, so that whoever makes a version only has to write its files: `form_of`. A whole
model is spoken with as a base of its own, `WholeModel`. Its graph holds all that was learned, so it lies in the
persona's folder on the shelf, where it goes with the persona, and beside the version, which is never written to again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from bot.shelf.bases import Base, BaseRecord
from bot.shelf.manifest import Form

WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.json"  # in both forms, so that the folder is enough for whoever loads it elsewhere
ADAPTER_FILES = ("adapter_model.safetensors", "adapter_config.json")  # peft's format
WHOLE_FILES = (WEIGHTS, "config.json", "generation_config.json")  # transformers' format, float16

GRAPHS = ".graphs-"  # and the version's name, beside it: what the engine built of a whole model
UNPUBLISHED_GRAPHS = "graphs"  # in the folder of a model that is not on the shelf yet


def form_of(folder: Path) -> Form:
    """The form of the version in that folder, published or in the making."""
    return "whole" if (folder / WEIGHTS).is_file() else "adapter"


def files_of(form: Form) -> tuple[str, ...]:
    """What a folder of that form holds beside the tokenizer, card and manifest."""
    return WHOLE_FILES if form == "whole" else ADAPTER_FILES


@dataclass(frozen=True, slots=True)
class WholeModel(Base):
    """A version that is a whole model, as the base that it is: its files lie in `folder` itself."""

    graph_folder: Path

    @property
    def model(self) -> Path:
        """Folder with config.json, model.safetensors and tokenizer.json."""
        return self.folder

    @property
    def graphs(self) -> Path:
        """Folder for the engine's graphs of this model."""
        return self.graph_folder


def whole_model(folder: Path, sha256: str = "") -> WholeModel:
    """The whole model in that folder, on the shelf or not there yet; `sha256` of its weights, where it is known."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    end_id = config["eos_token_id"]
    record = BaseRecord(
        spec=f"{folder.parent.name}/{folder.name}",
        sha256=sha256,
        architecture=config["model_type"],
        end_id=end_id[0] if isinstance(end_id, list) else end_id,
    )
    published = (folder / "manifest.json").is_file()
    graphs = folder.with_name(f"{GRAPHS}{folder.name}") if published else folder / UNPUBLISHED_GRAPHS
    return WholeModel(record, folder, graphs)
