"""How much one person, and one server, may ask for, and when the next try is worth it."""

from __future__ import annotations

import pytest

from bot.config import Replies
from bot.database import Database
from bot.errors import Refused
from bot.replies.incoming import Incoming, Platform
from bot.replies.quota import Quota
from bot.replies.servers import Servers
from tests.fakes import FakeClock

SETTINGS = Replies(requests_per_hour=3, most_requests_per_hour=10, server_requests_per_hour=5)


class Desk:
    """A quota, and people who ask one after the other."""

    def __init__(self, database: Database, clock: FakeClock, settings: Replies = SETTINGS) -> None:
        self.clock = clock
        self.servers = Servers(database, clock)
        self.quota = Quota(database, settings, self.servers, clock)
        self._database = database
        self._asked = 0

    async def ask(self, author: str = "robin", server: str = "", roles: tuple[str, ...] = ()) -> None:
        """One request, on record as a conversation puts it there. Raises `Refused`."""
        self._asked += 1
        incoming = Incoming(Platform.DISCORD, str(self._asked), "c", author, server_id=server, roles=roles)
        async with self._database.transaction() as transaction:
            await transaction.run(
                "INSERT INTO messages (platform, message_id, channel_id, author_id, state, received_at, server_id) "
                "VALUES (?, ?, ?, ?, 'received', ?, ?)",
                ("discord", incoming.message_id, "c", author, self.clock().isoformat(), server),
            )
        try:
            await self.quota.check(incoming)
        except Refused:
            async with self._database.transaction() as transaction:
                await transaction.run(
                    "UPDATE messages SET state = 'refused' WHERE message_id = ?", (incoming.message_id,)
                )
            raise


@pytest.fixture
def desk(database: Database, clock: FakeClock) -> Desk:
    return Desk(database, clock)


async def times(desk: Desk, count: int, author: str = "robin", server: str = "", roles: tuple[str, ...] = ()) -> None:
    for _ in range(count):
        await desk.ask(author, server, roles)


async def test_a_person_may_ask_so_often_in_any_hour(desk: Desk) -> None:
    await times(desk, 3)
    with pytest.raises(Refused, match="3 an hour is the limit here"):
        await desk.ask()
    await desk.ask("wren")
    desk.clock.advance(minutes=61)
    await desk.ask()


async def test_the_sentence_says_when_the_next_try_is_worth_it(desk: Desk) -> None:
    """It is: a minute later the request is served, a minute earlier it is not."""
    await desk.ask()
    desk.clock.advance(minutes=20)
    await times(desk, 2)
    with pytest.raises(Refused, match="Ask again in 40 min"):
        await desk.ask()
    desk.clock.advance(minutes=39)
    with pytest.raises(Refused, match="Ask again in 1 min"):
        await desk.ask()
    desk.clock.advance(minutes=1)
    await desk.ask()


async def test_who_was_refused_is_not_kept_longer_by_trying(desk: Desk) -> None:
    await times(desk, 3)
    for _ in range(5):
        with pytest.raises(Refused):
            await desk.ask()
    desk.clock.advance(minutes=60, seconds=1)
    await times(desk, 3)


async def test_a_server_chooses_for_its_own_people_up_to_the_operators_most(desk: Desk) -> None:
    await desk.servers.change("discord", "1", requests_per_hour=1)
    await desk.ask(server="1")
    with pytest.raises(Refused, match="1 an hour"):
        await desk.ask(server="1")
    await desk.ask(server="2")
    chosen = await desk.servers.change("discord", "1", requests_per_hour=1_000)
    assert desk.quota.for_person(chosen, ()) == 10


async def test_of_several_roles_the_one_that_allows_most_counts_also_when_it_is_less_than_others_have(
    desk: Desk,
) -> None:
    for role, limit in (("a", 1), ("b", 2), ("c", 1_000)):
        chosen = await desk.servers.limit_role("discord", "1", role, limit)
    assert desk.quota.for_person(chosen, ("a",)) == 1
    assert desk.quota.for_person(chosen, ("b", "a", "x")) == 2
    assert desk.quota.for_person(chosen, ("a", "c")) == 10
    assert desk.quota.for_person(chosen, ("x",)) == 3
    await desk.ask(server="1", roles=("a",))
    with pytest.raises(Refused, match="1 an hour"):
        await desk.ask(server="1", roles=("a",))


async def test_all_people_of_a_server_together_have_a_limit_that_the_server_can_lower_only(desk: Desk) -> None:
    await times(desk, 3, "robin", "1")
    await times(desk, 2, "wren", "1")
    with pytest.raises(Refused, match="This server has asked for a lot: 5 tweets an hour"):
        await desk.ask("wren", "1")
    await desk.ask("wren", "2")
    chosen = await desk.servers.change("discord", "1", server_requests_per_hour=2)
    assert desk.quota.for_server(chosen) == 2
    chosen = await desk.servers.change("discord", "1", server_requests_per_hour=1_000)
    assert desk.quota.for_server(chosen) == 5


async def test_a_cooldown_is_counted_from_the_last_request_that_was_served(desk: Desk) -> None:
    await desk.quota.set_cooldown("discord", "1", 30)
    await desk.ask(server="1")
    desk.clock.advance(seconds=20)
    with pytest.raises(Refused, match="One at a time: ask again in 10 s"):
        await desk.ask(server="1")
    desk.clock.advance(seconds=10)
    await desk.ask(server="1")


async def test_the_operators_cooldown_holds_everywhere(database: Database, clock: FakeClock) -> None:
    desk = Desk(database, clock, Replies(cooldown_seconds=5))
    await desk.servers.change("discord", "1", cooldown_seconds=1)
    await desk.ask(server="1")
    with pytest.raises(Refused, match="ask again in 5 s"):
        await desk.ask(server="1")


@pytest.mark.parametrize("limit", [11, 10_000])
async def test_more_than_the_operator_allows_is_not_chosen(desk: Desk, limit: int) -> None:
    with pytest.raises(Refused, match="allows 10 requests an hour at most"):
        await desk.quota.set_for_person("discord", "1", limit)
    with pytest.raises(Refused, match="allows 10 requests"):
        await desk.quota.set_for_role("discord", "1", "a", limit)
    with pytest.raises(Refused, match="allows 5 requests"):
        await desk.quota.set_for_server("discord", "1", limit)
    assert (await desk.servers.settings("discord", "1")).requests_per_hour is None


async def test_what_is_asked_for_elsewhere_does_not_count_where_a_server_has_numbers_of_its_own(desk: Desk) -> None:
    await desk.servers.change("discord", "1", requests_per_hour=1)
    await times(desk, 2, server="2")
    await desk.ask(server="1")
    with pytest.raises(Refused, match="1 an hour"):
        await desk.ask(server="1")
    await desk.servers.change("discord", "3", cooldown_seconds=3600)
    await desk.ask("wren", server="2")
    await desk.ask("wren", server="3")
    with pytest.raises(Refused, match="One at a time"):
        await desk.ask("wren", server="3")
