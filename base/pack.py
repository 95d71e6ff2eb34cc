"""Packs a trained model into the service: `python -m base.pack MODEL_FOLDER [--into bot/embedded]`.

Outcome: `bot/embedded/` holds the weights as 8-bit whole numbers, what else a model's folder needs, and the digest that
the weights have when `bot.training.embedded` unpacks them. It prints their digest and size.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer
from transformers import GPT2LMHeadModel

from bot.shelf.bases import EMBEDDED, BaseRecord
from bot.shelf.shelf import file_sha256
from bot.training.embedded import COPIED, SCALE, WEIGHTS, unpacked
from bot.training.prepare import save

LARGEST = 127  # of an 8-bit whole number
MOST_BYTES = 30_000_000  # of everything in the repository


def packed(tensors: dict[str, npt.NDArray[np.float32]]) -> dict[str, npt.NDArray[np.generic]]:
    """Matrices as whole numbers and scales, vectors in float16."""
    found: dict[str, npt.NDArray[np.generic]] = {}
    for name, tensor in tensors.items():
        if tensor.ndim != 2:
            found[name] = tensor.astype(np.float16)
            continue
        # A token's row; or of a projection, whose rows are its inputs, the column that makes one output.
        axis = 1 if ".wte." in name or ".wpe." in name else 0
        scale = np.maximum(np.abs(tensor).max(axis, keepdims=True), 1e-12) / LARGEST
        scale = scale.astype(np.float32)
        found[name] = np.rint(tensor / scale).astype(np.int8)
        found[name + SCALE] = scale
    return found


def pack(model_folder: Path, into: Path) -> BaseRecord:
    """Write the folder `into`, whose other files stay; what it will be when it is unpacked."""
    into.mkdir(parents=True, exist_ok=True)
    model = GPT2LMHeadModel.from_pretrained(model_folder, dtype="float32")
    end = model.config.eos_token_id
    assert isinstance(end, int)
    with tempfile.TemporaryDirectory(dir=into.parent) as name:
        plain = Path(name)
        save(model, end, plain)  # config.json as of any base
        Tokenizer.from_file(str(model_folder / "tokenizer.json")).save(str(plain / "tokenizer.json"), pretty=False)
        tensors = {key: each.numpy() for key, each in model.state_dict().items()}
        del tensors["lm_head.weight"]  # the token embeddings
        save_file(packed(tensors), into / WEIGHTS)
        (into / WEIGHTS).chmod(0o644)  # safetensors lets nobody else read it, and the service may be another user
        save_file(unpacked(load_file(into / WEIGHTS)), plain / "model.safetensors", metadata={"format": "pt"})
        record = BaseRecord(
            spec="embedded", sha256=file_sha256(plain / "model.safetensors"), architecture="gpt2", end_id=end
        )
        for file in COPIED:
            shutil.copyfile(plain / file, into / file)
    (into / "base.json").write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return record


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, help="folder that base.train has written")
    parser.add_argument("--into", type=Path, default=EMBEDDED)
    asked = parser.parse_args()
    record = pack(asked.model, asked.into)
    size = sum(file.stat().st_size for file in asked.into.iterdir())
    if size > MOST_BYTES:
        raise SystemExit(f"It takes {size / 1e6:.1f} MB, and {MOST_BYTES / 1e6:.0f} are allowed.")
    print(f"{record.sha256[:12]}: {size / 1e6:.2f} MB in {asked.into}")


if __name__ == "__main__":
    main()
