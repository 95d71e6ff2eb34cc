"""What a version was made of: the steps add up, whatever was stored, and are those of the version, not of today."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.database import Database
from bot.errors import PortraitFailed
from bot.shelf.manifest import HandleCounts, Manifest
from bot.training.dataset import build
from bot.training.exploring import Explorer
from bot.training.ingredients import Account, Ingredients, Stored, ingredients, splits_of, tally, told, waterfall
from bot.tweets.cleaning import Profile, Verdict, judge
from bot.tweets.counts import AccountCounts, count
from bot.tweets.store import TweetStore
from bot.tweets.tweet import Source, Tweet
from tests.fakes import FakeClock
from tests.shelves import manifest, shelf_with
from tests.tiny_base import tiny_tokenizer
from tests.training.material import FIRST_DAY, Said, sentences, settings

BASE = "0" * 64
AGAIN = "The lamp was lit at four today and nobody came to look."
NEARLY = "The lamp was lit at five today and nobody came to look."

texts = st.sampled_from(
    [*sentences(30), AGAIN, NEARLY, "RT @bob: not mine", "wow", "“A headline of it all” via @paper"]
)


def tweets(handle: str, said: list[str], first: int = 1) -> list[Tweet]:
    """One a day."""
    return [
        Tweet(handle, text, f"{handle}{number}", FIRST_DAY + timedelta(days=number), False, None, Source.TABLE)
        for number, text in enumerate(said, first)
    ]


def counted(account: AccountCounts) -> HandleCounts:
    return HandleCounts(
        handle=account.handle,
        downloaded=account.downloaded,
        retweets=account.retweets,
        short=account.short,
        duplicates=account.duplicates,
        kept=account.kept,
        quotes=account.quotes,
        near_duplicates=account.near_duplicates,
    )


def steps(account: Account) -> dict[str, int]:
    return {step.name: step.tweets for step in account.steps}


def adds_up(account: Account) -> bool:
    """What remains, without what is left out after it, is what remains next; learned and kept aside are its parts."""
    found = steps(account)
    left_out = {step.name: step.tweets for step in account.steps if step.is_left_out}
    before_kept = ("retweets", "quotes", "short", "duplicates", "near_duplicates")
    kept = found["downloaded"] - sum(left_out[name] for name in before_kept)
    after_kept = sum(tweets for name, tweets in left_out.items() if name not in before_kept)
    ends = found["train"] + found["held_out"] if "train" in found else found["kept"]
    return found["kept"] == kept and ends == found["kept"] - after_kept and min(found.values()) >= 0


@given(st.lists(st.lists(texts, min_size=12, max_size=40), min_size=1, max_size=4))
def test_the_steps_of_each_account_and_of_all_together_add_up(said: list[list[str]]) -> None:
    accounts = {f"account{number}": tweets(f"account{number}", lines) for number, lines in enumerate(said)}
    judged = {handle: judge(each, Profile.MOCKINGBIRD) for handle, each in accounts.items()}
    kept = {
        handle: [Said(one.cleaned, one.tweet.created_at) for one in each if one.verdict is Verdict.KEPT]
        for handle, each in judged.items()
    }
    made = build({**kept, "otis": [Said(text) for text in sentences(60)[30:]]}, settings(min_characters=0), BASE)
    counts = [counted(count(handle, each)) for handle, each in judged.items()]
    splits = [each for each in splits_of(made, tiny_tokenizer(), 0.5) if each.handle != "otis"]
    version = manifest("nell").model_copy(update={"counts": tuple(counts), "handles": tuple(accounts)})
    found = ingredients(version, Stored.GONE, splits, {}, None)
    assert all(map(adds_up, [*found.accounts, found.together]))
    summed: Counter[str] = Counter()
    for account in found.accounts:
        summed.update(steps(account))
    assert steps(found.together) == dict(summed)
    assert all(0 <= (account.epoch or 0) <= steps(account)["train"] for account in found.accounts)
    for step, start in waterfall(found.together.steps):
        assert 0 <= start <= start + step.tweets <= found.together.steps[0].tweets


def test_of_an_older_version_is_told_what_it_tells_and_it_still_adds_up() -> None:
    """Retweets and quotes are one number then, and only the sum of all accounts says how they were split."""
    version = manifest("nell").model_copy(update={"hyperparameters": {"train_tweets": 240, "train_tokens": 7_000}})
    found = ingredients(version, Stored.GONE, (), {}, None)
    assert adds_up(found.together)
    assert (steps(found.together)["repeated"], steps(found.together)["train"]) == (6, 240)
    assert found.together.tokens == 7_000
    assert "train" not in steps(found.accounts[0])
    assert any("not known any more" in sentence for sentence in told(found))
    assert tally(version.counts[0], None)["quotes"] == 0


class Made:
    """A version of nell and otis that was made of what was stored at some time, and an explorer of it."""

    def __init__(self, database: Database, folder: Path, clock: FakeClock) -> None:
        self.database, self.clock = database, clock
        self.store = TweetStore(database, clock)
        self.shelf = shelf_with(folder / "models", "pair")
        self.explorer = Explorer(self.shelf, database.path, settings())
        self.version = self.shelf.current("pair")

    async def say(self) -> None:
        nell = [*sentences(40), AGAIN, "RT @bob: not mine", "wow", sentences(3)[2].upper()]
        otis = [NEARLY, sentences(40)[3], *sentences(100)[60:]]
        await self.store.add("nell", tweets("nell", nell))
        await self.store.add("otis", tweets("otis", otis))

    async def learn(self, has_splits: bool = True) -> Manifest:
        """The version, of what is stored now; without splits it is an older one."""
        kept = {handle: await self.store.kept(handle, ("nell", "otis")) for handle in ("nell", "otis")}
        made = build(kept, settings(), self.version.base_sha256)
        counts = [counted(await self.store.counts(handle)) for handle in kept]
        old = {"quotes": None, "near_duplicates": None}
        self.version = self.version.model_copy(
            update={
                "handles": ("nell", "otis"),
                "counts": tuple(counts if has_splits else [each.model_copy(update=old) for each in counts]),
                "splits": splits_of(made, tiny_tokenizer(), settings().balance) if has_splits else (),
                "fingerprint": made.fingerprint,
                "tweets_read_at": self.clock(),
                "hyperparameters": settings().model_dump(mode="json"),
            }
        )
        return self.version

    async def look(self) -> Ingredients:
        return await self.explorer.of_version(self.version)


@pytest.fixture
async def made(database: Database, tmp_path: Path, clock: FakeClock) -> Made:
    made = Made(database, tmp_path, clock)
    await made.say()
    return made


async def test_examples_show_which_tweets_went_where(made: Made) -> None:
    await made.learn()
    found = await made.look()
    assert found.stored is Stored.SAME
    assert all(map(adds_up, [*found.accounts, found.together]))
    nell, otis = ({step.name: step for step in account.steps} for account in found.accounts)
    assert nell["retweets"].examples == ("RT @bob: not mine",)
    assert nell["short"].examples == ("wow",)
    assert nell["duplicates"].examples == (sentences(3)[2].upper(),)
    assert nell["known_already"].examples == (AGAIN,)
    assert otis["said_elsewhere"].examples == (sentences(40)[3],)
    assert nell["held_out"].examples == tuple(sentences(40)[:36:-1])
    assert found.accounts[0].boundary == FIRST_DAY + timedelta(days=38)
    assert found.portrait is not None
    assert sum(month.kept for month in found.portrait.months) == sum(
        steps(found.together)[name] for name in ("train", "held_out")
    )


async def test_an_older_version_is_found_out_again_where_its_tweets_are_still_there(made: Made) -> None:
    await made.learn()
    new = await made.look()
    await made.learn(has_splits=False)
    old = await made.look()
    without_tokens = {"tokens"}  # this shelf holds no tokenizer to count them with
    assert [each.model_dump(exclude=without_tokens) for each in old.accounts] == [
        each.model_dump(exclude=without_tokens) for each in new.accounts
    ]


async def test_what_came_since_is_counted_and_changes_nothing_else(made: Made) -> None:
    await made.learn()
    before = await made.look()
    made.clock.advance(hours=1)
    await made.store.add("nell", tweets("nell", sentences(130)[120:], first=200))
    after = await made.look()
    assert (after.stored, after.accounts[0].new, after.accounts[1].new) == (Stored.GROWN, 10, 0)
    assert [account.steps for account in after.accounts] == [account.steps for account in before.accounts]
    assert after.portrait == before.portrait
    assert "10 more to learn from" in told(after)[0]


async def test_tweets_that_were_deleted_are_told_and_shown_no_more(made: Made) -> None:
    await made.learn()
    before = await made.look()
    async with made.database.transaction() as transaction:
        gone = [f"nell{number}" for number in range(30, 41)]
        await made.store.discard_within(transaction, "nell", gone)
    after = await made.look()
    assert after.stored is Stored.CHANGED
    assert steps(after.accounts[0]) == steps(before.accounts[0])
    assert not set(sentences(40)[29:]) & {text for step in after.accounts[0].steps for text in step.examples}


async def test_without_any_stored_tweet_the_numbers_of_the_manifest_remain(made: Made) -> None:
    version = await made.learn()
    await made.store.remove(["nell", "otis"])
    found = await made.look()
    assert (found.stored, found.portrait) == (Stored.GONE, None)
    assert steps(found.together)["downloaded"] == sum(each.downloaded for each in version.counts)
    assert not any(step.examples for account in found.accounts for step in account.steps)


async def test_of_an_adopted_version_nothing_is_known(made: Made) -> None:
    made.version = made.version.model_copy(update={"handles": (), "counts": (), "fingerprint": ""})
    found = await made.look()
    assert (found.stored, found.accounts, found.together.steps) == (Stored.NONE, (), ())
    assert "adopted" in told(found)[0]


async def test_a_look_that_fails_says_so_without_any_text(made: Made, tmp_path: Path) -> None:
    await made.learn()
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"the lamp was lit " * 100)
    made.explorer = Explorer(made.shelf, broken, settings())
    with pytest.raises(PortraitFailed, match="could not be found out") as raised:
        await made.look()
    assert "lamp" not in str(raised.value)
