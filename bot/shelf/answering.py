"""How a voice is asked to answer: one format for whoever trains a version and for whoever speaks with it. Pure.

    <|endoftext|> what is answered, a line break, the answer <|endoftext|>

A cleaned tweet never contains a line break, so the line break alone tells the two apart. Unprompted speech is the same
without what is answered and without the line break. Of both only the answer, with its closing end token, is learned.
"""

from __future__ import annotations

from tokenizers import Tokenizer

LONGEST = 128  # tokens of what is answered, its line break included; a tweet of 280 characters has half as many
FEWEST = 20  # replies that a version has to have learned with what they answer before it is asked in this format

_BREAK = "\n"


def asking_ids(tokenizer: Tokenizer, text: str, room: int = LONGEST) -> list[int]:
    """Token ids between the end token and the answer: what is answered, one cleaned line, and the line break.

    At most `room` of them; what is too long loses its beginning. Empty when the text is, or when there is no room. What
    looks like a special token inside the text is mere text.
    """
    tokenizer.encode_special_tokens = True
    ids, line_break = (tokenizer.encode(each, add_special_tokens=False).ids for each in (text, _BREAK))
    left = min(room, LONGEST) - len(line_break)
    return [*ids[-left:], *line_break] if ids and left > 0 else []
