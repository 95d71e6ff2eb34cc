"""Discord played on this machine: REST, gateway, and the people in it. `LoopbackDiscord` is the way in."""

from bot.loopback.discord.interactions import LoopbackInteraction
from bot.loopback.discord.journal import Happening, Kind, Request
from bot.loopback.discord.messages import Attachment, Message, MessageFlag, UploadedFile
from bot.loopback.discord.people import Permission, Role, User
from bot.loopback.discord.places import Channel, Guild, Webhook
from bot.loopback.discord.server import LoopbackDiscord
from bot.loopback.discord.sessions import Intent

__all__ = [
    "Attachment",
    "Channel",
    "Guild",
    "Happening",
    "Intent",
    "Kind",
    "LoopbackDiscord",
    "LoopbackInteraction",
    "Message",
    "MessageFlag",
    "Permission",
    "Request",
    "Role",
    "UploadedFile",
    "User",
    "Webhook",
]
