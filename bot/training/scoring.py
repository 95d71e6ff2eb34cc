"""Finds out the figures of one version: `python -m bot.training.scoring`, a `Question` on standard input.

A process of its own, because it loads the base and two adapters with torch, and classifiers with scikit-learn. The
tweets and the samples come in a file, the figures go out in another.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
from io import FileIO
from itertools import chain
from pathlib import Path

import peft
import torch
from tokenizers import Tokenizer
from transformers import PreTrainedModel

from bot.errors import DiskFull, JudgingFailed, MockingbirdError
from bot.shelf.figures import AccountLoss, Figures, Others, StyleMargin
from bot.training import classifiers, finetune
from bot.training.dataset import MAX_TOKENS, text_bytes, tokenise
from bot.training.evaluation import Material, Question, Voice
from bot.training.figures import copies, diversity, even_choice, shapes
from bot.training.job import DISK_FULL, Score
from bot.training.orphans import end_with_parent

JUDGED, IN_USE = "judged", "in_use"  # peft's names for the two adapters


class Scorer:
    """The base, the version that is judged, and the one in use, on any tweets."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._tokenizer = Tokenizer.from_file(str(question.base / "tokenizer.json"))
        self._model = finetune.load(question)
        self._adapted = peft.PeftModel.from_pretrained(self._model, question.adapter, JUDGED)
        if question.in_use is not None:
            self._adapted.load_adapter(str(question.in_use), IN_USE)
        self._halves = finetune.cut(self._model, lowest_adapted(self._model, self._adapted))

    def score(self, voice: Voice) -> AccountLoss:
        """That account's held-out tweets, or an even choice of them; each alone after the end token."""
        question = self._question
        texts = even_choice(voice.held_out, question.tweets)
        limit = min(MAX_TOKENS, self._model.config.max_position_embeddings)
        ids = tokenise(self._tokenizer, texts, question.end_id, limit)
        size = text_bytes(self._tokenizer, texts, ids)
        stop = finetune.Stop()
        # Below the lowest layer that an adapter touches all three say the same, so that is computed once.
        rows = finetune.keep_states(finetune.Rows([torch.tensor(row) for row in ids]), self._halves, question, stop)

        def ask() -> Score:
            return finetune.score(self._halves, rows, size, question, stop)

        with self._adapted.disable_adapter():
            base = ask()
        self._adapted.set_adapter(JUDGED)
        judged = ask()
        in_use = None
        if question.in_use is not None:
            self._adapted.set_adapter(IN_USE)
            in_use = ask()
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


def lowest_adapted(model: PreTrainedModel, adapted: peft.PeftModel) -> int:
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
        return fail(error)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return fail(DiskFull("The disk is full, so the version could not be judged. Free some space and try again."))
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "can't allocate memory" not in str(error):
            raise
        return fail(JudgingFailed("Memory ran out while judging. Lower [training] batch_tokens."))
    return 0


def fail(error: MockingbirdError) -> int:
    """Its sentence on stderr, and its exit code."""
    sys.stderr.write(f"{error}\n")
    return DISK_FULL if isinstance(error, DiskFull) else error.exit_code


if __name__ == "__main__":
    sys.exit(main())
