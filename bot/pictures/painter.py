"""Draws one picture: `python -m bot.pictures.painter`, a `Wish` on standard input, a PNG on standard output.

A process of its own, since typesetting with all these fonts takes memory that the service has no use for, and the
fonts have to lie in a folder. Typst breaks lines, orders right-to-left text, finds a font for each letter and draws
emoji in colour, in a twentieth of a second, and needs no library of the system.

Fonts, all under the SIL Open Font License: FiraGO (Latin, Greek, Cyrillic, Arabic, Hebrew, Thai, Devanagari, Georgian)
from pymupdf-fonts, Noto Sans CJK from noto-cjk-sans-otc, Noto Color Emoji from this folder, Libertinus Serif inside
Typst. What they lack is taken from the system's fonts, and where those lack it too a box stands in its place.
"""

from __future__ import annotations

import importlib.resources
import json
import lzma
import os
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import typst

HERE = Path(__file__).parent
FIRAGO = ("figo", "figbo")  # regular and bold, as pymupdf-fonts calls them
EMOJI = HERE / "fonts" / "NotoColorEmoji.ttf.xz"
NICENESS = 10


def paint(template: str, scene: Mapping[str, object], fonts: Path) -> bytes:
    """The PNG that the template makes of the scene; `fonts` is a folder to lay fonts out in."""
    made = typst.compile(
        HERE / f"{template}.typ",
        format="png",
        ppi=72.0,  # a point is a pixel
        font_paths=laid_out(fonts),
        sys_inputs={"scene": json.dumps(scene)},
    )
    assert isinstance(made, bytes)
    return made


def laid_out(folder: Path) -> list[Path]:
    """Folders with the fonts of the packages that are installed; what is missing is said on standard error."""
    folders = [folder]
    (folder / "emoji.ttf").write_bytes(lzma.decompress(EMOJI.read_bytes()))
    try:
        import pymupdf_fonts

        for code in FIRAGO:
            (folder / f"{code}.ttf").write_bytes(pymupdf_fonts.myfont(code))
    except ImportError:
        sys.stderr.write("pymupdf-fonts is not installed: letters are drawn with the system's fonts.\n")
    try:
        folders.append(Path(str(importlib.resources.files("noto_cjk_sans_otc"))))
    except ImportError:
        sys.stderr.write("noto-cjk-sans-otc is not installed: without a font of the system, boxes stand for CJK.\n")
    return folders


def main() -> None:
    """One picture, at low priority."""
    with suppress(OSError):
        os.nice(NICENESS)
    wish = json.load(sys.stdin.buffer)
    with tempfile.TemporaryDirectory() as fonts:
        sys.stdout.buffer.write(paint(wish["template"], wish["scene"], Path(fonts)))


if __name__ == "__main__":
    main()
