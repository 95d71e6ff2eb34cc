"""Discord played on this machine: REST, gateway, and the people in it. `LoopbackDiscord` is the way in."""

from bot.loopback.discord.gateway import Intent
from bot.loopback.discord.interactions import LoopbackInteraction
from bot.loopback.discord.journal import Happening, Kind, Request
from bot.loopback.discord.server import LoopbackDiscord
from bot.loopback.discord.world import Channel, Message, Permission, User

__all__ = [
    "Channel",
    "Happening",
    "Intent",
    "Kind",
    "LoopbackDiscord",
    "LoopbackInteraction",
    "Message",
    "Permission",
    "Request",
    "User",
]
