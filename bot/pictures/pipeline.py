"""What stands in `pipeline.png`: how tweets became this version. Pure: a version in, the scene for its template out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.pictures.predictions import breakable
from bot.shelf.manifest import Manifest, Metrics


def scene(manifest: Manifest, metrics: Metrics) -> dict[str, Any]:
    """The scene that `pipeline.typ` draws; `metrics` are the version's."""
    downloaded = sum(counts.downloaded for counts in manifest.counts)
    kept = sum(counts.kept for counts in manifest.counts)
    settings = manifest.hyperparameters
    learned = settings.get("train_tweets", kept - metrics.held_out_tweets)
    accounts = manifest.people if len(manifest.handles) < 3 else f"{len(manifest.handles)} accounts"
    stations = [
        ("Tweets", f"{downloaded:,} of {accounts}"),
        ("Cleaned", f"{kept:,} kept; retweets, short and repeated ones left out"),
        ("Split", f"{learned:,} to learn from, the newest {metrics.held_out_tweets:,} to judge with"),
        ("Learned", _learning(settings)),
        ("Judged", f"held-out loss {metrics.held_out_loss:.2f}, the base’s {metrics.base_held_out_loss:.2f}"),
        ("Speaks", "whatever comes near to a real tweet is dropped"),
    ]
    return {"han": "Noto Sans CJK SC", "stations": [(title, breakable(words)) for title, words in stations]}


def _learning(settings: Mapping[str, Any]) -> str:
    """As far as the version says; the settings are those of the code that made it."""
    rank, best = settings.get("rank"), settings.get("best_step")
    method = f"LoRA of rank {rank}" if rank else "fine-tuning"
    return f"{method}, best after step {best:,}" if isinstance(best, int) else method
