"""A work folder with a little text and a tokenizer, for a training of seconds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from base.presets import KINDS, PRESETS
from base.tokenizer import fewer_dimensions, save, shortened, teachers_rows
from tests.tiny_base import make_tiny_gpt2
from tests.training.material import sentences

TINY = PRESETS["tiny"]


def work_folder(folder: Path) -> Path:
    """Cleaned text of every kind, and the tokenizer of a tiny teacher."""
    teacher = make_tiny_gpt2(folder / "teacher").model
    known = json.loads((teacher / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer = Tokenizer.from_str(json.dumps(shortened(known, TINY.vocabulary)))
    save(tokenizer, folder / "tokenizer")
    names = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__)
    np.save(folder / "tokenizer" / "embeddings.npy", fewer_dimensions(teachers_rows(teacher, names), TINY.width))
    for seed, kind in enumerate(KINDS):
        every = sentences(200, seed)
        for side, chosen in (("train", every[20:]), ("heldout", every[:20])):
            file = folder / "clean" / kind / f"{side}.jsonl"
            file.parent.mkdir(parents=True, exist_ok=True)
            lines = (json.dumps({"text": text, "kind": kind}) for text in chosen)
            file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
