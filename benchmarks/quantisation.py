"""What fewer bits cost: held-out loss and size of a base's graph as float32, int8 and int4, with what speaks with it.

    python benchmarks/quantisation.py ACCOUNTS… [--database data/mockingbird.db] [--data data] [--base smollm2]
                                      [--models models]

ACCOUNTS are stored accounts. Their held-out tweets are scored by the base, and by the version in use of the persona of
that name where there is one. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import asyncio
import math
from pathlib import Path

import onnxruntime
from learning import data_set_of
from tokenizers import Tokenizer

from bot.config import Training
from bot.errors import UnknownPersona
from bot.generation.adapters import Adapter, read
from bot.generation.batch import Batch
from bot.generation.graph import build_graph
from bot.generation.graph_description import GraphDescription, Weights, graph_folder
from bot.shelf.bases import Base, find_base
from bot.shelf.shelf import Shelf
from bot.training.dataset import MAX_TOKENS, tokenise

KINDS: tuple[Weights, ...] = ("float32", "int8", "int4")


def losses(base: Base, weights: Weights, texts: dict[str, list[str]], shelf: Shelf) -> dict[str, float]:
    """Nats per token on each account's texts, of the base and of the account's own version."""
    folder = graph_folder(base.graphs, weights)
    build_graph(base.model, folder, weights)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(folder / "graph.onnx", options, providers=["CPUExecutionProvider"])
    shape = GraphDescription.model_validate_json((folder / "graph.json").read_bytes())
    batch = Batch(session, shape, 2)
    tokenizer = Tokenizer.from_file(str(base.model / "tokenizer.json"))
    found = {}
    for account, of_account in texts.items():
        ids = tokenise(tokenizer, of_account, base.record.end_id, MAX_TOKENS)
        voices: dict[str, Adapter | None] = {f"the base on {account}": None}
        try:
            version = shelf.current(account)
            if version.base_sha256 == base.record.sha256:
                voices[f"{account} {version.version}"] = read(shelf.path(version), shape.sites)
        except UnknownPersona:
            pass
        for name, adapter in voices.items():
            nats = sum(batch.score(adapter, each, 1) * (len(each) - 1) for each in ids)
            found[name] = -nats / sum(len(each) - 1 for each in ids)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("accounts", nargs="+")
    parser.add_argument("--database", type=Path, default=Path("data/mockingbird.db"))
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--base", default="smollm2")
    asked = parser.parse_args()
    base = find_base(asked.data, asked.base)
    if base is None:
        parser.error(
            f"the base {asked.base} is not prepared in {asked.data}; "
            f"run `MOCKINGBIRD_MODEL__BASE={asked.base} mockingbird prepare` first"
        )
    texts = {
        account: list(asyncio.run(data_set_of(asked.database, [account], Training(), base)).held_out)
        for account in asked.accounts
    }
    rows = {kind: losses(base, kind, texts, Shelf(asked.models)) for kind in KINDS}
    names = list(rows["float32"])
    print(f"| Weights | Size on disk | {' | '.join(names)} |\n| --- | ---: |{' ---: |' * len(names)}")
    for kind, found in rows.items():
        size = sum(file.stat().st_size for file in graph_folder(base.graphs, kind).iterdir()) / 1e6
        cells = [f"{value:.3f} ({math.exp(value - rows['float32'][name]) - 1:+.1%})" for name, value in found.items()]
        print(f"| {kind} | {size:.0f} MB | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
