"""Prose out of an encyclopedia's markup."""

from __future__ import annotations

from base.general import MOST, pages, pieces, prose

PROSE = (
    "The '''kettle''' is a [[vessel|pot]] with a lid, a spout and a handle, which is heated on a [[stove]] "
    "until the water in it boils.<ref>''On kettles'', 1931</ref>{{fact}} Most of them sing."
)
PLAIN = (
    "The kettle is a pot with a lid, a spout and a handle, which is heated on a stove until the water in it boils. "
    "Most of them sing."
)


def page(title: str, text: str) -> str:
    """As a dump has it, escaped once."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f'<page><title>{title}</title><id>1</id><text xml:space="preserve">{escaped}</text></page>'


def test_an_article_is_read_and_a_redirect_is_not() -> None:
    """Nor what is about the encyclopedia itself."""
    xml = page("Kettle", PROSE) + page("Kettles", "#REDIRECT [[Kettle]]") + page("Template:Kettle", PROSE)
    assert list(pages(xml)) == [("Kettle", PROSE)]


def test_links_footnotes_and_templates_leave_only_the_sentence() -> None:
    """Running text as it is read."""
    assert prose(PROSE) == [PLAIN]


def test_what_is_no_running_text_is_left_out() -> None:
    """Headings, lists, tables, pictures, categories and formulas."""
    markup = "\n".join(
        [
            "== History of the kettle, a very long heading that might look like a sentence to somebody. ==",
            "* a list of things that goes on and on and might be taken for a sentence by somebody in a hurry.",
            "{| class=x\n|-\n| a cell that holds many words, ends like a sentence does, so that it could be one.\n|}",
            "[[Image:Kettle.jpg|thumb|A kettle on a stove, with [[steam]] above it, photographed last century.]]",
            PROSE,
            "[[Category:Kettles]] [[de:Wasserkessel]]",
        ]
    )
    assert prose(markup) == [PLAIN]


def test_a_long_paragraph_is_divided_between_sentences() -> None:
    """And nothing of it is lost."""
    line = " ".join(f"Sentence number {number} of a paragraph that does not want to end." for number in range(60))
    found = pieces(line)
    assert " ".join(found) == line
    assert len(found) > 1
    assert all(len(piece) < MOST and piece.endswith(".") for piece in found)
