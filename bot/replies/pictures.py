"""Pictures that go with posts: looked at, written anew without anything but the picture, and kept in one folder.

X takes PNG, JPEG and WebP up to 5 MB. A photograph knows where and with what it was taken, so it is written anew
without that. Its name is a digest of what is in it: the same picture is there once.
"""

from __future__ import annotations

import io
import warnings
from hashlib import sha256
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from bot.errors import Refused, XPostRefused

LARGEST = 5 * 1024 * 1024  # bytes, X's page on media
LONGEST_ALT_TEXT = 1_000  # characters, X's OpenAPI document
MEDIA_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}  # by Pillow's name for the format
_SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp"}
_QUALITY = 92  # of JPEG and WebP
_MOST_PIXELS = 40_000_000  # a picture that unfolds into more is no picture of a post


def keep_picture(data: bytes, folder: Path) -> str:
    """Put the picture into the folder; its name there. Raises `Refused` where X would not take it, or it is none."""
    written, kind = rewritten(data)
    if len(written) > LARGEST:
        raise Refused("The picture is larger than 5 MB, which X does not take. Choose a smaller one.")
    name = sha256(written).hexdigest()[:32] + _SUFFIXES[kind]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(written)
    return name


def read_picture(path: Path) -> tuple[bytes, str]:
    """A kept picture and its media type. Raises `XPostRefused` when it is no longer there."""
    kinds = {suffix: MEDIA_TYPES[kind] for kind, suffix in _SUFFIXES.items()}
    try:
        return path.read_bytes(), kinds[path.suffix]
    except (OSError, KeyError) as error:
        raise XPostRefused(
            "The picture of this post is gone, so it was not sent; have another post written."
        ) from error


def require_alt_text(text: str) -> str:
    """The description as it will stand. Raises `Refused` where it is longer than X takes."""
    text = " ".join(text.split())
    if len(text) > LONGEST_ALT_TEXT:
        raise Refused(f"The description has more than {LONGEST_ALT_TEXT:,} characters. Shorten it.")
    return text


def rewritten(data: bytes) -> tuple[bytes, str]:
    """The picture alone, upright, in the format that it came in. Raises `Refused`."""
    if len(data) > LARGEST:
        raise Refused("The picture is larger than 5 MB, which X does not take. Choose a smaller one.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=list(MEDIA_TYPES)) as picture:
                return _rewritten(picture)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise Refused("That is no PNG, JPEG or WebP picture that can be read. Choose another file.") from error


def _rewritten(picture: Image.Image) -> tuple[bytes, str]:
    kind = str(picture.format)
    if picture.width * picture.height > _MOST_PIXELS:
        raise Refused("The picture has more than 40 million pixels. Choose a smaller one.")
    upright = ImageOps.exif_transpose(picture)
    mode = "RGBA" if upright.has_transparency_data and kind != "JPEG" else "RGB"
    bare = Image.new(mode, upright.size)
    bare.paste(upright.convert(mode))
    target = io.BytesIO()
    bare.save(target, kind, quality=_QUALITY)  # PNG, which loses nothing, passes over it
    return target.getvalue(), kind
