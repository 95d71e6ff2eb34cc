"""Two bases built in code within a second: real transformers folders with random weights, small enough for every test.

Both speak a byte-level vocabulary of about 480 tokens that was trained on the few sentences below and holds
`<|endoftext|>`. Widths are multiples of 64 and head sizes multiples of 16, as quantised graphs want them. Torch is
imported inside, because most tests need none of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from bot.shelf.bases import END_TOKEN, Base, BaseRecord
from bot.shelf.shelf import file_sha256

if TYPE_CHECKING:
    from transformers import PreTrainedModel

WIDTH = 64
LAYERS = 4
HEADS = 4
POSITIONS = 256
VOCABULARY = 512  # at most
SPREAD = 0.15  # of the initial weights: with transformers' 0.02 every token is about as likely as every other

SENTENCES = (
    "The lamp was lit before the fog came in, and the gulls went quiet.",
    "Good morning! Today we launch a small rocket with a very large question.",
    "This is Bruno. He has never seen snow before. 12/10 would throw snowballs for him 🐶",
    "RT @harbour: the tide table for tomorrow is out, see https://example.org/tides #tides",
    "I don't know who needs to hear this & that, but the kettle is on.\nCome in.",
    "Café, naïve, 日本語, and 1,234 other reasons to count bytes and not letters.",
)


def make_tiny_gpt2(folder: Path, spec: str = "tiny-gpt2") -> Base:
    """A GPT-2 of four layers in `folder`, ready to train on and to speak."""
    from transformers import GPT2Config, GPT2LMHeadModel

    tokenizer = tiny_tokenizer()
    config = GPT2Config(
        vocab_size=tokenizer.get_vocab_size(),
        n_positions=POSITIONS,
        n_embd=WIDTH,
        n_layer=LAYERS,
        n_head=HEADS,
        initializer_range=SPREAD,
        bos_token_id=tokenizer.token_to_id(END_TOKEN),
        eos_token_id=tokenizer.token_to_id(END_TOKEN),
    )
    _seed()
    return _saved(GPT2LMHeadModel(config), tokenizer, folder, spec)


def make_tiny_llama(folder: Path, spec: str = "tiny-llama") -> Base:
    """A Llama of four layers, with fewer key-value heads than heads, in `folder`, ready to train on and to speak."""
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = tiny_tokenizer()
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        max_position_embeddings=POSITIONS,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS // 2,
        initializer_range=SPREAD,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.token_to_id(END_TOKEN),
        eos_token_id=tokenizer.token_to_id(END_TOKEN),
    )
    _seed()
    return _saved(LlamaForCausalLM(config), tokenizer, folder, spec)


def tiny_tokenizer() -> Tokenizer:
    """Byte-level BPE, the same at every call."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        min_frequency=1,
        special_tokens=[END_TOKEN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return tokenizer


def _seed() -> None:
    import torch

    torch.manual_seed(1)


def _saved(model: PreTrainedModel, tokenizer: Tokenizer, folder: Path, spec: str) -> Base:
    """The model in the layout that `bot.shelf.bases` describes."""
    inside = folder / "model"
    inside.mkdir(parents=True)
    model.save_pretrained(inside)
    tokenizer.save(str(inside / "tokenizer.json"))
    record = BaseRecord(
        spec=spec,
        sha256=file_sha256(inside / "model.safetensors"),
        architecture=model.config.model_type,
        end_id=model.config.eos_token_id,
    )
    (folder / "base.json").write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return Base(record, folder)
