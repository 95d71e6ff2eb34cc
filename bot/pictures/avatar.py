"""The face of a persona where it speaks under its own name: its bird with a badge that says AI. Pure."""

from __future__ import annotations

from typing import Any

from bot.pictures.bird import bird_svg

MARK = "AI"


def scene(persona: str) -> dict[str, Any]:
    """The scene that `avatar.typ` draws."""
    return {"bird": bird_svg(persona), "mark": MARK}
