"""What counts as a word, in languages with spaces and without. Pure.

Chinese, Japanese, Thai, Lao, Khmer and Burmese are written without spaces between words. To tell their words apart
takes a dictionary for each; to count them roughly takes none: a word of running text has so many letters on average.
Not known here: Tibetan and other scripts whose syllables are marked off, where each syllable counts as a word.
"""

from __future__ import annotations

import re

import regex

# Letters for one word, vowel signs and tones not counted. Rounded from what word lists of running text show: Chinese
# 1.5 to 2, Japanese 2 in mixed writing and more where it is all kana, the others 4 to 5.
_LETTERS_PER_WORD = (
    (2, regex.compile(r"\p{Script=Han}")),
    (3, regex.compile(r"[\p{Script=Hiragana}\p{Script=Katakana}ー]")),
    (4, regex.compile(r"[[\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]&&\p{L}]", regex.V1)),
)
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}ー"
_UNSPACED_RUN = regex.compile(rf"[{_UNSPACED}]+")
# From Hebrew to Khmer, and what is written with Chinese characters. What lies outside needs no slower pattern.
_FAR = re.compile(r"[\u0590-\u1fff\u3005-\u9fff\ua000-\ud7ff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]")
_ADDRESS = regex.compile(r"@[A-Za-z0-9_]+|#\w+")  # a handle ends where the ASCII letters end, a hashtag does not

# A word between blanks that holds a letter or a digit and is neither a mention nor a hashtag: `(C#,` but not `.@ann`.
_PLAIN = re.compile(r"(?<!\S)[^\w@#\s]*\w\S*")
_BEGINNING = 60  # letters; most tweets have said enough by then
_WORD = re.compile(r"\w+(?:'\w+)*")
_ANY_WORD = regex.compile(r"\w+(?:'\w+)*")  # knows the vowel signs of Hindi and Thai, which `re` takes for a gap


def has_fewer_words(text: str, limit: int) -> bool:
    """Whether fewer than `limit` words are said, mentions and hashtags not counted; no link may be in the text."""
    if text.isascii() or not _FAR.search(text) or not _UNSPACED_RUN.search(text):
        return len(_PLAIN.findall(text, 0, _BEGINNING)) < limit and len(_PLAIN.findall(text)) < limit
    text = _ADDRESS.sub(" ", text)
    unspaced = sum(len(letter.findall(text)) / letters for letters, letter in _LETTERS_PER_WORD)
    return unspaced + len(_PLAIN.findall(_UNSPACED_RUN.sub(" ", text))) < limit


def words(text: str) -> list[str]:
    """The words in order, folded so that letter case, punctuation, emoji and spacing do not tell texts apart.

    Of writing without spaces each two neighbouring letters count as a word.
    """
    if text.isascii():
        return _WORD.findall(text.lower())
    text = text.casefold().replace("’", "'")
    if not _FAR.search(text):
        return _WORD.findall(text)
    found = _ANY_WORD.findall(text)
    if not _UNSPACED_RUN.search(text):
        return found
    return [piece for word in found for piece in _pieces(word)]


def _pieces(word: str) -> list[str]:
    pieces: list[str] = []
    end = 0
    for run in _UNSPACED_RUN.finditer(word):
        pieces += [word[end : run.start()]] if end < run.start() else []
        letters = run[0]
        pieces += [letters[at : at + 2] for at in range(max(len(letters) - 1, 1))]
        end = run.end()
    return pieces + ([word[end:]] if end < len(word) else [])
