"""The base that comes with the project: `bot/embedded/`, packed into a few megabytes and unpacked at first use.

Its matrices lie there as 8-bit whole numbers, each column of a projection and each row of an embedding with a scale of
its own, just as the engine wants them for speaking; everything else is in float16. Unpacked it is an ordinary
transformers folder. How it was made and how good it is stands in its card, `bot/embedded/README.md`; `base/` in the
repository makes it.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from bot.errors import BaseUnavailable
from bot.shelf.bases import EMBEDDED, embedded_record
from bot.shelf.shelf import file_sha256
from bot.training.disk import writing

WEIGHTS = "weights.safetensors"
SCALE = ".scale"  # behind a matrix's name: what its whole numbers are multiplied with
COPIED = ("config.json", "generation_config.json", "tokenizer.json")  # of a model's folder, as they are


def unpack(folder: Path, packed: Path = EMBEDDED) -> None:
    """The base as `bot.shelf.bases` describes it, in a new folder. Raises `BaseUnavailable` when it is damaged."""
    inside = folder / "model"
    inside.mkdir(parents=True)
    try:
        record = embedded_record(packed)
        weights = unpacked(load_file(packed / WEIGHTS))
        with writing():
            save_file(weights, inside / "model.safetensors", metadata={"format": "pt"})
            for name in COPIED:
                shutil.copyfile(packed / name, inside / name)
    except (FileNotFoundError, SafetensorError, ValueError, KeyError) as error:
        raise BaseUnavailable("The embedded base is damaged. Install the project again.") from error
    if file_sha256(inside / "model.safetensors") != record.sha256:
        raise BaseUnavailable("The embedded base is not the one it should be. Install the project again.")
    (folder / "base.json").write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")


def unpacked(tensors: dict[str, npt.NDArray[np.generic]]) -> dict[str, npt.NDArray[np.float16]]:
    """The tensors that were packed, in float16, in the order of their names."""
    return {
        name: (_float32(tensors[name]) * _float32(tensors[name + SCALE])).astype(np.float16)
        if name + SCALE in tensors
        else tensors[name].astype(np.float16)
        for name in sorted(tensors)
        if not name.endswith(SCALE)
    }


def _float32(tensor: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    return tensor.astype(np.float32)
