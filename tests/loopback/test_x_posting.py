"""Posts, answers and mentions on the loopback X, by tweepy's own client."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from bot.loopback.x import LoopbackX
from tests.loopback.x_stage import Caller, Clock, Tweepy, ids

NOT_CALLED = "Reply to this conversation is not allowed because you have not been mentioned or otherwise engaged by"
EVERYTHING = {
    "tweet_fields": ["author_id", "conversation_id", "in_reply_to_user_id", "referenced_tweets", "created_at"],
    "expansions": ["author_id", "referenced_tweets.id", "in_reply_to_user_id"],
    "user_fields": ["username", "verified_type", "description"],
}


@pytest.fixture
async def bird(x_server: LoopbackX) -> AsyncIterator[Tweepy]:
    """tweepy with the keys of the first account."""
    async with aiohttp.ClientSession() as session:
        yield Tweepy(x_server, session, x_server.keys)


async def test_mentions_come_with_who_wrote_them_and_what_they_answer(x_server: LoopbackX, bird: Tweepy) -> None:
    """tweepy reads all that a service wants to know about whoever called it."""
    own = x_server.post_as("Mockingbird", "the lamp is lit")
    answer = x_server.post_as("ada", "beautiful", reply_to=own.id)
    call = x_server.post_as("ada", "@Mockingbird sing")
    page = await bird.get_users_mentions(x_server.account("Mockingbird").id, user_auth=True, **EVERYTHING)
    by_id = {post["id"]: post for post in page["data"]}
    assert ids(page) == [call.id, answer.id]
    assert by_id[answer.id]["conversation_id"] == own.id
    assert by_id[answer.id]["in_reply_to_user_id"] == x_server.account("Mockingbird").id
    assert by_id[answer.id]["referenced_tweets"] == [{"type": "replied_to", "id": own.id}]
    assert "referenced_tweets" not in by_id[call.id]
    users = {user["username"]: user for user in page["includes"]["users"]}
    assert users["ada"]["verified_type"] == "blue"
    assert users["ada"]["description"] == "keeps a lighthouse"
    assert [post["id"] for post in page["includes"]["tweets"]] == [own.id]


async def test_mentions_are_read_page_by_page_from_where_one_was(x_server: LoopbackX, bird: Tweepy) -> None:
    """`since_id` and the token together bring each mention once."""
    old = x_server.post_as("ada", "@Mockingbird hello")
    new = [x_server.post_as("ada", f"@Mockingbird number {n}").id for n in range(12)]
    own_id, seen, token = x_server.account("Mockingbird").id, [], None
    while True:
        page = await bird.get_users_mentions(
            own_id, since_id=old.id, max_results=5, pagination_token=token, user_auth=True
        )
        seen += ids(page)
        token = page["meta"].get("next_token")
        if token is None:
            break
    assert seen == new[::-1]


async def test_a_call_is_answered_once(x_server: LoopbackX, bird: Tweepy) -> None:
    """A second answer to the same post is a 403, even when the first was deleted since."""
    call = x_server.post_as("ada", "@Mockingbird sing")
    first = await bird.create_tweet(text="la", in_reply_to_tweet_id=call.id, user_auth=True)
    second = await bird.create_tweet(text="la la", in_reply_to_tweet_id=call.id, user_auth=True)
    await bird.delete_tweet(first["data"]["id"], user_auth=True)
    third = await bird.create_tweet(text="la la la", in_reply_to_tweet_id=call.id, user_auth=True)
    for refused in (second, third):
        assert (refused["status"], refused["detail"][: len(NOT_CALLED)]) == (403, NOT_CALLED)


async def test_a_call_that_was_edited_is_still_one_call(x_server: LoopbackX, bird: Tweepy) -> None:
    """Its newer version is not answered once more."""
    call = x_server.post_as("ada", "@Mockingbird sign")
    await bird.create_tweet(text="la", in_reply_to_tweet_id=call.id, user_auth=True)
    edited = x_server.edit(call.id, "@Mockingbird sing")
    await bird.create_tweet(text="la la", in_reply_to_tweet_id=edited.id, user_auth=True)
    assert bird.status == 403


async def test_who_answers_or_quotes_the_account_has_called_it(x_server: LoopbackX, bird: Tweepy) -> None:
    """Whoever does neither has not."""
    own = x_server.post_as("Mockingbird", "the lamp is lit")
    answer = x_server.post_as("ada", "beautiful", reply_to=own.id)
    quote = x_server.post_as("ada", "look at that", quotes=own.id)
    silent = x_server.post_as("ada", "a quiet day")
    statuses = []
    for n, post in enumerate((answer, quote, silent)):
        await bird.create_tweet(text=f"answer {n}", in_reply_to_tweet_id=post.id, user_auth=True)
        statuses.append(bird.status)
    assert statuses == [201, 201, 403]


async def test_a_thread_of_ones_own_needs_no_call(x_server: LoopbackX, bird: Tweepy) -> None:
    """As often as one likes."""
    own = x_server.post_as("Mockingbird", "the lamp is lit")
    for text in ("one", "two"):
        await bird.create_tweet(text=text, in_reply_to_tweet_id=own.id, user_auth=True)
        assert bird.status == 201


async def test_an_answer_mentions_whom_it_answers_unless_told_otherwise(x_server: LoopbackX, bird: Tweepy) -> None:
    """`exclude_reply_user_ids` keeps a person out."""
    ada = x_server.account("ada").id
    loud, quiet = (x_server.post_as("ada", f"@Mockingbird {word}") for word in ("sing", "whisper"))
    heard = await bird.create_tweet(text="la", in_reply_to_tweet_id=loud.id, user_auth=True)
    await bird.create_tweet(text="psst", in_reply_to_tweet_id=quiet.id, exclude_reply_user_ids=[ada], user_auth=True)
    assert ids(await bird.get_users_mentions(ada, user_auth=True)) == [heard["data"]["id"]]


async def test_a_text_is_not_posted_twice_by_one_account(x_server: LoopbackX, bird: Tweepy) -> None:
    """Nor as an answer; another account may, and so may the same one when it has deleted the first."""
    call = x_server.post_as("ada", "@Mockingbird sing")
    x_server.post_as("Nell", "la la")
    first = await bird.create_tweet(text="la la", user_auth=True)
    for answered in (None, call.id):
        refused = await bird.create_tweet(text="la la", in_reply_to_tweet_id=answered, user_auth=True)
        assert (bird.status, refused["detail"]) == (
            403,
            "You are not allowed to create a Tweet with duplicate content.",
        )
    await bird.delete_tweet(first["data"]["id"], user_auth=True)
    await bird.create_tweet(text="la la", user_auth=True)
    assert bird.status == 201


async def test_a_quote_by_the_api_is_a_403(x_server: LoopbackX, bird: Tweepy) -> None:
    """X takes none from apps since April 2026."""
    post = x_server.post_as("ada", "@Mockingbird sing")
    await bird.create_tweet(text="look", quote_tweet_id=post.id, user_auth=True)
    assert bird.status == 403


async def test_what_was_deleted_on_x_itself_is_gone_everywhere(x_server: LoopbackX, bird: Tweepy) -> None:
    """From the timeline, the mentions and the look-ups, and nothing is charged for the deletion."""
    post = x_server.post_as("Nell", "@Mockingbird a slip of the pen")
    nell, own = x_server.account("Nell").id, x_server.account("Mockingbird").id
    x_server.delete_behind(post.id)
    looked_up = await bird.get_tweets([post.id], user_auth=True)
    single = await bird.get_tweet(post.id, user_auth=True)
    assert ids(await bird.get_users_tweets(nell, user_auth=True)) == []
    assert ids(await bird.get_users_mentions(own, user_auth=True)) == []
    assert [error["resource_id"] for error in (*looked_up["errors"], *single["errors"])] == [post.id] * 2
    assert x_server.bill() == 0


async def test_an_answer_to_what_is_gone_is_a_403(x_server: LoopbackX, bird: Tweepy) -> None:
    """Deleted meanwhile, or hidden by its author."""
    gone = x_server.post_as("ada", "@Mockingbird sing")
    hidden = x_server.post_as("Nell", "@Mockingbird sing to me")
    x_server.delete_behind(gone.id)
    x_server.protect("Nell")
    for post in (gone, hidden):
        refused = await bird.create_tweet(text=f"la {post.id}", in_reply_to_tweet_id=post.id, user_auth=True)
        assert "deleted or not visible to you" in refused["detail"]


async def test_a_body_of_the_wrong_make_is_a_400(x_server: LoopbackX, x_caller: Caller) -> None:
    """Nothing is published."""
    for wrong in ({"reply": "1"}, {"media": ["1"]}):
        assert (await x_caller.act("POST", "/2/tweets", {"text": "hello", **wrong}))[0] == 400
    assert x_server.timeline("Mockingbird") == ()
    x_server.violations.clear()  # X's document says the same


async def test_a_hundred_posts_are_looked_up_at_once_and_no_more(x_server: LoopbackX) -> None:
    """One more is a 400 that names the parameter."""
    async with aiohttp.ClientSession() as session:
        caller = Caller(x_server, session)
        posts = [x_server.post_as("ada", f"number {n}").id for n in range(101)]
        _, document = await caller.read("/2/tweets", ids=",".join(posts[:100]))
        status, _ = await caller.read("/2/tweets", ids=",".join(posts))
    assert (len(document["data"]), status) == (100, 400)
    x_server.violations.clear()  # X's document says the same


async def test_one_post_is_looked_up_with_its_author(x_server: LoopbackX, bird: Tweepy) -> None:
    """tweepy's `get_tweet`."""
    post = x_server.post_as("ada", "a quiet day")
    document = await bird.get_tweet(post.id, expansions=["author_id"], user_auth=True)
    assert document["data"]["text"] == "a quiet day"
    assert document["includes"]["users"][0]["username"] == "ada"


# Accounts change


async def test_a_renamed_account_keeps_its_posts_and_its_mentions(x_server: LoopbackX, bird: Tweepy) -> None:
    """Under the new handle, by the same id."""
    own = x_server.account("Mockingbird").id
    call = x_server.post_as("ada", "@Mockingbird sing")
    post = x_server.post_as("Mockingbird", "the lamp is lit")
    x_server.rename("Mockingbird", "Songbird")
    assert (await bird.get_me(user_auth=True))["data"]["username"] == "Songbird"
    assert ids(await bird.get_users_mentions(own, user_auth=True)) == [call.id]
    assert ids(await bird.get_users_tweets(own, user_auth=True)) == [post.id]
    await bird.create_tweet(text="la", in_reply_to_tweet_id=call.id, user_auth=True)
    assert bird.status == 201
    assert x_server.find_account("Mockingbird") is None


async def test_posts_of_a_closed_door_are_errors_beside_the_others(x_server: LoopbackX, x_caller: Caller) -> None:
    """Protected, suspended and deleted accounts are left out of a look-up, each with its reason."""
    posts = {handle: x_server.post_as(handle, "hello").id for handle in ("Mockingbird", "Nell", "Ferry", "ada")}
    x_server.protect("Nell")
    x_server.suspend("Ferry")
    x_server.close_account("ada")
    _, document = await x_caller.read("/2/tweets", ids=",".join(posts.values()))
    assert ids(document) == [posts["Mockingbird"]]
    assert {error["resource_id"]: error["title"] for error in document["errors"]} == {
        posts["Nell"]: "Authorization Error",
        posts["Ferry"]: "Authorization Error",
        posts["ada"]: "Not Found Error",
    }


async def test_what_a_closed_account_wrote_is_missing_around_an_answer(x_server: LoopbackX, bird: Tweepy) -> None:
    """The answer is shown, the rest stands in `errors`."""
    question = x_server.post_as("ada", "who is there?")
    answer = x_server.post_as("Mockingbird", "only me", reply_to=question.id)
    x_server.close_account("ada")
    page = await bird.get_users_tweets(x_server.account("Mockingbird").id, user_auth=True, **EVERYTHING)
    assert ids(page) == [answer.id]
    assert {error["title"] for error in page["errors"]} == {"Not Found Error"}
    assert [user["username"] for user in page["includes"]["users"]] == ["Mockingbird"]


async def test_a_suspended_account_may_do_nothing(x_server: LoopbackX, bird: Tweepy) -> None:
    """Until X opens it again."""
    x_server.suspend("Mockingbird")
    refused = await bird.create_tweet(text="hello?", user_auth=True)
    assert (bird.status, "suspended" in refused["detail"]) == (403, True)
    x_server.suspend("Mockingbird", suspended=False)
    await bird.create_tweet(text="hello!", user_auth=True)
    assert bird.status == 201


async def test_keys_of_a_closed_account_are_refused(x_server: LoopbackX, bird: Tweepy) -> None:
    """As if they had never been."""
    x_server.close_account("Mockingbird")
    await bird.get_me(user_auth=True)
    assert bird.status == 401


async def test_a_protected_account_reads_itself(x_server: LoopbackX, bird: Tweepy, x_caller: Caller) -> None:
    """Others can't."""
    post = x_server.post_as("Mockingbird", "for friends")
    x_server.protect("Mockingbird")
    path = x_server.account("Mockingbird").id
    assert ids(await bird.get_users_tweets(path, user_auth=True)) == [post.id]
    _, document = await x_caller.read(f"/2/users/{path}/tweets")
    assert document["errors"][0]["title"] == "Authorization Error"


# Many


async def test_a_month_of_three_accounts_is_read_to_the_end(x_server: LoopbackX, bird: Tweepy, x_clock: Clock) -> None:
    """720 posts of each and 2,000 mentions; X reaches back to the newest 800 of those."""
    for hour in range(720):
        x_clock.move(hours=1)
        for handle in ("Mockingbird", "Nell", "Ferry"):
            x_server.post_as(handle, f"{handle} at hour {hour}")
    calls = [x_server.post_as("ada", f"@Mockingbird call {n}").id for n in range(2_000)]
    own, seen, token = x_server.account("Mockingbird").id, [], None
    while True:
        page = await bird.get_users_mentions(own, max_results=100, pagination_token=token, user_auth=True)
        seen += ids(page)
        token = page["meta"].get("next_token")
        if token is None:
            break
    assert seen == calls[: -800 - 1 : -1]
    assert len(x_server.timeline("Nell")) == 720
