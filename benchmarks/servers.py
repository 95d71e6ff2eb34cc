"""What servers cost in memory: the service with none, with some and with many of them.

    python benchmarks/servers.py [--servers 1000 3000] [--channels 50] [--roles 30]

Outcome: a line for each number with the service's resident memory after Discord has told it about all of them, and what
1,000 servers take. `mockingbird serve` runs in a process of its own with a tiny base; no member is cached, so how many
people a server has makes no difference.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bot.loopback.discord import LoopbackDiscord  # noqa: E402
from bot.loopback.discord.people import ORDINARY, Role, User  # noqa: E402
from bot.shelf.bases import base_folder  # noqa: E402
from tests.processes import service, write_config  # noqa: E402
from tests.tiny_base import make_tiny_gpt2  # noqa: E402

SHARD = 1_000  # servers of one, as Discord recommends
SETTLING_S = 10.0  # until everything that Discord told has been taken in


def populate(discord: LoopbackDiscord, servers: int, channels: int, roles: int) -> None:
    """So many servers more, each with so many channels and roles."""
    world = discord.world
    owner = User(world.snowflakes.next(), "owner", "Owner")
    names = [f"channel-{number}" for number in range(channels)]
    for number in range(servers):
        guild = world.add_guild(f"Server {number}", [owner], names, time.time())
        guild.roles += [Role(world.snowflakes.next(), f"Role {each}", ORDINARY, each) for each in range(3, 3 + roles)]


async def memory_with(folder: Path, servers: int, channels: int, roles: int) -> float:
    """MB that the service takes with so many servers."""
    shards = max(1, servers // SHARD)
    async with LoopbackDiscord(shards=shards, max_concurrency=16) as discord:
        populate(discord, servers, channels, roles)
        on_discord = {"enabled": True, "api_base": discord.api_base, "gateway_url": discord.gateway_url}
        config = write_config(folder, {"discord": on_discord, "log": {"format": "json"}})
        async with service(config, {"DISCORD_TOKEN": discord.token}) as running:
            await running.logged("discord connected")
            await asyncio.sleep(SETTLING_S)
            memory = psutil.Process(running.process.pid).memory_info().rss / 1e6
            running.process.terminate()
            await running.process.wait()
    return memory


async def measure(asked: argparse.Namespace, folder: Path) -> None:
    await asyncio.to_thread(make_tiny_gpt2, base_folder(folder / "data", "tiny"), "tiny")
    few = await memory_with(folder, 0, asked.channels, asked.roles)
    print(f"1 server: {few:.0f} MB", flush=True)
    for servers in asked.servers:
        memory = await memory_with(folder, servers, asked.channels, asked.roles)
        each = (memory - few) / servers * 1_000
        print(f"{servers:,} servers more: {memory:.0f} MB, {each:.0f} MB for each 1,000", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", type=int, nargs="+", default=[1_000, 3_000])
    parser.add_argument("--channels", type=int, default=50)
    parser.add_argument("--roles", type=int, default=30)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(asked, Path(folder)))


if __name__ == "__main__":
    main()
