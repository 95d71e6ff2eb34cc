"""Why an account may be learned. Without a reason on record nothing is trained on it."""

from __future__ import annotations

from collections.abc import Sequence

from bot.errors import NotPermitted, UsageError
from bot.tweets.store import Basis, TweetStore

CHOICES = ", ".join(basis.value for basis in Basis)


async def require_basis(store: TweetStore, handles: Sequence[str]) -> dict[str, str]:
    """Why each of these accounts may be learned. Raises `NotPermitted` for one of which nobody has said it,
    `UnknownHandle` for one that is not stored.
    """
    bases: dict[str, str] = {}
    for handle in handles:
        basis = await store.basis(handle)
        if basis is None:
            raise NotPermitted(
                f"Nobody has said why @{handle} may be learned, so it is not trained. "
                f"Say it with `mockingbird basis {handle} BASIS`, where BASIS is one of {CHOICES}."
            )
        bases[handle] = basis.value
    return bases


def require_note(basis: Basis, note: str | None) -> None:
    """A permission that nobody can find again is none: raises `UsageError` when it comes without a note."""
    if basis is Basis.PERMISSION and not (note or "").strip():
        raise UsageError(
            'A permission needs a note that says where it is written, for example --note "her e-mail of 2026-11-01".'
        )
