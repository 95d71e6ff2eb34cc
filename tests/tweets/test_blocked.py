"""The blocked list: who is kept out by what, and the list as a file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.database import Database
from bot.errors import NotPermitted, UsageError
from bot.tweets.blocked import NO_REASON, Blocked, Blocklist, read_list, require_free, write_list
from bot.tweets.store import TweetStore
from tests.fakes import FakeClock

HANDLES = st.from_regex(r"[a-z0-9_]{1,15}", fullmatch=True)
REASONS = st.text(st.characters(exclude_categories=("C", "Z")) | st.just(" "), min_size=1).map(
    lambda text: " ".join(text.split())
)


@pytest.fixture
def blocklist(database: Database, clock: FakeClock) -> Blocklist:
    return Blocklist(database, clock)


async def test_a_blocked_handle_is_kept_out_in_any_spelling(database: Database, blocklist: Blocklist) -> None:
    store = TweetStore(database, FakeClock())
    assert await blocklist.add([Blocked("nell", None, "asked by e-mail")]) == 1
    with pytest.raises(NotPermitted, match="@nell is blocked"):
        await store.add("@Nell", [])
    assert await store.handles() == []
    await store.add("otis", [])


async def test_a_new_handle_does_not_help_where_the_id_is_known(database: Database, blocklist: Blocklist) -> None:
    await blocklist.add([Blocked("nell", "17", "asked by e-mail")])
    await require_free(database, ("new_nell",), "18")
    with pytest.raises(NotPermitted, match=r"@nell \(the same account as @new_nell\)"):
        await require_free(database, ("new_nell",), "17")


async def test_an_account_that_is_stored_under_another_name_is_known_by_its_id(
    database: Database, blocklist: Blocklist
) -> None:
    store = TweetStore(database, FakeClock())
    await store.add("new_nell", [])
    async with database.transaction() as transaction:
        await transaction.run("UPDATE accounts SET platform_id = '17' WHERE handle = 'new_nell'")
    await blocklist.add([Blocked("nell", "17", "asked by e-mail")])
    with pytest.raises(NotPermitted):
        await store.add("new_nell", [])


async def test_who_is_blocked_again_keeps_the_reason_and_gets_the_id(blocklist: Blocklist) -> None:
    assert await blocklist.add([Blocked("nell", None, "first")]) == 1
    assert await blocklist.add([Blocked("nell", "17", "second")]) == 0
    assert [(each.platform_id, each.reason) for each in await blocklist.all()] == [("17", "first")]


async def test_who_is_stored_is_blocked_by_the_id_too(database: Database, blocklist: Blocklist) -> None:
    await TweetStore(database, FakeClock()).add("nell", [])
    async with database.transaction() as transaction:
        await transaction.run("UPDATE accounts SET platform_id = '17'")
    await blocklist.add([Blocked("nell", None, NO_REASON), Blocked("otis", None, NO_REASON)])
    assert {each.handle: each.platform_id for each in await blocklist.all()} == {"nell": "17", "otis": None}


async def test_only_a_word_of_its_own_lets_somebody_in_again(database: Database, blocklist: Blocklist) -> None:
    await blocklist.add([Blocked("nell", None, NO_REASON)])
    await blocklist.remove("@NELL")
    await require_free(database, ("nell",))
    with pytest.raises(UsageError, match="not blocked"):
        await blocklist.remove("nell")


def test_a_file_has_a_handle_on_each_line() -> None:
    text = "\ufeff# agreed on in the club\n\n@NASA\nada id=17 asked by e-mail on 2026-11-01\nbob   wrote to us\n"
    assert read_list(text) == [
        Blocked("nasa", None, NO_REASON),
        Blocked("ada", "17", "asked by e-mail on 2026-11-01"),
        Blocked("bob", None, "wrote to us"),
    ]


@pytest.mark.parametrize("line", ["https://x.com/nasa", "@", "two;words", "a" * 61])
def test_a_line_without_a_handle_is_named(line: str) -> None:
    with pytest.raises(UsageError, match="Line 2"):
        read_list(f"nasa\n{line}\n")


@given(
    st.lists(
        st.builds(
            Blocked,
            HANDLES,
            st.none() | st.integers(1, 10**18).map(str),
            REASONS.filter(bool).filter(lambda reason: not reason.startswith("id=")) | st.just(NO_REASON),
        ),
        max_size=5,
    )
)
def test_what_is_written_is_read_again(entries: list[Blocked]) -> None:
    assert read_list(write_list(entries)) == entries
