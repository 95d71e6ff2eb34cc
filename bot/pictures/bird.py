"""The bird of a name: always the same one, since colours, crest, belly and tail follow from the name. Pure."""

from __future__ import annotations

import hashlib

_CRESTS = (
    "",
    "M37 16q2-9 9-10q-3 4-2 9z",
    "M36 17l1-9 4 6 3-8 3 8 4-4-2 8z",
    "M38 15c-2-6 2-9 6-8c-2 2-2 5 0 7z",
)
_BELLIES = (
    "",
    '<circle cx="34" cy="45" r="1.3"/><circle cx="39" cy="43" r="1.3"/><circle cx="36" cy="40" r="1.3"/>'
    '<circle cx="42" cy="39" r="1.3"/>',
    '<path d="M33 47q5 0 9-4M33 43q6 0 11-5M35 39q5 0 9-4" fill="none" stroke-width="1.6"/>',
)
_TAILS = ("M17 40L3 50l4 3 14-6z", "M17 38L2 41l3 5 15 0z", "M18 41L6 56l5 1 11-10z")


def bird(name: str) -> str:
    """The bird as what stands inside an SVG of 64 by 64."""
    digest = hashlib.sha256(name.encode()).digest()
    air, coat = digest[0] * 360 // 256, (digest[0] * 360 // 256 + 120 + digest[1] * 120 // 256) % 360
    depth = 30 + digest[2] % 16
    plumage = f"hsl({coat},{28 + digest[3] % 30}%,{depth}%)"
    wing = f"hsl({coat},{28 + digest[3] % 30}%,{depth - 12}%)"
    belly = f"hsl({(coat + 20) % 360},45%,86%)"
    turn = ' transform="translate(64 0) scale(-1 1)"' if digest[4] % 2 else ""
    marks = _BELLIES[digest[5] % len(_BELLIES)]
    crest, tail = _CRESTS[digest[6] % len(_CRESTS)], _TAILS[digest[7] % len(_TAILS)]
    return (
        f'<rect width="64" height="64" rx="20" fill="hsl({air},38%,82%)"/>'
        f'<g{turn}><path d="M31 50v8m7-9v9" stroke="#4a3b2a" stroke-width="2" stroke-linecap="round"/>'
        f'<path d="{tail}" fill="{wing}"/>'
        f'<path d="M14 40C14 30 24 27 31 26C31 17 36 13 42 13C49 13 53 18 53 24C53 40 46 52 32 52C21 52 14 47 14 40Z"'
        f' fill="{plumage}"/>'
        f'<path d="M51 27C51 40 45 51 33 51C31 44 36 41 41 37C45 34 46 29 51 27Z" fill="{belly}"/>'
        f'<g fill="{wing}" stroke="{wing}">{marks}</g>'
        f'<path d="{crest}" fill="{wing}"/><path d="M52 20l9 4-9 4z" fill="hsl(36,85%,52%)"/>'
        f'<path d="M15 40C17 33 25 31 33 35C32 44 24 47 15 40Z" fill="{wing}"/>'
        '<circle cx="45" cy="22" r="3.2" fill="#fff"/><circle cx="45.7" cy="22" r="1.9" fill="#1c1a17"/></g>'
    )


def bird_svg(name: str) -> str:
    """The bird as a picture of its own."""
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">{bird(name)}</svg>'
