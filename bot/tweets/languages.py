"""Which language a short text is in, by the package py3langid (docs/log.md says why this one). Deterministic.

Only the process that makes portraits loads the detector: its model takes half a second and 80 MB (see `portraying`).
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

UNKNOWN = "und"  # ISO 639-2's code for what can't be told
LEAST_CONFIDENCE = 0.3  # 0 to 1; of what is said above it about real tweets, 998 in 1,000 agree with X's own field
LEAST_LETTERS = 6  # a text with fewer is too short; letters beyond Latin, Greek and Cyrillic ones count double
_NO_WORDS = "zxx"  # the detector's code for numbers, signs and the like

# The languages that can be told, as the Unicode CLDR calls them in English.
_NAMES = """
    af Afrikaans, am Amharic, an Aragonese, ar Arabic, as Assamese, az Azerbaijani, ba Bashkir, be Belarusian,
    bg Bulgarian, bn Bengali, br Breton, bs Bosnian, ca Catalan, cs Czech, cy Welsh, da Danish, de German, dz Dzongkha,
    el Greek, en English, eo Esperanto, es Spanish, et Estonian, eu Basque, fa Persian, fi Finnish, fo Faroese,
    fr French, fy Frisian, ga Irish, gd Scottish Gaelic, gl Galician, gu Gujarati, ha Hausa, he Hebrew, hi Hindi,
    hr Croatian, ht Haitian Creole, hu Hungarian, hy Armenian, id Indonesian, ig Igbo, is Icelandic, it Italian,
    ja Japanese, jv Javanese, ka Georgian, kk Kazakh, km Khmer, kn Kannada, ko Korean, ku Kurdish, ky Kyrgyz, la Latin,
    lb Luxembourgish, lg Ganda, ln Lingala, lo Lao, lt Lithuanian, lv Latvian, mg Malagasy, mk Macedonian,
    ml Malayalam, mn Mongolian, mr Marathi, ms Malay, mt Maltese, my Burmese, ne Nepali, nl Dutch,
    nn Norwegian Nynorsk, no Norwegian, oc Occitan, om Oromo, or Odia, pa Punjabi, pl Polish, ps Pashto, pt Portuguese,
    qu Quechua, ro Romanian, ru Russian, rw Kinyarwanda, sa Sanskrit, se Northern Sami, si Sinhala, sk Slovak,
    sl Slovenian, sn Shona, so Somali, sq Albanian, sr Serbian, st Sotho, sv Swedish, sw Swahili, ta Tamil, te Telugu,
    tg Tajik, th Thai, tk Turkmen, tl Tagalog, tr Turkish, tt Tatar, ug Uyghur, uk Ukrainian, ur Urdu, uz Uzbek,
    vi Vietnamese, vo Volapük, wa Walloon, xh Xhosa, yo Yoruba, zh Chinese, zu Zulu
"""
NAMES = {UNKNOWN: "unknown"} | dict(each.split(maxsplit=1) for each in _NAMES.strip().split(","))

_NOT_WORDS = re.compile(r"[@#]\w+")
_LETTER = re.compile(r"[^\W\d_]")
_LAST_SMALL_SCRIPT = "\u058f"  # what follows in Unicode says more with each letter: Hebrew, Arabic, Han, Hangul, ...


def language(text: str) -> str:
    """The ISO 639-1 code of a cleaned tweet's language, such as `en`; `UNKNOWN` where it is too short or undecided."""
    words = _NOT_WORDS.sub(" ", text)
    if sum(2 if letter > _LAST_SMALL_SCRIPT else 1 for letter in _LETTER.findall(words)) < LEAST_LETTERS:
        return UNKNOWN
    code, confidence = _detector().classify(words)
    return str(code) if confidence >= LEAST_CONFIDENCE and code != _NO_WORDS else UNKNOWN


@cache
def _detector() -> LanguageIdentifier:
    """Knows the languages with a code of two letters: with small ones such as Nigerian Pidgin (pcm) among the choices,
    one in a hundred English tweets goes astray.
    """
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    detector = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    detector.set_languages([code for code in detector.labels if len(code) == 2 or code == _NO_WORDS])
    return detector
