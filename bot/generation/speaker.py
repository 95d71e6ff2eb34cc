"""From a persona's name to drafts that are fit to be sent."""

from __future__ import annotations

from bot.generation.draft import Drafts, Sampling


class Speaker:
    """Speaks for every persona on the shelf."""

    async def drafts(
        self,
        persona: str,
        *,
        count: int,
        sampling: Sampling,
        start: str = "",
        seed: int | None = None,
        about: str = "",
    ) -> Drafts:
        """`count` drafts in that persona's voice, the best first.

        `start` is how each begins; `about` is a message to answer, data only, which ranks the drafts; `seed` is the
        first draft's seed, the next ones count up. Raises `UnknownPersona`, `Busy`, and `Refused` when nothing that
        came out was fit to be sent.
        """
        raise NotImplementedError  # being written
