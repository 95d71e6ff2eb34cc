"""What a new version says when asked, for its card and its picture. For the training process, which has the model.

A few drafts each for a beginning that everybody knows from the field, and for none. Whatever comes near to a tweet, or
offends as far as a classifier of English can tell, is left out; of the rest the first ones are taken, not the best.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from profanity_check import predict_prob
from tokenizers import Tokenizer

from bot.shelf.manifest import Prediction
from bot.training.classifiers import OFFENSIVE
from bot.training.dataset import words
from bot.training.figures import near_copies
from bot.training.job import Texts
from bot.tweets.languages import UNKNOWN, language

PROMPT = "My dream is"  # as on the cards of the best-known system for this job
TRIES = 8  # drafts for each beginning
KEPT = 4  # of them
LONGEST = 60  # tokens of a draft, its beginning not counted
FEWEST_WORDS = 3  # of a text, its beginning not counted
MINORITY = 0.1  # share of the tweets from which on a language counts
TEMPERATURE, TOP_P = 0.8, 0.95  # as drafts are sampled unless something else is configured


class Asked(Protocol):
    """How a model is asked."""

    @property
    def end_id(self) -> int: ...
    @property
    def seed(self) -> int: ...


def predictions(
    model: torch.nn.Module, tokenizer: Tokenizer, job: Asked, texts: Texts, check: Callable[[], None]
) -> tuple[Prediction, ...]:
    """What the model says, the prompted ones first if the account writes in Latin letters; `check` may raise."""
    prompts = (PROMPT, "") if _writes_latin(texts.train) else ("",)
    said = [
        Prediction(prompt=prompt, text=text)
        for prompt in prompts
        for text in _said(model, tokenizer, job, prompt, check)
    ]
    fit = _fit(said, texts)
    return tuple(each for prompt in prompts for each in [one for one in fit if one.prompt == prompt][:KEPT])


@torch.no_grad()
def _said(
    model: torch.nn.Module, tokenizer: Tokenizer, job: Asked, prompt: str, check: Callable[[], None]
) -> list[str]:
    """`TRIES` texts that begin with the prompt, each up to the end token or its first line's end."""

    def go_on(ids: torch.Tensor, scores: torch.Tensor, **_: object) -> torch.Tensor:
        check()
        return torch.zeros(len(ids), dtype=torch.bool)

    def contiguous(_: torch.nn.Module, states: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return tuple(each.contiguous() for each in states)

    limit = getattr(model.config, "max_position_embeddings", LONGEST)
    given = [job.end_id, *tokenizer.encode(prompt, add_special_tokens=False).ids]
    torch.manual_seed(job.seed)
    device = next(model.parameters()).device
    # The last states of all rows are a slice, for which torch would copy the whole head once for each row.
    hook = model.get_output_embeddings().register_forward_pre_hook(contiguous)  # type: ignore[operator]
    rows = model.generate(  # type: ignore[operator]
        input_ids=torch.tensor([given] * TRIES, device=device),
        attention_mask=torch.ones(TRIES, len(given), dtype=torch.long, device=device),
        do_sample=True,
        temperature=TEMPERATURE,
        top_p=TOP_P,
        top_k=0,
        max_new_tokens=min(LONGEST, limit - len(given)),
        eos_token_id=job.end_id,
        pad_token_id=job.end_id,
        stopping_criteria=[go_on],
    )
    hook.remove()
    return [_first_line(tokenizer, row, job.end_id) for row in rows[:, 1:].tolist()]


def _first_line(tokenizer: Tokenizer, ids: Sequence[int], end_id: int) -> str:
    """The text up to the end token, or nothing when it was cut off."""
    if end_id not in ids:
        return ""
    text = tokenizer.decode(ids[: ids.index(end_id)]).replace("\N{REPLACEMENT CHARACTER}", "")
    return next((" ".join(line.split()) for line in text.splitlines() if line.strip()), "")


def _fit(said: Sequence[Prediction], texts: Texts) -> list[Prediction]:
    """Those that are long enough, said once, near to no tweet, and not offensive."""
    distinct = {
        each.text: each for each in reversed(said) if len(each.text[len(each.prompt) :].split()) >= FEWEST_WORDS
    }
    asked = [each for each in said if distinct.get(each.text) is each]
    if not asked:
        return []
    real = [tuple(words(text).split()) for text in (*texts.train, *texts.held_out)]
    copied = near_copies([tuple(words(each.text).split()) for each in asked], real)
    offending = predict_prob([each.text for each in asked]) >= OFFENSIVE
    return [each for each, copy, offends in zip(asked, copied, offending, strict=True) if not (copy or offends)]


def languages(texts: Sequence[str]) -> tuple[str, ...]:
    """The languages of a tenth or more of the texts whose language can be told, the commonest first."""
    counts = Counter(language(text) for text in texts)
    del counts[UNKNOWN]
    return tuple(code for code, count in counts.most_common() if count >= MINORITY * counts.total())


def _writes_latin(texts: Sequence[str]) -> bool:
    """Whether most letters are Latin ones."""
    letters = [character for text in texts for character in text if character.isalpha()]
    return 2 * sum(character < "\u0250" for character in letters) > len(letters)
