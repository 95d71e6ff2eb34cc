"""/train on Discord for accounts that have to be fetched from X: the price first, a button, the fetch, the training.

Discord and X are both played over real sockets; the purchases, the ledger and the line of trainings are the real ones.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from bot.config import Model, Retraining, X
from bot.config import Training as TrainingSettings
from bot.frontends.discord import lasting
from bot.loopback.discord import LoopbackInteraction, Message
from bot.loopback.discord.messages import MessageFlag
from bot.loopback.discord.people import Permission
from bot.loopback.x import LoopbackX, XAccount, XRefusal
from bot.shelf.shelf import Shelf
from bot.training.purchase import PurchaseState
from bot.training.trainings import Trainings, TrainingState
from bot.tweets.costs import Ledger
from bot.tweets.store import Basis
from bot.tweets.tweet import Source, Tweet
from tests.fakes import FakeClock
from tests.frontends.discord_stage import Stage, staged
from tests.loopback.songbird import PATIENCE
from tests.posting import sent
from tests.tweets.desk import PERMITTED, TIMELINE, Desk, contracts, desk_at

WORDS = [
    "lamp",
    "sea",
    "fog",
    "bread",
    "cat",
    "gull",
    "rope",
    "tide",
    "storm",
    "kettle",
    "ladder",
    "window",
    "harbour",
    "whistle",
    "morning",
    "letter",
    "stone",
]


@pytest.fixture
async def x(clock: FakeClock) -> AsyncIterator[LoopbackX]:
    """X with an account of 120 posts, a protected one, and the keys' own."""
    accounts = [XAccount("Mockingbird"), XAccount("Ada"), XAccount("recluse", protected=True)]
    async with LoopbackX(accounts, contracts()[0], clock=clock) as x:
        posts(x, clock, 120)
        yield x
    assert x.violations == []


def posts(x: LoopbackX, clock: FakeClock, count: int) -> None:
    """So many posts of @Ada, one a minute until now."""
    dice = random.Random(len(x.timeline("Ada")))
    for number in range(count):
        at = clock.now - timedelta(minutes=count - number)
        x.post_as("Ada", f"{' '.join(dice.sample(WORDS, 9))} {number}.", created_at=at)


@dataclass(frozen=True, slots=True)
class Scene:
    """Discord, X, and the rooms between them."""

    stage: Stage
    desk: Desk
    trainings: Trainings

    @property
    def ledger(self) -> Ledger:
        return self.desk.ledger

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The front end connected, and the purchases carried out."""
        buying = asyncio.create_task(self.stage.purchases.run())
        try:
            async with self.stage.running():
                yield
        finally:
            buying.cancel()
            await asyncio.wait([buying])
        assert buying.cancelled()

    async def train(self, handles: str = "@Ada", who: str = "wren") -> Message:
        """Somebody asks for a training; the bot's answer."""
        return await (await self.stage.use("train", who, handles=handles)).answered(PATIENCE)

    async def refused(self, handles: str) -> str:
        """Somebody asks for a training that can't be; what is said to that person only."""
        [problem] = await (await self.stage.use("train", handles=handles)).followed_up(PATIENCE)
        assert MessageFlag.EPHEMERAL in problem.flags
        return problem.content

    async def press(self, message: Message, label: str, who: str = "wren") -> LoopbackInteraction:
        await self.stage.server.until(lambda: label in labels(message), PATIENCE, f"the button {label}")
        interaction = await self.stage.server.press(message, self.stage.server.world.user(who), label)
        await interaction.acknowledged(PATIENCE)
        return interaction

    async def says(self, message: Message, text: str) -> None:
        await self.stage.server.wait_for(lambda h: h.message is message and text in message.content, PATIENCE)


@asynccontextmanager
async def scene_at(
    folder: Path, x: LoopbackX, clock: FakeClock, settings: X = PERMITTED, cap: str = "20.00"
) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        desk = await stack.enter_async_context(desk_at(folder / "scene.db", x, clock, settings, cap))
        trainings = Trainings(
            desk.database,
            Shelf(folder / "models"),
            desk.store,
            folder,
            Model(),
            TrainingSettings(min_characters=100),
            Retraining(),
            clock,
        )
        stage = await stack.enter_async_context(
            staged(
                folder, desk.database, collector=desk.collector, ledger=desk.ledger, trainings=trainings, clock=clock
            )
        )
        yield Scene(stage, desk, trainings)


@pytest.fixture
async def scene(tmp_path: Path, x: LoopbackX, clock: FakeClock) -> AsyncIterator[Scene]:
    async with scene_at(tmp_path, x, clock) as scene:
        yield scene


def labels(message: Message) -> list[str]:
    return [button["label"] for row in message.components for button in row["components"]]


async def test_an_account_that_is_not_stored_is_looked_up_priced_fetched_and_learned(
    scene: Scene, x: LoopbackX
) -> None:
    async with scene.running():
        message = await scene.train()
        assert message.content == (
            "@ada: fetching from X has a price. Looking it up costs $0.01; what the fetch costs is said then.\n"
            "-# X this month: $0.00 of the cap of $20.00."
        )
        assert (labels(message), x.requests) == (["Look up for $0.01", "Never mind"], [])
        await scene.press(message, "Look up for $0.01")
        await scene.says(message, "@ada: about 120 posts are to be fetched from X, for about $0.60.")
        assert "X this month: $0.01 of the cap of $20.00." in message.content
        assert (labels(message), x.bill()) == (["Fetch for $0.60 and train", "Never mind"], Decimal("0.010"))
        await scene.press(message, "Fetch for $0.60 and train")
        await scene.says(message, "**ada** learns from the stored tweets of @ada")
        assert labels(message) == ["Cancel"]
    assert await scene.ledger.month_total() == x.bill() == Decimal("0.610")
    [training] = await scene.trainings.recent(5)
    wren = scene.stage.server.world.user("wren")
    assert (training.handles, training.cause, training.requested_by) == (("ada",), "discord", str(wren.id))
    assert await scene.desk.store.basis("ada") is Basis.PERMISSION


async def test_the_fetch_is_shown_page_by_page(scene: Scene, x: LoopbackX) -> None:
    async with scene.running():
        message = await scene.train()
        await scene.press(message, "Look up for $0.01")
        await scene.says(message, "about 120 posts")
        x.fail_next(TIMELINE, XRefusal.WINDOW)
        await scene.press(message, "Fetch for $0.60 and train")
        await scene.says(message, "X takes no more requests for now; the fetch goes on at 12:15 UTC.")
    assert x.bill() == Decimal("0.010")


async def test_both_buttons_work_after_a_restart_and_the_fetch_goes_on_after_one(scene: Scene, x: LoopbackX) -> None:
    async with scene.running():
        message = await scene.train()
    async with scene.running():
        await scene.press(message, "Look up for $0.01")
        await scene.says(message, "about 120 posts")
    async with scene.stage.running():  # nobody fetches
        await scene.press(message, "Fetch for $0.60 and train")
        await scene.says(message, "Fetching @ada from X")
    async with scene.running():
        await scene.says(message, "**ada** learns from the stored tweets of @ada")
    assert await scene.ledger.month_total() == x.bill() == Decimal("0.610")
    assert len(await scene.trainings.recent(5)) == 1


async def test_pressed_twice_it_is_done_once(scene: Scene, x: LoopbackX) -> None:
    async with scene.running():
        message = await scene.train()
        await asyncio.gather(*(scene.press(message, "Look up for $0.01") for _ in range(2)))
        await asyncio.gather(*(scene.press(message, "Fetch for $0.60 and train") for _ in range(2)))
        await scene.says(message, "**ada** learns")
    assert len([request for request in x.requests if request.route == TIMELINE]) == 2
    assert len(await scene.trainings.recent(5)) == 1
    assert await scene.ledger.month_total() == x.bill()


async def test_only_the_asker_or_who_may_manage_the_server_can_press(scene: Scene, x: LoopbackX) -> None:
    async with scene.running():
        message = await scene.train()
        refused = await scene.press(message, "Look up for $0.01", "robin")
        assert refused.original is not None
        assert refused.original.content.startswith("Only whoever asked for this training, or may train here")
        assert MessageFlag.EPHEMERAL in refused.original.flags
    assert (x.requests, (await scene.stage.purchases.purchase(1)).state) == ([], PurchaseState.ASKED)


async def test_an_account_whose_fetch_was_left_in_the_middle_is_priced_by_what_is_left(
    scene: Scene, x: LoopbackX
) -> None:
    x.fail_next(TIMELINE, XRefusal.WINDOW)

    def stop(progress: object) -> None:
        x.fail_next(TIMELINE, XRefusal.UNAVAILABLE)

    with pytest.raises(Exception, match="no more requests"):
        await scene.desk.collector.fetch("ada")
    with pytest.raises(Exception, match="overloaded"):
        await scene.desk.collector.fetch("ada", stop)
    async with scene.running():
        message = await scene.train()
        assert "about 20 posts are to be fetched from X, for about $0.10." in message.content
        assert labels(message) == ["Fetch for $0.10 and train", "Train on what is stored", "Never mind"]
        await scene.press(message, "Train on what is stored")
        await scene.says(message, "**ada** learns")
    assert x.bill() == Decimal("0.510")


async def test_what_is_stored_wholly_is_offered_for_nothing_with_the_choice_to_fetch_first(
    scene: Scene, x: LoopbackX, clock: FakeClock
) -> None:
    await scene.desk.collector.fetch("ada")
    async with scene.running():
        message = await scene.train()
        assert "It reads 118 of the 120 stored tweets of @ada (its owner has agreed)." in message.content
        assert labels(message) == ["Go on", "Fetch what is new first", "Never mind"]
        clock.advance(seconds=30)
        x.post_as("Ada", "The kettle is on and nobody is home.", created_at=clock.now)
        await scene.press(message, "Fetch what is new first")
        await scene.says(message, "probably nothing new is on X")
        await scene.press(message, "Fetch for $0.00 and train")
        await scene.says(message, "**ada** learns")
    assert [training.state for training in await scene.trainings.recent(5)] == [TrainingState.QUEUED]
    assert await scene.ledger.month_total() == x.bill() == Decimal("0.615")


async def test_whoever_minds_buys_nothing(scene: Scene, x: LoopbackX) -> None:
    async with scene.running():
        message = await scene.train()
        await scene.press(message, "Never mind")
        await scene.says(message, "Never mind: nothing was learned.")
    assert ((await scene.stage.purchases.purchase(1)).state, x.requests) == (PurchaseState.DECLINED, [])


async def test_a_followed_account_that_has_probably_posted_since_is_priced_first(
    scene: Scene, x: LoopbackX, clock: FakeClock
) -> None:
    await scene.desk.collector.fetch("ada")
    clock.advance(minutes=30)
    async with scene.running():
        message = await scene.train()
        assert "about 29 posts are to be fetched from X, for about $0.145." in message.content
        assert labels(message) == ["Fetch for $0.145 and train", "Train on what is stored", "Never mind"]


async def test_where_there_is_more_than_expected_it_is_asked_again(
    scene: Scene, x: LoopbackX, clock: FakeClock
) -> None:
    """An account that was quiet has posted 330 times at once."""
    for _ in range(2):
        await scene.desk.collector.fetch("ada")
        clock.advance(hours=9)
    async with scene.running():
        offer = await scene.train()
        await scene.press(offer, "Fetch what is new first")
        await scene.says(offer, "probably nothing new is on X")
        posts(x, clock, 330)
        before = await scene.ledger.month_total()
        await scene.press(offer, "Fetch for $0.00 and train")
        await scene.says(offer, "There is more of @ada on X than was expected. It has cost $0.50 so far.")
        assert "about 100 posts are to be fetched from X, for about $0.50." in offer.content
        assert "It costs at most $1.00, or you are asked again." in offer.content
        assert await scene.ledger.month_total() - before == Decimal("0.50")
        await scene.press(offer, "Fetch for $0.50 and train")
        await scene.says(offer, "about 200 posts are to be fetched from X, for about $1.00.")
        await scene.press(offer, "Fetch for $1.00 and train")
        await scene.says(offer, "**ada** learns")
    assert await scene.ledger.month_total() - before == Decimal("1.65")
    assert await scene.ledger.month_total() == x.bill()


async def test_an_archive_costs_nothing_and_invented_accounts_are_never_looked_for(scene: Scene, x: LoopbackX) -> None:
    for handle, basis in (("ada", Basis.OWN), ("nelly", Basis.INVENTED)):
        dice = random.Random(handle)
        tweets = [
            Tweet(handle, " ".join(dice.sample(WORDS, 9)), str(number), None, False, None, Source.ARCHIVE)
            for number in range(30)
        ]
        await scene.desk.store.add(handle, tweets, basis)
    async with scene.running():
        assert labels(await scene.train("ada")) == ["Go on", "Fetch what is new first", "Never mind"]
        assert labels(await scene.train("nelly")) == ["Go on", "Never mind"]
    assert x.requests == []


@pytest.mark.parametrize(
    ("handle", "said"),
    [
        ("recluse", "The account @recluse is protected, so its posts can't be read"),
        ("nobody", "X has no account @nobody; check the spelling"),
    ],
)
async def test_an_account_that_can_not_be_read_is_one_sentence(scene: Scene, handle: str, said: str) -> None:
    async with scene.running():
        message = await scene.train(handle)
        await scene.press(message, "Look up for $0.01")
        await scene.says(message, said)
        assert labels(message) == []
    assert await scene.trainings.recent(5) == []


async def test_a_fetch_that_does_not_fit_under_the_cap_is_one_sentence_and_is_not_begun(
    tmp_path: Path, x: LoopbackX, clock: FakeClock
) -> None:
    async with scene_at(tmp_path, x, clock, cap="0.90") as scene, scene.running():
        message = await scene.train()
        await scene.press(message, "Look up for $0.01")
        await scene.says(message, "Fetching @ada may cost $1.00, and $0.01 of this month's cap of $0.90 are spent")
        assert labels(message) == []
    assert x.bill() == Decimal("0.010")


async def test_without_money_nobody_is_looked_up(tmp_path: Path, x: LoopbackX, clock: FakeClock) -> None:
    async with scene_at(tmp_path, x, clock, cap="0.009") as scene, scene.running():
        assert "may cost $0.01" in await scene.refused("ada")
    assert x.requests == []


async def test_without_permission_it_says_so(tmp_path: Path, x: LoopbackX, clock: FakeClock) -> None:
    async with scene_at(tmp_path, x, clock, X()) as scene, scene.running():
        assert "i_have_permission_to_train = true" in await scene.refused("ada")
    assert x.requests == []


async def test_too_little_is_found_out_after_the_fetch_and_said_with_what_it_cost(
    scene: Scene, x: LoopbackX, clock: FakeClock
) -> None:
    x.add_account(XAccount("Quiet"))
    x.post_as("Quiet", "the lamp is lit tonight", created_at=clock.now)
    async with scene.running():
        message = await scene.train("quiet")
        await scene.press(message, "Look up for $0.01")
        await scene.says(message, "about 1 posts")
        await scene.press(message, "Fetch for $0.005 and train")
        await scene.says(message, "It has cost $0.015.")
    assert await scene.trainings.recent(5) == []


async def test_a_price_of_yesterday_no_longer_holds(scene: Scene, x: LoopbackX, clock: FakeClock) -> None:
    async with scene.running():
        message = await scene.train()
        await scene.press(message, "Look up for $0.01")
        await scene.says(message, "about 120 posts")
        clock.advance(days=1)
        pressed = await scene.press(message, "Fetch for $0.60 and train")
        [problem] = await pressed.followed_up(PATIENCE)
        assert problem.content.startswith("This price was said on another day")
    assert x.bill() == Decimal("0.010")


async def test_where_posts_are_approved_their_price_is_said(scene: Scene) -> None:
    await scene.stage.propose(1)
    async with scene.running():
        message = await (await scene.stage.use("queue")).answered(PATIENCE)
    assert message.content.endswith(
        "-# It costs $0.015 when it goes out.\n-# X this month: $0.00 of the cap of $20.00."
    )


async def test_log_channels_are_told_once_of_each_share_of_the_cap_that_is_spent(scene: Scene) -> None:
    """Over a restart, too; of several shares at once the largest is told."""
    stage, general = scene.stage, scene.stage.server.world.channel("general")
    await stage.conversation.servers.change("discord", str(general.guild_id), log_channel=str(general.id))
    told = "of this month's cap for X is spent"

    def said() -> list[str]:
        return [each.content for each in stage.server.messages_in(general) if told in each.content]

    async def spend(usd: str) -> None:
        async with stage.ledger.hold("post", "nell", Decimal(usd), "Posting") as call:
            await call.settle(1, Decimal(usd))

    stage.ledger.budget = replace(stage.ledger.budget, warn_at=(0.5, 0.8, 1.0))
    await spend("17.00")
    async with scene.running():
        await stage.server.until(lambda: len(said()) == 1, PATIENCE, told)
    async with scene.running():
        await spend("3.00")
        await stage.server.until(lambda: len(said()) == 2, PATIENCE, told)
    assert said() == [
        "80% of this month's cap for X is spent: $17.00 of $20.00. `/costs` shows for what.",
        "100% of this month's cap for X is spent: $20.00 of $20.00. Nothing more is read or posted before the next "
        "month. `/costs` shows for what.",
    ]


async def test_a_post_is_deleted_from_x_for_a_price_that_is_said_first(scene: Scene, clock: FakeClock) -> None:
    """And only when it is asked for twice."""
    stage = scene.stage
    await stage.propose(1)
    await stage.posts.approve(1, "web")
    await sent(stage.database, clock, 1, "77")
    async with scene.running():
        message = await (await stage.use("queue")).answered(PATIENCE)
        await stage.server.choose(message, stage.server.world.user("wren"), "Look at another post", ["1"])
        await scene.says(message, "**Post 1**")
        await scene.press(message, "Delete 1 from X")
        await scene.says(message, "It can't be undone.")
        assert (await stage.posts.post(1)).delete_wanted_by is None
        await scene.press(message, "Delete 1 for $0.01")
        await scene.says(message, "takes post 1 back from X, at the account's next turn.")
    wanted_by = (await stage.posts.post(1)).delete_wanted_by
    assert wanted_by is not None and wanted_by.startswith("discord:")


async def test_a_name_that_can_not_be_is_said_before_anything_is_paid(scene: Scene, x: LoopbackX) -> None:
    async with scene.running():
        use = await scene.stage.use("train", handles="ada", name="not a name!")
        [problem] = await use.followed_up(PATIENCE)
        assert "can't be a persona's name" in problem.content
    assert x.requests == []


async def heard(scene: Scene, text: str) -> Message:
    """The direct message that says so, once it is there."""
    found = await scene.stage.server.wait_for(
        lambda h: h.message is not None and h.message.channel.guild_id is None and text in h.message.content, PATIENCE
    )
    assert found.message is not None
    return found.message


async def test_where_the_bot_may_not_see_the_channel_the_asker_hears_directly_how_a_fetch_ends(
    scene: Scene, x: LoopbackX, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token has ended meanwhile. A training goes on there, and what failed is said there."""
    x.add_account(XAccount("Quiet"))
    x.post_as("Quiet", "the lamp is lit tonight", created_at=clock.now)
    async with scene.running():
        messages = [await scene.train(), await scene.train("quiet")]
        for message in messages:
            await scene.press(message, "Look up for $0.01")
            await scene.says(message, "It costs at most")
        monkeypatch.setattr(lasting, "_TOKEN_MARGIN", timedelta(hours=1))
        scene.stage.server.world.channel("talk").denied_to_bot = Permission.VIEW_CHANNEL
        await scene.press(messages[0], "Fetch for $0.60 and train")
        await heard(scene, "I can't write any more, so here is how @ada goes on.")
        await scene.press(messages[1], "Fetch for $0.005 and train")
        await heard(scene, "It has cost $0.015.")
    assert [training.handles for training in await scene.trainings.recent(5)] == [("ada",)]
