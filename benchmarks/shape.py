"""A GPT-2 of 124M shape with random weights, for what depends on a model's size and not on what it knows: time, memory.

    python benchmarks/shape.py FOLDER

Outcome: FOLDER is a transformers folder, and FOLDER given as `[model] base` (or as `--base` to the other benchmarks,
after `MOCKINGBIRD_MODEL__BASE=FOLDER mockingbird prepare`) stands for GPT-2 where GPT-2 can't be downloaded. Its
tokenizer is the base smollm2's, a byte-level BPE of the same class with 49,152 tokens, filled up to GPT-2's 50,257
with tokens that nothing is cut into.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from bot.shelf.bases import END_TOKEN, find_base


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, default=Path("data"))
    asked = parser.parse_args()
    smollm2 = find_base(asked.data, "smollm2")
    if smollm2 is None:
        parser.error(
            f"the base smollm2 is not prepared in {asked.data}; "
            "run `MOCKINGBIRD_MODEL__BASE=smollm2 mockingbird prepare` first"
        )
    tokenizer = Tokenizer.from_file(str(smollm2.model / "tokenizer.json"))
    end = tokenizer.token_to_id(END_TOKEN)
    torch.manual_seed(1)
    config = GPT2Config(bos_token_id=end, eos_token_id=end)  # its defaults are those of 124M
    missing = config.vocab_size - tokenizer.get_vocab_size()
    tokenizer.add_special_tokens([f"<|unused_{number}|>" for number in range(missing)])
    model = GPT2LMHeadModel(config)
    model.save_pretrained(asked.folder)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END_TOKEN)  # type: ignore[no-untyped-call]
    fast.save_pretrained(asked.folder)
    print(f"{asked.folder}: {sum(weight.numel() for weight in model.parameters()) / 1e6:.0f} million weights")


if __name__ == "__main__":
    main()
