"""Taking back what was said on Discord: by REST alone, so that it works beside a running service and without one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from bot.config import Discord, secret
from bot.errors import ConfigError
from bot.personas.takedown import Said


class DiscordOutlet:
    """Deletes the bot's own messages."""

    def __init__(self, settings: Discord) -> None:
        self._settings = settings

    async def require_means(self) -> None:
        """Raises `ConfigError` without a token."""
        self._token()

    def _token(self) -> str:
        token = secret(self._settings.token_env)
        if token is None:
            raise ConfigError(
                "Deleting messages on Discord needs the bot's token. "
                f"Put it into the environment variable {self._settings.token_env}."
            )
        return token

    async def take_back(self, said: Sequence[Said], label: str) -> AsyncGenerator[Said]:
        """Each message with what became of it. Raises `ConfigError` without a token, and `DiscordError`."""
        token = self._token()
        # Here, since every command stands on this module, few delete anything, and the library is slow to import.
        from bot.frontends.discord.deleting import deleted

        async with aclosing(deleted(self._settings, token, said)) as done:
            async for each in done:
                yield each
