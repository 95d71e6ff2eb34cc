"""Finds out the figures of one version: `python -m bot.training.scoring`, a `Question` on standard input.

A process of its own, because it loads the base and two versions with torch, and classifiers with scikit-learn. The
tweets and the samples come in a file, the figures go out in another.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Mapping, Sequence
from io import FileIO
from itertools import chain
from pathlib import Path

import peft
from tokenizers import Tokenizer

from bot.errors import DiskFull, JudgingFailed, MockingbirdError
from bot.shelf.figures import AccountLoss, Figures, Others, StyleMargin
from bot.shelf.forms import TOKENIZER, form_of, whole_model
from bot.training import classifiers
from bot.training.evaluation import Material, Question, Voice
from bot.training.figures import copies, diversity, even_choice, shapes
from bot.training.halves import cut
from bot.training.job import Asking, Score, say_why
from bot.training.learner import load_base
from bot.training.loss import score
from bot.training.orphans import Stop, end_with_parent
from bot.training.rows import keep_states, read

BASE, JUDGED, IN_USE = "base", "judged", "in_use"  # the latter two are peft's names, too, where they are adapters


class Scorer:
    """The base, the version that is judged, and the one in use, on any tweets."""

    def __init__(self, question: Question) -> None:
        self._question = question
        versions = {JUDGED: question.adapter, IN_USE: question.in_use}
        adapters = {name: folder for name, folder in versions.items() if folder and form_of(folder) == "adapter"}
        self._adapted = AdaptedModel(question, adapters)
        self._whole = {
            name: AloneModel(question, folder)
            for name, folder in versions.items()
            if folder and form_of(folder) == "whole"
        }

    def score(self, voice: Voice) -> AccountLoss:
        """That account's held-out tweets, or an even choice of them; each alone after the end token."""
        texts = even_choice(voice.held_out, self._question.tweets)
        scores = self._adapted.scores(texts) | {name: model.score(texts) for name, model in self._whole.items()}
        judged = scores[JUDGED]
        base = in_tokens_of(judged, scores[BASE])
        in_use = in_tokens_of(judged, scores[IN_USE]) if IN_USE in scores else None
        return AccountLoss(
            handle=voice.handle,
            tweets=len(texts),
            loss=judged.loss,
            bits_per_byte=judged.bits_per_byte,
            base_loss=base.loss,
            base_bits_per_byte=base.bits_per_byte,
            in_use_loss=in_use.loss if in_use else None,
            in_use_bits_per_byte=in_use.bits_per_byte if in_use else None,
        )


class AdaptedModel:
    """The base, alone and with each of the adapters."""

    def __init__(self, question: Asking, adapters: Mapping[str, Path]) -> None:
        self._question = question
        self._tokenizer = Tokenizer.from_file(str(question.base / TOKENIZER))
        self._model = load_base(question)
        self._adapters = tuple(adapters)
        self._adapted: peft.PeftModel | None = None
        for name, folder in adapters.items():
            if self._adapted is None:
                self._adapted = peft.PeftModel.from_pretrained(self._model, folder, name)
            else:
                self._adapted.load_adapter(str(folder), name)
        self._halves = cut(self._model, lowest_adapted(self._adapted) if self._adapted else 0)

    def scores(self, texts: Sequence[str]) -> dict[str, Score]:
        """By the adapter's name, and `BASE`."""
        rows, size = read(self._model, self._tokenizer, self._question.end_id, texts)
        stop = Stop()
        # Below the lowest layer that an adapter touches all say the same, so that is computed once.
        rows = keep_states(rows, self._halves, self._question, stop)

        def ask() -> Score:
            return score(self._halves, rows, size, self._question, stop)

        if self._adapted is None:
            return {BASE: ask()}
        with self._adapted.disable_adapter():
            found = {BASE: ask()}
        for name in self._adapters:
            self._adapted.set_adapter(name)
            found[name] = ask()
        return found


class AloneModel:
    """A whole model, with its own tokens."""

    def __init__(self, asking: Asking, folder: Path) -> None:
        self._asking = asking.model_copy(update={"base": folder, "end_id": whole_model(folder).record.end_id})
        self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        self._model = load_base(self._asking)

    def score(self, texts: Sequence[str]) -> Score:
        """It on these texts."""
        rows, size = read(self._model, self._tokenizer, self._asking.end_id, texts)
        return score(cut(self._model, 0), rows, size, self._asking, Stop())


def in_tokens_of(judged: Score, other: Score) -> Score:
    """The other's loss for each token of the judged one, which may cut texts into other tokens than the other does."""
    return other.model_copy(update={"loss": other.bits_per_byte / judged.bits_per_byte * judged.loss})


def lowest_adapted(adapted: peft.PeftModel) -> int:
    """Number of the lowest layer that any of the adapters touches."""
    touched = [config.layers_to_transform for config in adapted.peft_config.values()]
    return min((min(layers) if layers else 0 for layers in touched), default=0)


def style_margin(own: Sequence[AccountLoss], others: Sequence[AccountLoss]) -> StyleMargin | None:
    """Mean gain over the base on the own accounts minus that on the others; None when there are no others."""
    if not own or not others:
        return None
    own_gain, others_gain = mean_gain(own), mean_gain(others)
    return StyleMargin(own_gain=own_gain, others_gain=others_gain, margin=own_gain - others_gain)


def mean_gain(losses: Sequence[AccountLoss]) -> float:
    """By how many nats per token the version is better than the base, each account counting alike."""
    return sum(each.base_loss - each.loss for each in losses) / len(losses)


def figures(question: Question, material: Material) -> Figures:
    """Everything that can be said about the version from this material."""
    scorer = Scorer(question)
    own = [scorer.score(voice) for voice in material.own if voice.held_out]
    others = [scorer.score(voice) for voice in material.others if voice.held_out]
    train, held_out = all_of(material.own)
    others_train, others_held_out = all_of(material.others)
    return Figures(
        accounts=tuple(own),
        others=Others(
            accounts=len(material.others),
            source=material.source,
            tweets=sum(each.tweets for each in others),
        )
        if material.source
        else None,
        margin=style_margin(own, others),
        samples=material.how,
        copies=copies(material.samples, train, held_out) if material.samples else None,
        diversity=diversity(material.samples, train, held_out),
        shapes=shapes(material.samples, train, held_out),
        authorship=classifiers.authorship(material.samples, train, held_out, others_train, others_held_out),
        toxicity=classifiers.toxicity(material.samples, train),
        same_data_set=material.same_data_set,
        seconds=0.0,
    )


def all_of(voices: Sequence[Voice]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Training tweets and held-out tweets of all these accounts."""
    train = chain.from_iterable(voice.train for voice in voices)
    return tuple(train), tuple(chain.from_iterable(voice.held_out for voice in voices))


def main() -> int:
    """Exit code 0 when the figures are written; else the error's own, with its sentence as the last line on stderr."""
    standard_input = FileIO(0, closefd=False)
    question = Question.model_validate_json(standard_input.readline())
    end_with_parent(standard_input)
    try:
        material = Material.model_validate_json(question.material.read_bytes())
        answer = figures(question, material)
        Path(question.answer).write_text(answer.model_dump_json(), encoding="utf-8")
    except MockingbirdError as error:
        return say_why(error)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return say_why(DiskFull("The disk is full, so the version could not be judged. Free some space and try again."))
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "can't allocate memory" not in str(error):
            raise
        return say_why(
            JudgingFailed("Memory ran out while judging. Use a smaller base, or judge when the machine has less to do.")
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
