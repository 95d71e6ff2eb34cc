"""X's API v2 played on this machine: accounts, posts, media, streams, keys, and the bill. `LoopbackX` is the way in."""

from bot.loopback.x.answers import XRefusal
from bot.loopback.x.billing import XCharge, XPrices
from bot.loopback.x.credentials import XApp, XKeys
from bot.loopback.x.faults import Hold, Moment
from bot.loopback.x.media import XMedia
from bot.loopback.x.oauth2 import XConsentRefused
from bot.loopback.x.posts import PostState, XAccount, XPost
from bot.loopback.x.server import LoopbackX
from bot.loopback.x.serving import XRequest

__all__ = [
    "Hold",
    "LoopbackX",
    "Moment",
    "PostState",
    "XAccount",
    "XApp",
    "XCharge",
    "XConsentRefused",
    "XKeys",
    "XMedia",
    "XPost",
    "XPrices",
    "XRefusal",
    "XRequest",
]
