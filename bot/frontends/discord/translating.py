"""The commands' descriptions and choices in other languages; Discord shows each person those of their own.

A catalogue is a TOML file named as Discord names the language, which gives for a text in English the text to show.
Names of commands and options stay as they are, so that everybody can tell everybody else what to type. What has no
entry is shown in English.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources

import discord
from discord import app_commands
from discord.app_commands import TranslationContextLocation, TranslationContextTypes

LANGUAGES = (discord.Locale.german,)

_TRANSLATED = (
    TranslationContextLocation.command_description,
    TranslationContextLocation.group_description,
    TranslationContextLocation.parameter_description,
    TranslationContextLocation.choice_name,
)


@cache
def catalogue(language: discord.Locale) -> dict[str, str]:
    """The texts of one language by the English ones; none where there is no catalogue."""
    if language not in LANGUAGES:
        return {}
    file = resources.files("bot.frontends.discord") / "translations" / f"{language.value}.toml"
    texts: dict[str, str] = tomllib.loads(file.read_text(encoding="utf-8"))
    return texts


class Catalogues(app_commands.Translator):
    """Looks texts up."""

    async def translate(
        self, string: app_commands.locale_str, locale: discord.Locale, context: TranslationContextTypes
    ) -> str | None:
        """The text in that language, or None."""
        return catalogue(locale).get(string.message) if context.location in _TRANSLATED else None
