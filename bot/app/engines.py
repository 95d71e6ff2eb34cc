"""The base and what speaks with it: made ready in child processes, and opened for a service or a command."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from bot.config import Config
from bot.generation.engine import Engine
from bot.generation.engines import Engines, ready_graph
from bot.generation.graph_description import graph_folder
from bot.generation.samples import Order, sample
from bot.shelf.bases import Base
from bot.shelf.forms import form_of, whole_model
from bot.shelf.shelf import Shelf
from bot.training.child import ensure_base
from bot.training.evaluation import Sampled

log = structlog.get_logger(__name__)


async def ready_base(config: Config, progress: Callable[[str], None]) -> Base:
    """The configured base with its graph, made now if need be, in child processes. Raises `BaseUnavailable`."""
    base = await ensure_base(config.model.base, config.paths.data, progress)
    await ready_graph(base, config.model.weights, progress)
    return base


@asynccontextmanager
async def open_engines(config: Config, shelf: Shelf, progress: Callable[[str], None]) -> AsyncIterator[Engines]:
    """What speaks: the engine on the configured base, and with it those that are opened when they are asked for."""
    waiting = config.generation.max_waiting
    base = await ready_base(config, progress)
    folder = graph_folder(base.graphs, config.model.weights)
    async with (
        Engine(base, folder, config.model.threads, waiting, config.model.rows) as first,
        Engines(first, shelf, config.paths.data, config.model, waiting, progress) as engines,
    ):
        yield engines


async def draw_samples(
    config: Config, base: Base, adapter: Path, texts: Path, count: int, seed: int, sampling: Mapping[str, float]
) -> Sampled:
    """What a version says by itself, drawn from the graph of its base: a `Sampler`."""
    if form_of(adapter) == "whole":
        async with Shelf(config.paths.models).building():
            await ready_graph(whole_model(adapter), config.model.weights, log.info)
    else:
        await ready_graph(base, config.model.weights, log.info)
    return await sample(
        Order(
            data=config.paths.data,
            base=base.record.spec,
            base_sha256=base.record.sha256,
            weights=config.model.weights,
            threads=config.judging.threads,
            adapter=adapter,
            texts=texts,
            count=count,
            seed=seed,
            settings=config.generation.model_copy(update={**sampling}),
        )
    )


async def build_graph(config: Config, folder: Path) -> None:
    """Of the whole model in that folder, which is not on the shelf yet."""
    await ready_graph(whole_model(folder), config.model.weights, log.info)
