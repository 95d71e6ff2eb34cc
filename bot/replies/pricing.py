"""What it costs to have a text stand on X, and to take it back. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal

from bot.config import Prices

# What X may make a link of, and charge more for: an address, or anything like a host. At worst too much is reckoned.
_LINK = re.compile(r"https?://\S|[^\W_]\.[^\W\d_]{2}", re.IGNORECASE)


def price_of_sending(text: str, prices: Prices) -> Decimal:
    """US dollars for one post with this text."""
    return prices.post_create_with_url if _LINK.search(text) else prices.post_create


def price_of_thread(parts: Iterable[str], prices: Prices) -> Decimal:
    """US dollars for all of these posts."""
    return sum((price_of_sending(part, prices) for part in parts), Decimal(0))
