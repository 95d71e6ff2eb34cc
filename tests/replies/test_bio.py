"""Whether the bio of an account of ours says what X asks of automated accounts."""

from __future__ import annotations

import pytest

from bot.replies.bio import missing_from_bio
from bot.tweets.x_mentions import Author

BOT, OWNER = "say that it is automated", "name who runs it"


@pytest.mark.parametrize(
    ("name", "bio", "missing"),
    [
        ("Nell", "A bot that imitates @ada, with her permission. Run by @you.", ""),
        ("Nell 🤖", "Run by Jo Smith of Example Street.", ""),
        ("Nell", "Automated by @jo", ""),
        ("Nell (Bot)", "Seven harbours and a lamp.", OWNER),
        ("Nell", "Seven harbours, and @nell is my name.", f"{BOT} or {OWNER}"),
        ("Nell", "Not a bot. Ask @jo.", BOT),
        ("Nell", "", f"{BOT} or {OWNER}"),
        ("Nell", "Ein Bot, betrieben von Jo.", ""),
    ],
    ids=["both", "sign", "automated", "no owner", "own name", "denied", "empty", "german"],
)
def test_what_a_bio_leaves_out_is_named(name: str, bio: str, missing: str) -> None:
    assert missing_from_bio(Author("1", "Nell", name, bio, False)) == missing
