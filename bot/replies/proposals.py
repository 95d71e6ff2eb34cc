"""What may be proposed: the drafts of one request, in the order in which people are likely to approve them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from bot.database import Database
from bot.generation.draft import Draft, Drafts, Sampling
from bot.generation.safety import offence
from bot.replies.addressing import calling_nobody
from bot.replies.drafting import Drafting
from bot.replies.post import Post, read_post
from bot.replies.ranking import Decided, Figures, Ranking, learned


@dataclass(frozen=True, slots=True)
class Proposed:
    """A text for the list."""

    account: str
    persona: str
    version: str
    seed: int
    text: str
    novelty: float
    nearest: str | None = None
    likelihood_gain: float | None = None
    score: float | None = None
    is_scheduled: bool = False  # nobody asked for it but the schedule

    def as_row(self) -> dict[str, object]:
        """By the columns of the table `posts`."""
        return {
            "account": self.account,
            "persona": self.persona,
            "version": self.version,
            "seed": self.seed,
            "text": self.text,
            "novelty": self.novelty,
            "nearest": self.nearest,
            "offence": offence().probability(self.text),
            "likelihood_gain": self.likelihood_gain,
            "score": self.score,
            "scheduled": int(self.is_scheduled),
        }

    def figures(self, at: datetime) -> Figures:
        """What the ranking looks at."""
        offends = offence().probability(self.text)
        return Figures(self.text, self.novelty, self.score, self.likelihood_gain, offends, at)


class Proposals:
    """Has drafts made and puts them in order."""

    def __init__(
        self,
        database: Database,
        speaker: Drafting,
        sampling: Sampling,
        drafts: int,
        clock: Callable[[], datetime],
    ) -> None:
        """`drafts` are made for each proposal; `clock` gives UTC."""
        self._database = database
        self._speaker = speaker
        self._sampling = sampling
        self._drafts = drafts
        self._clock = clock

    async def made(self, account: str, persona: str, urgent: bool) -> list[Proposed]:
        """Drafts of the persona, the best first. Raises `Refused`, `Busy`, `UnknownPersona`."""
        made = await self._speaker.drafts(persona, count=self._drafts, sampling=self._sampling, urgent=urgent)
        proposed = [_proposed(account, made, draft, is_scheduled=not urgent) for draft in made.drafts]
        model, now = (await self.ranking()).model, self._clock()
        if model is None:
            return proposed
        return sorted(proposed, key=lambda each: -model.probability(each.figures(now)))

    async def ranking(self) -> Ranking:
        """What was learned from the decisions so far, and what it is worth."""
        rows = await self._database.all("SELECT * FROM posts WHERE choice IS NOT NULL ORDER BY decided_at, id")
        return learned([Decided(_figures(read_post(row)), bool(row["choice"])) for row in rows])


def _proposed(account: str, made: Drafts, draft: Draft, is_scheduled: bool) -> Proposed:
    return Proposed(
        account=account,
        persona=made.persona,
        version=made.version,
        seed=draft.seed,
        text=calling_nobody(draft.text),
        novelty=draft.novelty,
        nearest=draft.nearest,
        likelihood_gain=draft.likelihood_gain,
        score=draft.score,
        is_scheduled=is_scheduled,
    )


def _figures(post: Post) -> Figures:
    said = post.generated or post.text
    return Figures(said, post.novelty, post.score, post.likelihood_gain, post.offence, post.created_at)
