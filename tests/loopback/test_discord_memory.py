"""The loopback Discord and what it remembers: only so much of everything, found without looking through it all."""

from bot.loopback.discord import Kind, LoopbackDiscord
from tests.loopback.songbird import PATIENCE, Songbird, connected, text_channel

KEEPS = 20


async def test_only_the_newest_are_remembered() -> None:
    bot = Songbird()
    async with LoopbackDiscord(keeps=KEEPS) as server, connected(bot, server):
        world = server.world
        for number in range(3 * KEEPS):
            said = await server.say(world.channel("talk"), world.user("robin"), str(number))
            await server.reply_to(said, PATIENCE)
        newest = [message.content for message in server.messages_in(world.channel("talk"))][-2:]
    assert newest[1] == f"You said: {3 * KEEPS - 1}"
    assert len(world.messages) <= 1.1 * KEEPS
    assert len(server.journal.entries) <= 1.1 * KEEPS
    assert server.journal.entries[-1].kind is Kind.DISCONNECTED


async def test_what_has_buttons_is_remembered_longer() -> None:
    async with LoopbackDiscord(keeps=KEEPS) as server:
        world = server.world
        talk, robin = world.channel("talk"), world.user("robin")
        first = await server.say(talk, robin, "press me")
        server.message(first).components = [{"type": 1, "components": []}]
        second = await server.say(talk, robin, "nothing to press")
        for number in range(2 * KEEPS):
            await server.say(talk, robin, str(number))
        assert (first in world.messages, second in world.messages) == (True, False)


async def test_a_happening_is_found_though_older_ones_are_forgotten() -> None:
    async with LoopbackDiscord(keeps=KEEPS) as server:
        world = server.world
        for number in range(3 * KEEPS):
            await server.say(world.channel("talk"), world.user("robin"), str(number), mentions_bot=False)
        last = await server.wait_for(
            lambda h: h.message is not None and h.message.content == f"{3 * KEEPS - 1}", PATIENCE
        )
    assert last.kind is Kind.CREATED


async def test_interactions_are_forgotten_by_age() -> None:
    bot = Songbird()
    async with LoopbackDiscord(keeps=KEEPS) as server, connected(bot, server):
        world = server.world
        world.commands[None] = [{"id": "1", "name": "tweet", "description": "says something", "type": 1}]
        used = [await server.slash(world.channel("talk"), world.user("robin"), "tweet") for _ in range(KEEPS + 1)]
        await text_channel(bot, server).send("still there")
        remembered = server.interactions
    assert used[0] not in remembered and remembered == used[1:]
