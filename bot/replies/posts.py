"""The list of posts for X: what is proposed, what people decide about it, and what is kept of that.

Outcome: `propose` puts a draft on the list of an account, which nobody has proposed before and which is like nothing
that any account of ours has said. People edit it, ask for another one, approve it (for now or for later) or refuse it.
What is approved is cut into parts at once; sending these is the `outbox`'s. What waits too long expires.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from bot.config import MAIN, X
from bot.database import Database, Transaction
from bot.errors import Refused
from bot.generation.draft import Sampling
from bot.generation.safety import offence
from bot.personas.takedown import require_remembered
from bot.replies.addressing import calling_nobody
from bot.replies.drafting import Drafting
from bot.replies.later import moment_to_come
from bot.replies.messages import LONGEST_SENDING, one_of, until_arrived
from bot.replies.post import Part, Post, PostState, read_parts, read_post
from bot.replies.proposals import Proposals, Proposed
from bot.replies.ranking import Ranking
from bot.replies.schedule import Schedule
from bot.replies.similar import SaidBefore
from bot.replies.threads import require_allowed, split

__all__ = ["Part", "Post", "PostState", "Posts"]

REPLACED = "another draft took its place"
OVER_TIME = "it waited too long"
STOPPED = "it was stopped half sent"


class Posts:
    """The list, over all accounts."""

    def __init__(
        self,
        database: Database,
        speaker: Drafting,
        sampling: Sampling,
        drafts: int,
        accounts: Mapping[str, X],
        clock: Callable[[], datetime],
        said: SaidBefore | None = None,
    ) -> None:
        """`drafts` are made for each proposal; `accounts` are the settings by name; `clock` gives UTC; `said` is what
        the process knows of texts that were said on X.
        """
        self._database = database
        self._accounts = accounts
        self._clock = clock
        self._said = said or SaidBefore()
        self._proposals = Proposals(database, speaker, sampling, drafts, clock)

    @property
    def accounts(self) -> Sequence[str]:
        """The names of our accounts."""
        return list(self._accounts)

    def account_of(self, persona: str) -> str:
        """The account on which that persona speaks; the main one where it has none."""
        return next((name for name, settings in self._accounts.items() if settings.persona == persona), MAIN)

    # --- Proposing ---

    async def propose(self, account: str, persona: str, urgent: bool = True) -> Post:
        """A new post: waiting for approval, or approved at once where the account needs none; `urgent` where somebody
        waits. Of several drafts it is the best that is new, by what people approved before where that tells enough.

        Raises `Refused`, `Busy`, `UnknownPersona`.
        """
        state = PostState.DRAFTED if self._settings(account).approval else PostState.APPROVED
        return await self._propose(account, persona, state, urgent)

    async def _propose(self, account: str, persona: str, state: PostState, urgent: bool) -> Post:
        self._settings(account)
        began = self._clock()
        for new in await self._proposals.made(account, persona, urgent):
            try:
                return await self._keep(new, began, state)
            except Refused:  # it was said before
                continue
        raise Refused(f"{persona} only repeated earlier posts this time; the next turn may bring something new.")

    async def another(self, number: int, by: str) -> Post:
        """Another draft in the place of this one, which is refused; it waits as this one did. Raises as `propose`; then
        this one still waits.
        """
        old = await self.post(number)
        if old.state is not PostState.DRAFTED:
            raise _decided_already(old)
        new = await self._propose(old.account, old.persona, PostState.DRAFTED, urgent=True)
        if not await self._refuse(number, by, REPLACED, "state = 'drafted'"):
            raise Refused(f"Post {number} was decided about meanwhile, and that stands. Post {new.id} waits as well.")
        return new

    async def submit(
        self, account: str, persona: str, version: str, seed: int, text: str, novelty: float, by: str
    ) -> Post:
        """A text that `by` saw elsewhere, on the list; a person decides also where posts go out without.

        Raises `Refused` when it was said before, `UnknownPersona`.
        """
        new = Proposed(account, persona, version, seed, calling_nobody(text), novelty)
        post = await self._keep(new, self._clock(), PostState.DRAFTED)
        async with self._database.transaction() as transaction:
            await transaction.run("UPDATE posts SET edited_by = ? WHERE id = ?", (by, post.id))
        return await self.post(post.id)

    async def ranking(self) -> Ranking:
        """What was learned from the decisions so far, and what it is worth."""
        return await self._proposals.ranking()

    async def _keep(self, new: Proposed, began: datetime, state: PostState) -> Post:
        """Put it on the list. Raises `Refused` when it was said before."""
        settings, now = self._settings(new.account), self._clock()
        require_allowed(new.text)
        async with self._database.transaction() as transaction:
            await require_remembered(transaction, new.persona, began.isoformat())
            await self._require_new(transaction, new.text)
            expires_at = now + timedelta(hours=settings.approved_for_hours)
            row = {"state": state, "created_at": now.isoformat(), "expires_at": expires_at.isoformat()}
            number = await _insert(transaction, {**new.as_row(), **row})
            if state is PostState.APPROVED:
                await _cut(transaction, number, new.text)
        return await self.post(number)

    async def _require_new(self, transaction: Transaction, text: str, number: int = 0) -> None:
        """Raises `Refused` when the text of post `number` (0: a new one) is like an earlier one."""
        like = await self._said.like_an_earlier_one(transaction, text, number)
        if like is not None:
            raise Refused(f"That is much like {like}, and X forbids saying the same again. Say something else.")

    # --- Looking ---

    async def post(self, number: int) -> Post:
        """One post. Raises `Refused` when there is none of that number."""
        row = await self._database.one("SELECT * FROM posts WHERE id = ?", (number,))
        if row is None:
            raise Refused(f"There is no post {number}. The list shows those that wait.")
        return read_post(row)

    async def parts(self, number: int) -> list[Part]:
        """The parts of a post, once it was approved; before that there are none."""
        return read_parts(
            await self._database.all("SELECT * FROM post_parts WHERE post_id = ? ORDER BY number", (number,))
        )

    async def waiting(self) -> list[Post]:
        """Posts that wait for a decision and have not expired, the oldest first."""
        rows = await self._database.all(
            "SELECT * FROM posts WHERE state = 'drafted' AND (expires_at IS NULL OR expires_at > ?) ORDER BY id",
            (self._clock().isoformat(),),
        )
        return [read_post(row) for row in rows]

    async def in_state(self, *states: PostState) -> list[Post]:
        """Posts of all accounts in one of these states, the oldest first."""
        marks = ", ".join("?" * len(states))
        rows = await self._database.all(f"SELECT * FROM posts WHERE state IN ({marks}) ORDER BY id", states)
        return [read_post(row) for row in rows]

    async def recent(self, limit: int = 20) -> list[Post]:
        """The newest posts in any state, the newest first."""
        rows = await self._database.all("SELECT * FROM posts ORDER BY id DESC LIMIT ?", (limit,))
        return [read_post(row) for row in rows]

    async def decided(self, limit: int = 20) -> list[Post]:
        """The newest posts that do not wait for a decision, the newest first."""
        rows = await self._database.all(
            "SELECT * FROM posts WHERE state != 'drafted' OR expires_at <= ? ORDER BY id DESC LIMIT ?",
            (self._clock().isoformat(), limit),
        )
        return [read_post(row) for row in rows]

    async def pictures(self) -> set[str]:
        """The names of the pictures that go with a post."""
        rows = await self._database.all("SELECT DISTINCT picture FROM posts WHERE picture IS NOT NULL")
        return {row["picture"] for row in rows}

    def zone_of(self, account: str) -> ZoneInfo:
        """The time zone in which that account's times are meant; UTC where the settings name it no more."""
        settings = self._accounts.get(account)
        return Schedule.of(account, settings).zone if settings else ZoneInfo("UTC")

    def later(self, account: str, text: str) -> datetime:
        """The moment to come (UTC) that somebody has written down for that account. Raises `Refused`."""
        return moment_to_come(text, self.zone_of(account), self._clock())

    # --- Expiring ---

    async def expire(self) -> int:
        """Let go of what has waited too long and of which X has nothing, whatever became of its account; how many."""
        async with self._database.transaction() as transaction:
            return await transaction.run(
                "UPDATE posts SET state = 'expired', reason = ? WHERE state IN ('drafted', 'approved') "
                "AND expires_at <= ? AND NOT EXISTS "
                "(SELECT 1 FROM post_parts WHERE post_id = posts.id AND platform_id IS NOT NULL)",
                (OVER_TIME, self._clock().isoformat()),
            )

    # --- Deciding ---

    async def edit(self, number: int, text: str, by: str, seen: str | None = None) -> Post:
        """Another text in the place of what the model said, which is kept beside it; what is too long for one post
        becomes a thread. `seen` is the fingerprint of what was edited.

        Raises `Refused` when the post no longer waits or was changed meanwhile, or the text may not be said.
        """
        text = calling_nobody(text).strip()
        require_allowed(text)
        async with self._database.transaction() as transaction:
            await self._require_waiting(transaction, number, seen)
            await self._require_new(transaction, text, number)
            await transaction.run(
                "UPDATE posts SET generated = coalesce(generated, text), text = ?, offence = ?, edited_by = ? "
                "WHERE id = ?",
                (text, offence().probability(text), by, number),
            )
        return await self.post(number)

    async def approve(self, number: int, by: str, not_before: datetime | None = None, seen: str | None = None) -> Post:
        """The post may go out, from `not_before` (UTC) on where that is given. `seen` is the fingerprint of what the
        person has seen, where that may be something else than what stands there.

        Raises `Refused` when it no longer waits, or was changed meanwhile.
        """
        now = self._clock()
        async with self._database.transaction() as transaction:
            post = await self._require_waiting(transaction, number, seen)
            hours = timedelta(hours=self._settings(post.account).approved_for_hours)
            await transaction.run(
                "UPDATE posts SET state = 'approved', decided_by = ?, decided_at = ?, not_before = ?, expires_at = ?, "
                "choice = CASE WHEN generated IS NULL THEN 1 END WHERE id = ?",
                (
                    by,
                    now.isoformat(),
                    not_before.astimezone(UTC).isoformat() if not_before else None,
                    (max(now, not_before or now) + hours).astimezone(UTC).isoformat(),
                    number,
                ),
            )
            await _cut(transaction, number, post.text)
        return await self.post(number)

    async def refuse(self, number: int, by: str, reason: str | None = None) -> Post:
        """The post will not go out, even where it was approved already; of a thread that was held up, the rest of it.

        Raises `Refused` when it is too late.
        """
        changed = await self._refuse(number, by, reason, "state IN ('drafted', 'approved')")
        post = await self.post(number)
        if not changed:
            raise _decided_already(post)
        return post

    async def _refuse(self, number: int, by: str, reason: str | None, condition: str) -> bool:
        async with self._database.transaction() as transaction:
            changed = await transaction.run(
                "UPDATE posts SET state = 'refused', decided_by = ?, decided_at = ?, reason = ?, choice = 0 "
                f"WHERE id = ? AND {condition}",
                (by, self._clock().isoformat(), reason, number),
            )
        return changed == 1

    async def delete(self, number: int, by: str) -> Post:
        """What stands on X of this post is taken back at the account's next turn, for the price of a deletion each; the
        rest of a thread that was held up does not go out.

        Raises `Refused` when nothing of it is known to stand there.
        """
        post = await self.post(number)
        self._settings(post.account)  # one that the settings name no more has no keys to delete with
        async with self._database.transaction() as transaction:
            changed = await transaction.run(
                "UPDATE posts SET delete_wanted_by = ?, reason = CASE state WHEN 'approved' THEN ? ELSE reason END, "
                "state = CASE state WHEN 'approved' THEN 'refused' ELSE state END "
                "WHERE id = ? AND state IN ('sent', 'refused', 'approved') AND EXISTS "
                "(SELECT 1 FROM post_parts WHERE post_id = posts.id AND platform_id IS NOT NULL "
                "AND deleted_at IS NULL)",
                (by, STOPPED, number),
            )
        if not changed:
            raise Refused(f"Post {number} is {post.state}, and nothing of it is known to stand on X. Look at the list.")
        return await self.post(number)

    async def attach(self, number: int, picture: str | None, alt_text: str | None) -> Post:
        """A picture goes with the post, by the name that `pictures.keep` gave it; None takes it away.

        Raises `Refused` when the post no longer waits.
        """
        async with self._database.transaction() as transaction:
            await self._require_waiting(transaction, number)
            await transaction.run(
                "UPDATE posts SET picture = ?, alt_text = ? WHERE id = ?", (picture, alt_text, number)
            )
        return await self.post(number)

    async def _require_waiting(self, transaction: Transaction, number: int, seen: str | None = None) -> Post:
        row = await transaction.one("SELECT * FROM posts WHERE id = ?", (number,))
        if row is None:
            raise Refused(f"There is no post {number}. The list shows those that wait.")
        post = read_post(row)
        if post.state is not PostState.DRAFTED:
            raise _decided_already(post)
        if post.expires_at is not None and post.expires_at <= self._clock():
            raise Refused(f"Post {number} has expired: {OVER_TIME}. Have another one written.")
        if seen and seen != post.fingerprint:
            raise Refused(f"Post {number} was changed meanwhile, so nothing was done. Look at it again, then decide.")
        return post

    def _settings(self, account: str) -> X:
        settings = self._accounts.get(account)
        if settings is None:
            raise Refused(f"There is no account {account!r} in the settings. There are: {', '.join(self._accounts)}.")
        return settings

    # --- Forgetting, and handing over what is held ---

    async def made_by(self, personas: Sequence[str]) -> list[Post]:
        """Every post of these personas in any state, the oldest first."""
        rows = await self._database.all(f"SELECT * FROM posts WHERE {one_of(personas)} ORDER BY id", personas)
        return [read_post(row) for row in rows]

    async def said(self, personas: Sequence[str]) -> list[tuple[str, str | None]]:
        """What stands on X of these personas, or may: the account and X's id, None where that is unknown."""
        parts = await self._database.all(
            "SELECT account, post_parts.platform_id AS id FROM post_parts JOIN posts ON posts.id = post_id "
            "WHERE post_parts.deleted_at IS NULL AND (post_parts.platform_id IS NOT NULL OR "
            f"(sending_since IS NOT NULL AND state IN ('sending', 'unknown'))) AND {one_of(personas)} "
            "ORDER BY post_id, number",
            personas,
        )
        return [(row["account"], row["id"]) for row in parts]

    async def withdraw(self, personas: Sequence[str]) -> None:
        """Let nothing of these personas go out, and return once what is on its way has arrived or was cut off.

        Raises `Busy` when it is on its way for long.
        """

        async def on_its_way() -> bool:
            since = (self._clock() - LONGEST_SENDING).isoformat()
            async with self._database.transaction() as transaction:
                await transaction.run(
                    "UPDATE posts SET state = 'refused', reason = 'it was taken down' "
                    f"WHERE state IN ('drafted', 'approved') AND {one_of(personas)}",
                    personas,
                )
                sending = await transaction.one(
                    f"SELECT 1 FROM posts WHERE state = 'sending' AND sent_at > ? AND {one_of(personas)}",
                    (since, *personas),
                )
            return sending is not None

        await until_arrived(on_its_way)

    async def remove(self, personas: Sequence[str]) -> list[str]:
        """Delete every post of these personas, texts and all; on X they stay until they are deleted there.

        Returns the names of their pictures.
        """
        async with self._database.transaction() as transaction:
            rows = await transaction.all(f"SELECT picture FROM posts WHERE {one_of(personas)}", personas)
            await transaction.run(f"DELETE FROM posts WHERE {one_of(personas)}", personas)
        self._said.forget()
        return [row["picture"] for row in rows if row["picture"]]


async def _insert(transaction: Transaction, row: Mapping[str, object]) -> int:
    columns, marks = ", ".join(row), ", ".join("?" * len(row))
    try:
        return await transaction.insert(f"INSERT INTO posts ({columns}) VALUES ({marks})", tuple(row.values()))
    except sqlite3.IntegrityError as error:
        raise Refused("The same text was on the list before. Say something else.") from error


async def _cut(transaction: Transaction, number: int, text: str) -> None:
    """Make the parts that will be sent."""
    parts = enumerate(split(text), start=1)
    await transaction.run("DELETE FROM post_parts WHERE post_id = ?", (number,))
    await transaction.run_many(
        "INSERT INTO post_parts (post_id, number, text) VALUES (?, ?, ?)",
        [(number, place, part) for place, part in parts],
    )


def _decided_already(post: Post) -> Refused:
    return Refused(f"Post {post.id} is {post.state} already, so nothing was changed.")
