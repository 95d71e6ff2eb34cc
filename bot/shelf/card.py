"""The model card of a version: `README.md`, with the front matter that the Hugging Face hub reads. Pure.

Figures, settings and generated texts only: no word of anybody's tweets stands in it. The text is `card.jinja` beside
this file; here is what it says about this version.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import jinja2

from bot.shelf.bases import base_folder
from bot.shelf.figures import Figures
from bot.shelf.manifest import Form, Manifest, Metrics, Part, Tracked

CARD = "README.md"
PREDICTIONS, PIPELINE, CURVE = PICTURES = ("predictions.png", "pipeline.png", "curve.png")

HUB_NAMES = {"smollm2": "HuggingFaceTB/SmolLM2-135M-Instruct"}  # what a base is called where others find it
LICENSES = {
    "embedded": "cc-by-sa-3.0",
    "HuggingFaceTB/SmolLM2-135M-Instruct": "apache-2.0",
    "gpt2": "mit",
    "openai-community/gpt2": "mit",
}

TRACKERS = {"wandb": "Weights & Biases", "trackio": "Trackio", "mlflow": "MLflow"}  # as they write themselves

REASONS = {  # of `bot.tweets.store.Basis`, as a reader of the card understands them
    "own": "the account's own archive",
    "permission": "its owner has agreed",
    "public_official": "words said in a public office",
    "invented": "an invented account",
}
Row = Sequence[str]


def hub_name(base: str) -> str:
    """The base as people outside know it: a hub id, or of a folder its last part."""
    if base in HUB_NAMES:
        return HUB_NAMES[base]
    return PurePath(base).name if _is_local(base) else base


@dataclass(frozen=True, slots=True)
class Pushed:
    """A version as it lies on the hub."""

    repo: str  # "owner/name"
    form: Form  # there: an adapter that was merged into its base is a whole model


def model_card(manifest: Manifest, pictures: Collection[str] = (), pushed: Pushed | None = None) -> str:
    """The card of that version, in Markdown; `pictures` are those of `PICTURES` that lie beside it."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # Markdown: whatever comes from elsewhere passes `plain`
    )
    environment.globals["table"] = table
    text = environment.get_template("card.jinja").render(
        front_matter=front_matter(manifest, pushed),
        persona=manifest.persona,
        model=json.dumps(pushed.repo if pushed else f"{manifest.persona}/{manifest.version}"),
        pushed=pushed,
        name=plain(manifest.persona),
        version=manifest.version,
        kind=manifest.kind,
        is_cyborg=len(manifest.handles) > 1,
        people=plain(manifest.people),
        handles=[plain(f"@{counts.handle}") for counts in manifest.counts],
        base=hub_name(manifest.base),
        pictures=pictures,
        told=plain(told(manifest)),
        curve_told=plain(curve_told(manifest)),
        counts=_counts(manifest),
        consent=[[plain(f"@{handle}"), REASONS.get(basis, plain(basis))] for handle, basis in _consent(manifest)],
        created=f"{manifest.created:%Y-%m-%d %H:%M} UTC",
        code_version=manifest.code_version,
        parent=manifest.parent,
        settings=_settings(manifest),
        form=manifest.form,
        tracked=_tracked(manifest.tracked) if manifest.tracked else None,
        upper_layers=manifest.hyperparameters.get("layers"),
        adopted_from=manifest.adopted_from and plain(manifest.adopted_from),
        parts=[_part(part) for part in manifest.blended_from],
        held_out=f"{manifest.metrics.held_out_tweets:,}" if manifest.metrics else None,
        figures=list(_figures(manifest.metrics)) if manifest.metrics else [],
        remarks=list(_remarks(manifest.metrics)) if manifest.metrics else [],
        predictions=[plain(each.text) for each in manifest.predictions],
        forget=", ".join(f"`mockingbird forget {handle}`" for handle in manifest.handles),
        license=_license(manifest),
        embedded=base_folder(Path(), "embedded", manifest.base_sha256).name if manifest.base == "embedded" else None,
    )
    return text.rstrip() + "\n"


def told(manifest: Manifest) -> str:
    """The picture of that version in words, for those who don't see it."""
    who = f"{manifest.persona} {manifest.version}, {manifest.kind}"
    if not manifest.predictions:
        return who
    first = manifest.predictions[0]
    asked = f"asked to go on from “{first.prompt}”" if first.prompt else "asked for anything"
    return f"{who}, {asked}, says: {first.text}"


def curve_told(manifest: Manifest) -> str:
    """The curve of its training in words."""
    metrics = manifest.metrics
    if metrics is None:
        return ""
    return f"Loss on held-out tweets, from the base's {metrics.base_held_out_loss:.2f} to {metrics.held_out_loss:.2f}"


def plain(text: str) -> str:
    """The text as Markdown shows it literally, on one line."""
    return re.sub(r"^(\d*)([-+.)=])", r"\1\\\2", _in_line(text))


def _in_line(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|~&])", r"\\\1", " ".join(text.split()))


def table(head: Row, rows: Sequence[Row], numbers: bool = True) -> str:
    """A table; of `numbers` all columns but the first stand on the right."""
    lines = [head, ["---"] + ["---:" if numbers else "---"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def front_matter(manifest: Manifest, pushed: Pushed | None = None) -> str:
    """YAML, every value as JSON, which YAML contains."""
    whole = (pushed or manifest).form == "whole"
    data: dict[str, Any] = {"library_name": "transformers" if whole else "peft", "pipeline_tag": "text-generation"}
    if manifest.languages:
        data["language"] = list(manifest.languages)
    unknown = manifest.form == "whole" and manifest.adopted_from is not None  # nobody says what that was trained on
    if not _is_local(manifest.base) and not unknown:
        data["base_model"] = hub_name(manifest.base)
        data["base_model_relation"] = "finetune" if whole else "adapter"
    if license := _license(manifest):
        data["license"] = license
    method = [] if manifest.form == "whole" else ["lora"]
    data["tags"] = ["mockingbird", *method, "text-generation", "tweets", manifest.kind.lower().replace(" ", "-")]
    data["widget"] = [{"text": "My dream is"}]
    if manifest.metrics:
        results = [_result(manifest, manifest.metrics)]
        data["model-index"] = [{"name": f"{manifest.persona} {manifest.version}", "results": results}]
    return "\n".join(["---", *(f"{key}: {json.dumps(value)}" for key, value in data.items()), "---"])


def _result(manifest: Manifest, metrics: Metrics) -> dict[str, Any]:
    """The figures as the hub's evaluation results."""
    people = ", ".join(manifest.handles)
    values = [
        ("loss", "Held-out loss (nats per token)", metrics.held_out_loss),
        ("bits_per_byte", "Bits per byte", metrics.bits_per_byte),
    ]
    if metrics.figures and metrics.figures.copies:
        values.append(("copy_rate", "Near copies (share of samples)", metrics.figures.copies.near))
    return {
        "task": {"type": "text-generation", "name": "Text generation"},
        "dataset": {"type": "tweets", "name": f"The newest tweets of {people}, held out"},
        "metrics": [{"type": kind, "name": name, "value": round(value, 4)} for kind, name, value in values],
    }


def _license(manifest: Manifest) -> str | None:
    """That of the base, where nobody's words were learned; else nothing is ours to give."""
    invented = bool(manifest.consent) and set(manifest.consent.values()) == {"invented"}
    adopted = manifest.adopted_from or any(not part.fingerprint for part in manifest.blended_from)
    return LICENSES.get(hub_name(manifest.base)) if invented and not adopted else None


def _is_local(base: str) -> bool:
    """Whether no hub has it."""
    return base == "embedded" or base.startswith((".", "/", "~"))


def _counts(manifest: Manifest) -> list[Row]:
    rows = [
        ("Tweets downloaded", [counts.downloaded for counts in manifest.counts]),
        ("Retweets", [counts.retweets for counts in manifest.counts]),
        ("Short tweets", [counts.short for counts in manifest.counts]),
        ("Repeated tweets", [counts.duplicates for counts in manifest.counts]),
        ("Tweets kept", [counts.kept for counts in manifest.counts]),
    ]
    if splits := manifest.splits:
        again = [split.said_before + split.said_elsewhere + split.known_already for split in splits]
        rows += [
            ("of these left out as said twice", again),
            ("of these learned from", [split.train for split in splits]),
            ("of these kept aside to judge with", [split.held_out for split in splits]),
        ]
    return [[name, *(f"{number:,}" for number in numbers)] for name, numbers in rows]


def _consent(manifest: Manifest) -> list[tuple[str, str]]:
    """Why the accounts may be learned; nothing in versions that were made before that was asked."""
    return sorted(manifest.consent.items())


def _settings(manifest: Manifest) -> list[Row]:
    shown = dict(manifest.hyperparameters)
    if not manifest.adopted_from and not manifest.blended_from:
        shown |= {"seed": manifest.seed, "data set fingerprint": manifest.fingerprint[:16]}
    return [[plain(str(name).replace("_", " ")), _setting(value)] for name, value in shown.items()]


def _part(part: Part) -> Row:
    return [plain(part.persona), part.version, plain(", ".join(f"@{handle}" for handle in part.handles)), part.share]


def _tracked(run: Tracked) -> str:
    """Where the training can be looked at, in Markdown."""
    named = f"run {plain(run.run)} of {TRACKERS.get(run.service, plain(run.service))}"
    return f"[{named}]({run.url})" if run.url and re.fullmatch(r"https?://[^\s()<>]+", run.url) else named


def _setting(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:,.6g}" if isinstance(value, float) else f"{value:,}"
    if isinstance(value, dict):
        return ", ".join(f"{_in_line(str(name))} {_setting(one)}" for name, one in value.items())
    return _in_line(str(value))


# --- The figures, each with what stands beside it and with what it means ---


def _figures(metrics: Metrics) -> Iterator[Row]:
    """A row for every figure that is there."""
    loss = "how surprised it is by tweets it has not seen, in nats for each token; lower is better"
    beside = _beside(metrics.base_held_out_loss, metrics.previous_held_out_loss)
    yield "Held-out loss", f"{metrics.held_out_loss:.3f}", beside, loss
    accounts = metrics.figures.accounts if metrics.figures else ()
    before = accounts[0].in_use_bits_per_byte if len(accounts) == 1 else None
    bits = "the same in bits for each byte of text, comparable between bases; lower is better"
    yield "Bits per byte", f"{metrics.bits_per_byte:.3f}", _beside(metrics.base_bits_per_byte, before), bits
    if answers := metrics.answering:
        means = f"{answers.held_out:,} held-out replies behind what they answer; beside it each alone"
        yield "Loss of replies", f"{answers.loss:.3f}", f"alone {answers.loss_alone:.3f}", means
    if metrics.figures is not None:
        yield from _further_figures(metrics.figures)


def _beside(base: float, in_use: float | None) -> str:
    """What the base reaches on the same tweets, and the version in use before, where it can be compared."""
    return f"the base {base:.3f}" + (f", the version before {in_use:.3f}" if in_use is not None else "")


def _further_figures(figures: Figures) -> Iterator[Row]:
    if len(figures.accounts) > 1:
        for account in figures.accounts:
            name, means = plain("@" + account.handle), f"on {account.tweets:,} held-out tweets of this account alone"
            beside = _beside(account.base_loss, account.in_use_loss)
            yield f"Held-out loss of {name}", f"{account.loss:.3f}", beside, means
            beside = _beside(account.base_bits_per_byte, account.in_use_bits_per_byte)
            yield f"Bits per byte of {name}", f"{account.bits_per_byte:.3f}", beside, "likewise"
    if margin := figures.margin:
        others = f"gain on others {margin.others_gain:.3f}"
        means = "how much of the gain over the base is this person and not tweets at large; higher is better"
        yield "Style margin", f"{margin.margin:.3f}", others, means
    if copies := figures.copies:
        yield "Exact copies", f"{copies.exact:.1%}", "", "samples that say again what a training tweet says"
        real = "" if copies.real_near is None else f"real tweets {copies.real_near:.1%}"
        yield (
            "Near copies",
            f"{copies.near:.1%}",
            real,
            "or nearly so: long runs or most words in common; lower is better",
        )
    if words := figures.diversity:
        for name, ratio, tweets, means in (
            ("Distinct-1", words.distinct_1, words.real_distinct_1, "different words over all words, at equal length"),
            ("Distinct-2", words.distinct_2, words.real_distinct_2, "the same of pairs; far below it repeats itself"),
        ):
            yield name, f"{ratio:.3f}", f"real tweets {tweets:.3f}", means
        if words.new_4grams is not None:
            beside = "" if words.real_new_4grams is None else f"real tweets {words.real_new_4grams:.1%}"
            means = "four words in a row that stand in no training tweet"
            yield "New 4-grams", f"{words.new_4grams:.1%}", beside, means
    for shape in figures.shapes:
        beside = f"mean {shape.mean:.2f}, real tweets {shape.real_mean:.2f}"
        means = f"distance from 0, as in real tweets, to 1; time alone makes {shape.real_distance:.2f}"
        yield f"Shape: {shape.feature}", f"{shape.distance:.2f}", beside, means
    if author := figures.authorship:
        beside = f"real tweets {author.real:.1%}, others' {author.others:.1%}"
        yield (
            "Author classifier",
            f"{author.samples:.1%}",
            beside,
            "how sure a classifier is that this account wrote it",
        )
    if toxicity := figures.toxicity:
        means = "texts that offend, as far as a classifier of English tells"
        yield "Offensive", f"{toxicity.samples:.1%}", f"real tweets {toxicity.real:.1%}", means
    if samples := figures.samples:
        yield "Drafts that pass", f"{samples.passed:.1%}", "", "not empty, not looping, not too near to a real tweet"


def _remarks(metrics: Metrics) -> Iterator[str]:
    """What has to be known to read the figures."""
    if metrics.unjudged is not None:
        yield f"Other figures could not be had. {plain(metrics.unjudged)}"
    if metrics.figures is None:
        return
    if samples := metrics.figures.samples:
        how = f"temperature {samples.temperature:g}"
        yield f"Drawn for these figures: {samples.count:,} samples without a beginning, {how}."
    if others := metrics.figures.others:
        source = "other stored accounts" if others.source == "stored" else "the project's invented accounts"
        yield f"The others are {others.accounts} of {source}, {others.tweets:,} tweets."
