"""The model card of a version: `README.md`, with the front matter that the Hugging Face hub reads. Pure.

Figures and settings only: no word of anybody's tweets stands in it.
"""

from __future__ import annotations

import json
from pathlib import PurePath

from bot.shelf.manifest import Manifest

HUB_NAMES = {"embedded": "HuggingFaceTB/SmolLM2-135M-Instruct"}  # what a base is called where others find it

REASONS = {  # of `bot.tweets.store.Basis`, as a reader of the card understands them
    "own": "the account's own archive",
    "permission": "its owner has agreed",
    "public_official": "words said in a public office",
    "invented": "an invented account",
}


def hub_name(base: str) -> str:
    """The base as people outside know it: a hub id, or of a folder its last part."""
    if base in HUB_NAMES:
        return HUB_NAMES[base]
    return PurePath(base).name if base.startswith((".", "/", "~")) else base


def model_card(manifest: Manifest) -> str:
    """The card of that version, in Markdown."""
    kind = "AI BOT" if len(manifest.handles) == 1 else "AI CYBORG"
    people = ", ".join(f"@{handle}" for handle in manifest.handles)
    parts = [
        _front_matter(manifest),
        f"# {manifest.persona} {manifest.version}: {kind} of {people}",
        f"A LoRA adapter that lets `{hub_name(manifest.base)}` write in the manner of {people}. It was made by "
        "Mockingbird, learned from tweets alone, and is not the person: whatever it "
        "says, nobody said it.",
        "## What it learned from\n\n" + _counts(manifest),
        *_consent(manifest),
        "## How good it is\n\n" + _figures(manifest),
        "## How it was trained\n\n" + _settings(manifest),
        "## How to use it\n\n" + _use(manifest),
        "## Limits\n\nIt knows a manner, not facts: what it states may be false, offensive or out of date, and it "
        "carries over the leanings of the base and of the tweets. Show its words as generated. Never use it to "
        "pretend to be the person.",
        "## Removal\n\nThe owner of an account may ask whoever published this model to remove it.",
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(manifest: Manifest) -> str:
    """YAML; strings are quoted as JSON, which YAML contains."""
    lines = [
        "library_name: peft",
        "pipeline_tag: text-generation",
        "tags: [mockingbird, lora, text-generation, tweets]",
    ]
    if not manifest.base.startswith((".", "/", "~")):
        lines.insert(0, f"base_model: {json.dumps(hub_name(manifest.base))}")
    return "\n".join(["---", *lines, "---"])


def _counts(manifest: Manifest) -> str:
    names = [f"@{counts.handle}" for counts in manifest.counts]
    rows = [
        ("Tweets downloaded", [counts.downloaded for counts in manifest.counts]),
        ("Retweets", [counts.retweets for counts in manifest.counts]),
        ("Short tweets", [counts.short for counts in manifest.counts]),
        ("Repeated tweets", [counts.duplicates for counts in manifest.counts]),
        ("Tweets kept", [counts.kept for counts in manifest.counts]),
    ]
    return _table(["Data", *names], [[name, *(f"{number:,}" for number in numbers)] for name, numbers in rows])


def _consent(manifest: Manifest) -> list[str]:
    """Why the accounts may be learned; nothing in versions that were made before that was asked."""
    if not manifest.consent:
        return []
    rows = [[f"@{handle}", REASONS.get(basis, basis)] for handle, basis in sorted(manifest.consent.items())]
    return ["## Why it may learn from them\n\n" + _table(["Account", "Basis"], rows)]


def _figures(manifest: Manifest) -> str:
    metrics = manifest.metrics
    rows = [
        ["Held-out loss (nats per token)", f"{metrics.held_out_loss:.3f}", f"{metrics.base_held_out_loss:.3f}"],
        ["Bits per byte", f"{metrics.bits_per_byte:.3f}", f"{metrics.base_bits_per_byte:.3f}"],
    ]
    return (
        f"Judged on the newest {metrics.held_out_tweets:,} tweets, which it has not seen. Lower is better.\n\n"
        + _table(["Figure", "This model", "The base"], rows)
    )


def _settings(manifest: Manifest) -> str:
    shown = {**manifest.hyperparameters, "seed": manifest.seed, "data set fingerprint": manifest.fingerprint[:16]}
    rows = [[str(name).replace("_", " "), _value(value)] for name, value in shown.items()]
    return _table(["Setting", "Value"], rows)


def _use(manifest: Manifest) -> str:
    return (
        "With [peft](https://github.com/huggingface/peft), from a folder or the hub:\n\n"
        "```python\n"
        "from peft import AutoPeftModelForCausalLM\n"
        "from transformers import AutoTokenizer, pipeline\n\n"
        f'model = AutoPeftModelForCausalLM.from_pretrained("{manifest.persona}/{manifest.version}")\n'
        f"tokenizer = AutoTokenizer.from_pretrained({json.dumps(hub_name(manifest.base))})\n"
        'say = pipeline("text-generation", model=model, tokenizer=tokenizer)\n'
        'say("<|endoftext|>My dream is", num_return_sequences=5, do_sample=True, max_new_tokens=60)\n'
        "```\n\n"
        f'With this service: `mockingbird say {manifest.persona} --start "My dream is"`.'
    )


def _value(value: object) -> str:
    return f"{value:,.6g}" if isinstance(value, float) else str(value)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
