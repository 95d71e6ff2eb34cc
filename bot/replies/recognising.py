"""Whether a post that X shows is the one that we sent. Pure.

X changes what it is given: it escapes &, < and >, puts its own short links (t.co) in the place of links, adds such a
link for a picture at the end, and may change blanks. So what is compared is the text without all that, and each link
counts as a link, wherever it leads.
"""

from __future__ import annotations

import html
import unicodedata
from datetime import datetime

from bot.generation.length import urls

_EPOCH_MS = 1_288_834_974_657  # X's ids count milliseconds from 2010-11-04T01:42:54.657Z, in steps of 2**22
_LINK = "\N{LINK SYMBOL}"


def is_same(sent: str, shown: str, with_picture: bool = False) -> bool:
    """Whether X shows under `shown` what was sent as `sent`."""
    ours, theirs = _bare(sent), _bare(html.unescape(shown))
    return ours == theirs or (with_picture and f"{ours} {_LINK}".strip() == theirs)


def id_at(moment: datetime) -> str:
    """An id that is lower than that of any post made from this moment on, and higher than of any made before."""
    return str(max(0, int(moment.timestamp() * 1000) - _EPOCH_MS) << 22)


def _bare(text: str) -> str:
    text = unicodedata.normalize("NFC", text)
    for start, end in reversed(urls(text)):
        text = f"{text[:start]} {_LINK} {text[end:]}"
    return " ".join(text.split())
