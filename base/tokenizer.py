"""The tokenizer, and where its embeddings begin: `python -m base.tokenizer --work FOLDER --teacher MODEL_FOLDER`.

Outcome: `FOLDER/tokenizer/`, a byte-level BPE as GPT-2's (Radford et al. 2019) that transformers loads as a folder, and
`embeddings.npy` in it. It is the beginning of the teacher's own: a BPE learns its merges in order, so those of
the first 8,192 tokens are a whole tokenizer, and one learned from our text is only 3% shorter. In return each token has
a row in the teacher's embeddings already. These rows, brought down to fewer dimensions (the singular vectors that
hold most of them), are where our embeddings begin: they know which words are alike before a word is read.

Token 0 is the end token. It prints how many bytes a token holds in held-out text of each kind.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import safe_open
from tokenizers import Tokenizer

from base.presets import KINDS, PRESETS
from bot.shelf.bases import END_TOKEN

SPREAD = 0.02  # standard deviation of the embeddings at the beginning, as GPT-2 has it
MOST_CHARACTERS = 1_000_000  # of each kind that are counted

Numbers = npt.NDArray[np.float32]


def texts(file: Path) -> Iterator[str]:
    """The texts of a .jsonl file as `base.clean` writes it; none where there is no file yet."""
    if file.is_file():
        with file.open(encoding="utf-8") as lines:
            yield from (json.loads(line)["text"] for line in lines)


def beginning(every: Iterable[str], characters: int) -> Iterator[str]:
    """The first texts, up to so many characters together."""
    for text in every:
        characters -= len(text)
        if characters < 0:
            return
        yield text


def shortened(tokenizer: dict[str, Any], size: int) -> dict[str, Any]:
    """The tokenizer.json with the first `size` tokens that its merges make, the end token before all."""
    known = tokenizer["model"]["vocab"]
    letters = sorted((token for token in known if len(token) == 1), key=known.__getitem__)
    vocabulary = {END_TOKEN: 0} | {letter: number for number, letter in enumerate(letters, 1)}
    merges = []
    for merge in tokenizer["model"]["merges"]:
        if len(vocabulary) == size:
            break
        vocabulary.setdefault("".join(merge), len(vocabulary))
        merges.append(merge)
    end = next(each for each in tokenizer["added_tokens"] if each["content"] == END_TOKEN) | {"id": 0}
    model = tokenizer["model"] | {"vocab": vocabulary, "merges": merges}
    return tokenizer | {"model": model, "added_tokens": [end]}


def fewer_dimensions(rows: Numbers, width: int) -> Numbers:
    """The rows as seen along the `width` directions that hold most of them."""
    _, _, directions = np.linalg.svd(rows, full_matrices=False)
    turned = rows @ directions[:width].T
    found: Numbers = (turned * (SPREAD / turned.std())).astype(np.float32)
    return found


def teachers_rows(teacher: Path, names: Iterable[str]) -> Numbers:
    """The rows of its embeddings that belong to these tokens."""
    known = json.loads((teacher / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    with safe_open(teacher / "model.safetensors", framework="np") as tensors:
        name = next(each for each in tensors.keys() if each.endswith(("embed_tokens.weight", "wte.weight")))  # noqa: SIM118
        embeddings = tensors.get_tensor(name)
    return np.stack([embeddings[known[token]] for token in names]).astype(np.float32)


def save(tokenizer: Tokenizer, folder: Path) -> None:
    """The folder that `AutoTokenizer.from_pretrained` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"tokenizer_class": "GPT2Tokenizer", "bos_token": END_TOKEN, "eos_token": END_TOKEN}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    tokenizer.save(str(folder / "tokenizer.json"))


def bytes_per_token(tokenizer: Tokenizer, every: Iterable[str]) -> float:
    """Of these texts."""
    chosen = list(every)
    tokens = sum(len(each.ids) for each in tokenizer.encode_batch(chosen, add_special_tokens=False))
    return sum(len(text.encode()) for text in chosen) / max(tokens, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument(
        "--teacher", type=Path, required=True, help="data/bases/.../model, as `mockingbird prepare` made it"
    )
    parser.add_argument("--preset", choices=PRESETS, default="cpu")
    asked = parser.parse_args()
    preset, folder = PRESETS[asked.preset], asked.work / "tokenizer"
    whole = json.loads((asked.teacher / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer = Tokenizer.from_str(json.dumps(shortened(whole, preset.vocabulary)))
    save(tokenizer, folder)
    names = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__)
    np.save(folder / "embeddings.npy", fewer_dimensions(teachers_rows(asked.teacher, names), preset.width))
    for kind in KINDS:
        held_out = list(beginning(texts(asked.work / "clean" / kind / "heldout.jsonl"), MOST_CHARACTERS))
        print(f"{kind}: {bytes_per_token(tokenizer, held_out):.2f} bytes a token in {len(held_out):,} held-out texts")


if __name__ == "__main__":
    main()
