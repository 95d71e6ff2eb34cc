"""Pictures are looked at, written anew and kept; what X would not take is a sentence."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from bot.errors import Refused, XPostRefused
from bot.replies.pictures import LARGEST, MEDIA_TYPES, keep_picture, read_picture, require_alt_text


def picture(kind: str, size: tuple[int, int] = (30, 20), exif: Image.Exif | None = None) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "navy").save(file, kind, exif=exif or Image.Exif())
    return file.getvalue()


@pytest.mark.parametrize("kind", list(MEDIA_TYPES))
def test_a_picture_is_kept_in_its_format_without_what_the_camera_knew(tmp_path: Path, kind: str) -> None:
    exif = Image.Exif()
    exif[0x010F] = "a camera of mine"
    data, media_type = read_picture(tmp_path / keep_picture(picture(kind, exif=exif), tmp_path))
    assert media_type == MEDIA_TYPES[kind]
    assert b"a camera of mine" not in data
    with Image.open(io.BytesIO(data)) as kept:
        assert (kept.format, kept.size) == (kind, (30, 20))


def test_a_photograph_that_was_taken_on_its_side_is_set_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    with Image.open(tmp_path / keep_picture(picture("JPEG", exif=exif), tmp_path)) as kept:
        assert kept.size == (20, 30)


def test_the_same_picture_is_there_once(tmp_path: Path) -> None:
    assert keep_picture(picture("PNG"), tmp_path) == keep_picture(picture("PNG"), tmp_path)


@pytest.mark.parametrize("data", [b"", b"GIF89a", picture("GIF"), picture("PNG")[:-20], b"<svg/>"])
def test_what_is_no_such_picture_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(Refused, match="no PNG, JPEG or WebP"):
        keep_picture(data, tmp_path)


def test_what_is_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="larger than 5 MB"):
        keep_picture(b"x" * (LARGEST + 1), tmp_path)
    with pytest.raises(Refused, match="40 million pixels"):
        keep_picture(picture("PNG", (8_000, 6_000)), tmp_path)


def test_a_picture_that_is_gone_is_a_reason_not_to_post(tmp_path: Path) -> None:
    with pytest.raises(XPostRefused, match="is gone"):
        read_picture(tmp_path / "away.png")


def test_a_description_has_a_length() -> None:
    assert require_alt_text("  A lamp,\n lit. ") == "A lamp, lit."
    with pytest.raises(Refused, match="1,000 characters"):
        require_alt_text("x" * 1001)
