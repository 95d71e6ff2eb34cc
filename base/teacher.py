"""The teacher: SmolLM2-135M-Instruct (Apache-2.0) speaks in large batches, on a processor core or on a GPU.

Outcome: `Teacher.load(spec, device)`; `read` the prompt's beginning, make `room`, then `step` from slot to slot. All
rows of a batch share the beginning, which is read once and kept once. Of each row only what follows is kept, in one
buffer whose slots all rows fill in step: a row that has ended begins another text in the next slot and no longer sees
what came before (`begins`), so that the batch is always full. Weights, cache and scores are bfloat16.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from bot.training.prepare import FOR_A_BASE, load, origin


@dataclass(frozen=True, slots=True)
class Layer:
    """One block's weights, those that read the same input side by side."""

    norm: Tensor
    qkv: Tensor
    out: Tensor
    norm_mlp: Tensor
    gate_up: Tensor
    down: Tensor


@dataclass(frozen=True, slots=True)
class Prefix:
    """What all rows have read: keys and values of each layer, (kv heads, tokens, head size)."""

    keys: list[Tensor]
    values: list[Tensor]

    @property
    def length(self) -> int:
        """In tokens."""
        return self.keys[0].shape[1]


@dataclass(slots=True)
class Cache:
    """What each row has read since: (rows · kv heads, slots, head size) for each layer."""

    keys: list[Tensor]
    values: list[Tensor]


class Teacher:
    """A Llama in evaluation only."""

    def __init__(self, model: Any, tokenizer: Tokenizer, device: str) -> None:
        config = model.config
        self.device, self.tokenizer = device, tokenizer
        known = {number: tokenizer.decode([number]) for number in range(tokenizer.get_vocab_size())}
        self.breaks = {number for number, text in known.items() if "\n" in text}  # tokens
        self.ends = {number for number, text in known.items() if not text}  # special ones, which are never said
        self._eps = config.rms_norm_eps
        self._kv_heads = config.num_key_value_heads
        self._size = config.head_dim
        self._group = config.num_attention_heads // self._kv_heads  # query heads that share a key
        weights = model.model

        def bf16(*tensors: Tensor) -> Tensor:
            return torch.cat(tensors).to(device, torch.bfloat16)

        self._embedding = bf16(weights.embed_tokens.weight)
        self._norm = bf16(weights.norm.weight)
        self._layers = [
            Layer(
                bf16(each.input_layernorm.weight),
                bf16(each.self_attn.q_proj.weight, each.self_attn.k_proj.weight, each.self_attn.v_proj.weight),
                bf16(each.self_attn.o_proj.weight),
                bf16(each.post_attention_layernorm.weight),
                bf16(each.mlp.gate_proj.weight, each.mlp.up_proj.weight),
                bf16(each.mlp.down_proj.weight),
            )
            for each in weights.layers
        ]
        positions = torch.arange(2048, dtype=torch.float32)
        angles = torch.outer(positions, weights.rotary_emb.inv_freq.float())
        self._cos = torch.cat([angles.cos()] * 2, 1).to(device, torch.bfloat16)
        self._sin = torch.cat([-angles.sin(), angles.sin()], 1).to(device, torch.bfloat16)

    @classmethod
    def load(cls, spec: str, device: str) -> Teacher:
        """By the name or folder that the service knows it by as a base."""
        model, tokenizer = load(origin(spec, FOR_A_BASE), spec, FOR_A_BASE)
        return cls(model, tokenizer, device)

    def ids(self, text: str) -> list[int]:
        """The tokens of a text."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def read(self, tokens: list[int]) -> Prefix:
        """The prompt's beginning."""
        prefix = Prefix([], [])
        hidden = functional.embedding(torch.tensor(tokens, device=self.device), self._embedding)
        turn = self._turn(torch.arange(len(tokens), device=self.device))
        for layer in self._layers:
            query, key, value = self._project(layer, hidden, turn)
            prefix.keys.append(key.transpose(0, 1).contiguous())
            prefix.values.append(value.transpose(0, 1).contiguous())
            mixed = functional.scaled_dot_product_attention(
                query.transpose(0, 1)[None],
                prefix.keys[-1].repeat_interleave(self._group, 0)[None],
                prefix.values[-1].repeat_interleave(self._group, 0)[None],
                is_causal=True,
            )[0]
            hidden = self._mlp(layer, hidden + functional.linear(mixed.transpose(0, 1).flatten(1), layer.out))
        return prefix

    def room(self, rows: int, slots: int) -> Cache:
        """An empty cache."""
        shape = (rows * self._kv_heads, slots, self._size)
        new = [torch.zeros(shape, dtype=torch.bfloat16, device=self.device) for _ in range(2 * len(self._layers))]
        return Cache(new[::2], new[1::2])

    def counts(self, rows: int) -> Tensor:
        """How often each token stands in each row's text: none yet."""
        return torch.zeros(rows, len(self._embedding), dtype=torch.uint8, device=self.device)

    def step(self, prefix: Prefix, cache: Cache, tokens: Tensor, begins: Tensor, slot: int) -> Tensor:
        """Logits (rows, vocabulary) after one more token in each row, which takes the slot."""
        turn = self._turn(prefix.length + slot - begins)
        unseen = torch.arange(slot + 1, device=self.device)[None] < begins[:, None]  # of an earlier text of the row
        mask = torch.zeros(unseen.shape, dtype=torch.bfloat16, device=self.device).masked_fill_(unseen, float("-inf"))
        hidden = functional.embedding(tokens, self._embedding)
        for number, layer in enumerate(self._layers):
            query, key, value = self._project(layer, hidden, turn)
            keys, values = cache.keys[number], cache.values[number]
            keys[:, slot], values[:, slot] = key.reshape(-1, self._size), value.reshape(-1, self._size)
            seen = Prefix([prefix.keys[number], keys[:, : slot + 1]], [prefix.values[number], values[:, : slot + 1]])
            mixed = self._attend(query, seen, mask)
            hidden = self._mlp(layer, hidden + functional.linear(mixed, layer.out))
        return functional.linear(self._normed(hidden, self._norm), self._embedding)

    def _attend(self, query: Tensor, seen: Prefix, mask: Tensor) -> Tensor:
        """The prefix by one large product for all rows, each row's own by small ones, one softmax over both."""
        rows, heads, group, size = len(query), self._kv_heads, self._group, self._size
        (shared_keys, keys), (shared_values, values) = seen.keys, seen.values
        query = query.reshape(rows, heads, group, size) * size**-0.5
        shared = query.transpose(0, 1).reshape(heads, -1, size) @ shared_keys.transpose(1, 2)
        shared = shared.view(heads, rows, group, -1).transpose(0, 1)
        own = torch.bmm(keys, query.view(-1, group, size).transpose(1, 2))  # this way round it is twice as fast
        own = own.view(rows, heads, -1, group).transpose(2, 3) + mask[:, None, None]
        weights = torch.cat([shared, own], 3).softmax(3)
        length = shared.shape[3]
        of_shared = weights[..., :length].transpose(0, 1).reshape(heads, -1, length) @ shared_values
        of_own = torch.bmm(weights[..., length:].reshape(rows * heads, group, -1), values)
        mixed = of_shared.view(heads, rows, group, size).transpose(0, 1) + of_own.view(rows, heads, group, size)
        return mixed.reshape(rows, -1)

    def _turn(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and signed sine for each position."""
        return self._cos[positions][:, None], self._sin[positions][:, None]

    def _project(self, layer: Layer, hidden: Tensor, turn: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Query, key and value of each token, (tokens, heads, head size), turned to their positions."""
        heads = functional.linear(self._normed(hidden, layer.norm), layer.qkv).view(len(hidden), -1, self._size)
        turned, value = heads[:, : -self._kv_heads], heads[:, -self._kv_heads :]
        turned = torch.addcmul(turned * turn[0], turned.roll(self._size // 2, 2), turn[1])
        return turned[:, : -self._kv_heads], turned[:, -self._kv_heads :], value

    def _mlp(self, layer: Layer, hidden: Tensor) -> Tensor:
        gate, up = functional.linear(self._normed(hidden, layer.norm_mlp), layer.gate_up).chunk(2, 1)
        return hidden + functional.linear(functional.silu(gate) * up, layer.down)

    def _normed(self, hidden: Tensor, weight: Tensor) -> Tensor:
        return functional.rms_norm(hidden, weight.shape, weight, self._eps)
