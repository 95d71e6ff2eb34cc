"""Reads a model that somebody else trained, and writes it as a version: `python -m bot.training.adopting`.

A `Wanted` on standard input, a sentence on standard output for each step, `Answer` in its folder at the end. Of a whole
model come config.json, model.safetensors in float16, tokenizer.json and generation_config.json. As an adapter comes
what distinguishes it from the base: of the difference W' - W of each projection the r largest singular values are kept,
which no matrix of rank r comes nearer to (Eckart and Young 1936). What has no place in an adapter is left out:
embeddings, norms and biases.

Anybody may have trained the model, so nothing of it is trusted: no code of it runs, and weights in torch's old form
are read as numbers or not at all.
"""

from __future__ import annotations

import errno
import importlib.metadata
import json
import sys
from collections.abc import Iterator, Sequence
from io import FileIO
from typing import Any

import peft
import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import PreTrainedModel

from bot.errors import DiskFull, MockingbirdError, UsageError
from bot.shelf.forms import TOKENIZER
from bot.shelf.manifest import Prediction
from bot.training.adoptions import ADAPTER, ANSWER, HELD_OUT, OWN_WORDS, WHOLE, Answer, Likeness, Wanted
from bot.training.disk import writing
from bot.training.figures import even_choice
from bot.training.job import TEXTS, Texts, say_why
from bot.training.learner import load_base, lora, write_adapter
from bot.training.orphans import end_with_parent
from bot.training.predicting import languages, predictions
from bot.training.prepare import Advice, end_token, load, origin, save, settle_hub
from bot.training.scoring import AdaptedModel, AloneModel

FOR_ADOPTION = Advice("Correct it", "Name another model", ".")
TASK = "text-generation"  # in task_specific_params, as huggingtweets wrote it
LIMITS: dict[str, tuple[float, float]] = {  # of what is taken over; anything else would not be what it claims to be
    "temperature": (0.01, 5),
    "top_p": (0.01, 1),
    "top_k": (0, 1_000_000),
    "min_length": (0, 100_000),
    "max_length": (1, 100_000),
}
WHOLE_NUMBERS = ("top_k", "min_length", "max_length")
OWN_TEXTS = 64  # that the whole model says to be compared by, where no tweet is stored
OWN_TOKENS = 40  # of each at most


def adopt(wanted: Wanted) -> Answer:
    """Write the version's files; what there is to say about it. Raises `BaseUnavailable`, `UsageError`."""
    tell(f"Reading {wanted.spec}")
    model, tokenizer = load(origin(wanted.spec, FOR_ADOPTION), wanted.spec, FOR_ADOPTION)
    model.train(False)
    end_id = end_token(tokenizer, model, FOR_ADOPTION)
    parameters = sum(weight.numel() for weight in model.parameters())
    generation = generation_settings(model)
    folder = wanted.folder / WHOLE
    folder.mkdir(parents=True)
    save(model, end_id, folder, generation)
    tokenizer.save(str(folder / TOKENIZER))
    texts = read_texts(wanted)
    likeness = None
    if wanted.rank is not None:
        held_out = even_choice(texts.held_out, wanted.tweets) if texts else ()
        compared = held_out or own_words(model, tokenizer, end_id, wanted.seed)
        model, likeness = as_adapter(wanted, model, tokenizer, wanted.rank)
        likeness = compare(wanted, likeness, compared, HELD_OUT if held_out else OWN_WORDS)
    said: tuple[Prediction, ...] = ()
    if texts is not None:
        tell("Asking it for something to show")
        speaking = wanted.model_copy(update={"end_id": end_id})
        said = predictions(model, tokenizer, speaking, texts, lambda: None)
    return Answer(
        parameters=parameters,
        generation=generation,
        predictions=said,
        languages=languages(texts.train) if texts else (),
        likeness=likeness,
        made_with={name: importlib.metadata.version(name) for name in ("torch", "transformers")},
    )


def tell(sentence: str) -> None:
    """One step, for the person who waits."""
    sys.stdout.write(sentence + "\n")
    sys.stdout.flush()


def read_texts(wanted: Wanted) -> Texts | None:
    """The stored tweets of those who are imitated, if there are any."""
    file = wanted.folder / TEXTS
    return Texts.model_validate_json(file.read_bytes()) if file.is_file() else None


def generation_settings(model: PreTrainedModel) -> dict[str, float]:
    """How whoever trained it wanted it to be sampled, as far as that is said and makes sense."""
    told: dict[str, Any] = model.generation_config.to_diff_dict() if model.generation_config else {}
    tasks = model.config.to_dict().get("task_specific_params")
    task = tasks.get(TASK) if isinstance(tasks, dict) else None
    told |= task if isinstance(task, dict) else {}
    found = {}
    for name, (least, most) in LIMITS.items():
        value = told.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most:
            found[name] = int(value) if name in WHOLE_NUMBERS else float(value)
    return found


# --- As an adapter ---


def as_adapter(
    wanted: Wanted, model: PreTrainedModel, tokenizer: Tokenizer, rank: int
) -> tuple[PreTrainedModel, Likeness]:
    """Write the difference from the base as an adapter; the base with it, and how much of the difference it holds."""
    tell(f"Comparing its weights with those of {wanted.base_name}")
    base = load_base(wanted.model_copy(update={"precision": "float32", "device": "cpu"}))
    require_alike(wanted, base, model, tokenizer)
    theirs = dict(model.named_parameters())
    before = {name: weight.detach().clone() for name, weight in base.named_parameters()}
    config = lora(base, rank, rank, 0)
    adapted = peft.get_peft_model(base, config)
    in_projections, held = 0.0, 0.0  # of the squared difference
    for name, module in adapted.named_modules():
        if not isinstance(module, peft.tuners.lora.LoraLayer):
            continue
        weight = name.removeprefix("base_model.model.") + ".weight"
        difference = theirs[weight].detach() - before[weight]
        a, b = truncated(difference if not config.fan_in_fan_out else difference.T, rank)
        with torch.no_grad():
            module.lora_A["default"].weight.copy_(a)
            module.lora_B["default"].weight.copy_(b)
        in_projections += float(difference.square().sum())
        held += float((b @ a).square().sum())
    all_of_it = sum(float((theirs[name].detach() - weight).square().sum()) for name, weight in before.items())
    folder = wanted.folder / ADAPTER
    folder.mkdir()
    with writing():
        write_adapter(adapted, folder, wanted.base_name)
    likeness = Likeness(
        rank=rank,
        held=held / in_projections if in_projections else 1.0,
        left_out=max(0.0, 1 - in_projections / all_of_it) if all_of_it else 0.0,
    )
    return base, likeness


def require_alike(wanted: Wanted, base: PreTrainedModel, model: PreTrainedModel, tokenizer: Tokenizer) -> None:
    """Raises `UsageError` unless both have the same weights by name and shape, and the same tokens."""
    ours, theirs = ({name: weight.shape for name, weight in each.named_parameters()} for each in (base, model))
    known = Tokenizer.from_file(str(wanted.base / TOKENIZER))
    if base.config.model_type != model.config.model_type:
        why = f"it is a {model.config.model_type}, the base a {base.config.model_type}"
    elif ours != theirs:
        differing = min(name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name))
        why = f"it is of another size, as {differing} shows"
    elif tokens_of(known) != tokens_of(tokenizer):
        why = "it has other tokens"
    else:
        return
    raise UsageError(
        f"{wanted.spec} can't become an adapter for {wanted.base_name}: {why}. "
        "Set [model] base to what it was trained on, or adopt it whole, without --as-adapter."
    )


def tokens_of(tokenizer: Tokenizer) -> tuple[dict[str, int], object]:
    """What decides how a text is cut: the tokens with their numbers, and which are merged first."""
    return tokenizer.get_vocab(with_added_tokens=True), json.loads(tokenizer.to_str())["model"].get("merges")


def truncated(difference: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """A (rank, in) and B (rank columns, out rows) whose product B A is nearest to `difference` (out, in)."""
    left, values, right = torch.linalg.svd(difference, full_matrices=False)
    kept = min(rank, len(values))
    root = values[:kept].sqrt()
    a = difference.new_zeros((rank, difference.shape[1]))
    b = difference.new_zeros((difference.shape[0], rank))
    a[:kept] = root[:, None] * right[:kept]
    b[:, :kept] = left[:, :kept] * root
    return a, b


def compare(wanted: Wanted, likeness: Likeness, texts: Sequence[str], measured_on: str) -> Likeness:
    """With the losses of base, adapter and whole model on the same texts."""
    tell(f"Measuring what the adapter loses, on {len(texts)} {measured_on}")
    scores = AdaptedModel(wanted, {ADAPTER: wanted.folder / ADAPTER}).scores(texts)
    whole = AloneModel(wanted, wanted.folder / WHOLE).score(texts)
    return likeness.model_copy(
        update={
            "measured_on": measured_on,
            "texts": len(texts),
            "base_loss": scores["base"].loss,
            "adapter_loss": scores[ADAPTER].loss,
            "whole_loss": whole.loss,
        }
    )


@torch.no_grad()
def own_words(model: PreTrainedModel, tokenizer: Tokenizer, end_id: int, seed: int) -> tuple[str, ...]:
    """What the whole model says by itself, drawn from its plain probabilities."""
    tell("No tweet is stored, so it says something to be compared by")
    torch.manual_seed(seed)
    rows = model.generate(  # type: ignore[operator]
        input_ids=torch.full((OWN_TEXTS, 1), end_id),
        attention_mask=torch.ones(OWN_TEXTS, 1, dtype=torch.long),
        do_sample=True,
        temperature=1.0,
        top_p=1.0,
        top_k=0,
        min_length=0,
        max_length=None,
        max_new_tokens=OWN_TOKENS,
        eos_token_id=end_id,
        pad_token_id=end_id,
    )
    said = (tokenizer.decode(list(before(row, end_id))) for row in rows[:, 1:].tolist())
    texts = tuple(text for each in said if (text := each.partition("\N{REPLACEMENT CHARACTER}")[0].strip()))
    if not texts:
        raise UsageError("It says nothing that could be read. Adopt it whole, without --as-adapter, and look at it.")
    return texts


def before(row: Sequence[int], end_id: int) -> Iterator[int]:
    """The tokens up to the end token."""
    for token in row:
        if token == end_id:
            return
        yield token


# --- The process ---


def main() -> int:
    """Exit code 0 when all is written; else the error's own, with its sentence as the last line on stderr."""
    standard_input = FileIO(0, closefd=False)
    wanted = Wanted.model_validate_json(standard_input.readline())
    end_with_parent(standard_input)
    settle_hub()
    try:
        answer = adopt(wanted)
        (wanted.folder / ANSWER).write_text(answer.model_dump_json(), encoding="utf-8")
    except MockingbirdError as error:
        return say_why(error)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return say_why(DiskFull(f"The disk is full, so {wanted.spec} was not adopted. Free some space and try again."))
    return 0


if __name__ == "__main__":
    sys.exit(main())
