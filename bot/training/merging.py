"""Merges an adapter into its base: `python -m bot.training.merging`, a process of its own, since it needs torch.

It gets a `Merge` as the first line of its standard input and leaves a whole model in transformers' format in `folder`,
in the precision in which the base lies on disk. The sums are made in float32. An exit code other than 0 is an error's
own, whose sentence is then the last line on standard error.
"""

from __future__ import annotations

import sys
from io import FileIO

from bot.errors import BaseUnavailable, DiskFull, MockingbirdError
from bot.training.disk import writing
from bot.training.job import Merge, say_why
from bot.training.orphans import end_with_parent


def merge(order: Merge) -> None:
    """Write config.json, generation_config.json and model.safetensors. Raises `BaseUnavailable`, `DiskFull`."""
    import torch
    from peft import PeftModel
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        kept = AutoConfig.from_pretrained(order.base).dtype or torch.float32
        base = AutoModelForCausalLM.from_pretrained(order.base, dtype="float32")
        merged = PeftModel.from_pretrained(base, order.adapter).merge_and_unload()
    except (OSError, ValueError, RuntimeError) as error:
        raise BaseUnavailable(
            f"The adapter can't be merged into its base ({type(error).__name__}). `mockingbird doctor` tells more."
        ) from error
    if all(weight.abs().max() < torch.finfo(kept).max for weight in merged.state_dict().values()):
        merged = merged.to(kept)
    try:
        with writing():
            merged.save_pretrained(order.folder)
    except OSError as error:
        raise DiskFull(
            f"The merged model could not be written ({error.strerror}). Free some space and try again."
        ) from error


def main() -> int:
    """0, or the error's exit code with its sentence as the last line on stderr."""
    standard_input = FileIO(0, closefd=False)
    order = Merge.model_validate_json(standard_input.readline())
    end_with_parent(standard_input)
    try:
        merge(order)
    except MockingbirdError as error:
        return say_why(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
