"""X's API v2: reading accounts and timelines, posting, deleting, asking what is still there.

How a request is made is told by `x_requests`, what bodies mean by `x_bodies`, what refusals mean by `x_refusals`.

Nothing here waits. A used-up window is an `XRateLimited` with the time at which it ends, and whoever called decides.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Self

import aiohttp

from bot.errors import ConfigError, UnknownHandle, XError, XKeysRefused, XUnreachable
from bot.tweets.x_bodies import (
    TWEET,
    ComplianceJob,
    Standing,
    TimelinePage,
    Vocabulary,
    XUser,
    read_handles,
    read_job,
    read_job_results,
    read_missing,
    read_page,
    read_standings,
    read_user,
)
from bot.tweets.x_mentions import EXPANSIONS, FIELDS, Author, MentionPage, read_authors, read_mentions
from bot.tweets.x_refusals import CONSOLE, USER_KEYS
from bot.tweets.x_requests import API_BASE, ReroutedClient, UserToken, XKeys, cap_logging, web_address
from bot.tweets.x_windows import Windows

_HANDLE = re.compile(r"[A-Za-z0-9_]{1,15}")  # X's OpenAPI document, UserName
_POST_ID = re.compile(r"[0-9]{1,19}")
PAGE_SIZE = 100  # the most that X gives at once, of posts and of accounts
_CONNECT_S = 10.0


class XClient:
    """Reads from X and posts to it; an async context manager that owns its HTTP session.

    Errors of every method: `XKeysRefused`, `XCreditsDepleted`, `XRateLimited` and `XUnreachable`; `ConfigError` when
    the keys that it needs are not set.
    """

    def __init__(
        self,
        keys: XKeys,
        api_base: str = API_BASE,
        vocabulary: Vocabulary = TWEET,
        *,
        timeout_s: float = 30.0,
        login: UserToken | None = None,
        windows: Windows | None = None,
    ) -> None:
        """`api_base` is an address such as https://api.x.com, else `ConfigError`; `timeout_s` is for one request.

        `login` takes the place of the four keys of a user. `windows` remembers how many requests X takes yet, so that
        one that it would refuse is not sent; without it each is.
        """
        self.vocabulary = vocabulary  # in which posts are asked for
        self._keys = keys
        self._login = login
        self._windows = windows
        self._api_base = web_address(api_base)
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(_CONNECT_S, timeout_s))
        self._session: aiohttp.ClientSession | None = None
        self._tweepy: Any = None

    async def __aenter__(self) -> Self:
        cap_logging()
        self._session = aiohttp.ClientSession(timeout=self._timeout, cookie_jar=aiohttp.DummyCookieJar())
        # aiohttp sends a GET or DELETE whose connection broke once more by itself, with the same signature, which X
        # refuses; and a post that the first one has deleted would look as if it had been gone before.
        self._session._retry_connection = False
        self._tweepy = ReroutedClient(
            self._keys, self._api_base, self._session, self.vocabulary, self._login, self._windows
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    @property
    def can_post(self) -> bool:
        """Whether a user's keys or login are there; without, posting and deleting are refused with `ConfigError`."""
        return self._login is not None or self._keys.can_post

    @property
    def own_id(self) -> str | None:
        """The id of the account that posts and whose own timeline is read at the lower price; None without its keys."""
        if self._login is not None:
            return self._login.user_id or None
        return self._keys.own_id if self._keys.can_post else None

    async def user(self, handle: str) -> XUser:
        """The account of this handle; `UnknownHandle` when there is none, `XAccountUnavailable` when suspended.

        Costs one user read. A protected account is returned, and says so; its posts can't be read.
        """
        name = handle.strip().removeprefix("@")
        if not _HANDLE.fullmatch(name):
            raise UnknownHandle(f"{name!r} can't be a handle on X: one has 1 to 15 letters, digits and underscores.")
        fields = ["protected", "public_metrics"]
        document = await self._tweepy.get_user(username=name, user_fields=fields, user_auth=self._reads_as_user())
        return read_user(document, name)

    async def me(self) -> XUser:
        """The account that posts. Costs one user read."""
        self._need_user_keys("Asking X who posts")
        document = await self._tweepy.get_me(user_fields=["protected", "public_metrics"], user_auth=True)
        if "data" not in document:
            raise XKeysRefused(f"X does not say whose keys these are; create new ones in {CONSOLE}.")
        return read_user(document, "me")

    async def timeline_page(
        self,
        user_id: str,
        *,
        handle: str,
        since_id: str | None = None,
        pagination_token: str | None = None,
        whole_retweets: bool = True,
    ) -> TimelinePage:
        """Up to 100 posts of an account, the newest first: those after `since_id`, or the page that the token names.

        `handle` is what the tweets are filed under. With `whole_retweets` the posts referred to come along and are
        billed; without, retweets stay cut off and cost nothing more, unless the vocabulary tells of references only by
        bringing the posts (`references_are_billed`). An account's own posts are read with its own
        keys when those are there, since X then charges a fifth. `XAccountUnavailable` when the account is protected or
        suspended, `UnknownHandle` when it is gone.
        """
        owned = user_id == self.own_id
        words = self.vocabulary
        document = await self._tweepy.get_users_tweets(
            user_id,
            max_results=PAGE_SIZE,
            since_id=since_id,
            pagination_token=pagination_token,
            tweet_fields=list(words.fields),
            expansions=[words.expansion] if whole_retweets or words.references_are_billed else None,
            user_auth=owned or self._reads_as_user(),
        )
        return read_page(document, handle, owned=owned)

    async def mentions_page(
        self, *, since_id: str | None, start_time: datetime | None = None, pagination_token: str | None = None
    ) -> MentionPage:
        """Up to 100 posts that mention the account of these keys, the newest first: those after `since_id`, or after
        `start_time` (UTC), or the page that the token names.

        Asked for with the account's own keys, since its owner reads them at the lower price.
        """
        self._need_user_keys("Reading mentions")
        words = self.vocabulary.name
        document = await self._tweepy.get_users_mentions(
            self.own_id,
            max_results=PAGE_SIZE,
            since_id=since_id,
            start_time=start_time.strftime("%Y-%m-%dT%H:%M:%SZ") if start_time else None,
            pagination_token=pagination_token,
            tweet_fields=list(FIELDS[words]),
            expansions=list(EXPANSIONS[words]) or None,
            user_auth=True,
        )
        return read_mentions(document, "me")

    async def authors(self, user_ids: Sequence[str]) -> dict[str, Author]:
        """Up to 100 accounts by id, with what they say about themselves; those that are gone are left out.

        Costs one user read for each.
        """
        document = await self._tweepy.get_users(
            ids=list(user_ids), user_fields=["description", "protected"], user_auth=self._reads_as_user()
        )
        return read_authors(document)

    async def standings(self, user_ids: Sequence[str]) -> tuple[dict[str, Standing], dict[str, str]]:
        """How up to 100 accounts stand, by id, and what those that are shown are called now; one of which X says
        nothing is left out.

        Costs one user read for each account that is shown, open or protected.
        """
        document = await self._tweepy.get_users(
            ids=list(user_ids), user_fields=["protected"], user_auth=self._reads_as_user()
        )
        return read_standings(document), read_handles(document)

    async def posts(self, post_ids: Sequence[str], *, handle: str) -> tuple[TimelinePage, frozenset[str]]:
        """Up to 100 posts of one account that still stand, and the ids of those that are shown no more.

        They come with their ids and texts alone. Costs one post read for each post that stands.
        """
        document = await self._tweepy.get_tweets(list(post_ids), user_auth=self._reads_as_user())
        if "data" not in document:  # all are gone
            document = {**document, "meta": {}, "data": []}
        missing = read_missing(document) & set(post_ids)
        return read_page({key: value for key, value in document.items() if key != "errors"}, handle), missing

    async def posts_read(self) -> int:
        """How many posts X has counted as read by the app's project since its month began. Costs nothing."""
        self._need_bearer("Asking X what it has counted")
        answer = await self._tweepy.request("GET", "/2/usage/tweets")
        usage = str((answer.document.get("data") or {}).get("project_usage", ""))
        if not usage.isdecimal():
            raise XError("X does not say how many posts it has counted; look at the console.")
        return int(usage)

    async def create_job(self) -> ComplianceJob:
        """Begin to ask which of many posts are still there; the ids are then to be uploaded within 15 minutes.

        Needs a bearer token, else `ConfigError`. `XKeysRefused` when the app's access does not cover it, `XError` while
        an earlier job of the app is under way.
        """
        self._need_bearer()
        job = read_job(await self._tweepy.create_compliance_job("tweets", name="mockingbird"))
        if job is None:
            raise XError("X did not say which compliance job it began; it is tried again later.")
        return job

    async def job(self, job_id: str) -> ComplianceJob | None:
        """How a job stands; None when X knows it no more."""
        self._need_bearer()
        return read_job(await self._tweepy.get_compliance_job(job_id))

    async def upload(self, job: ComplianceJob, post_ids: Sequence[str]) -> None:
        """Hand over the ids that the job is about."""
        await self._tweepy.transfer("PUT", job.upload_url, "".join(f"{each}\n" for each in post_ids).encode())

    async def results(self, job: ComplianceJob) -> frozenset[str]:
        """The ids of posts whose stored copies have to go, once the job is complete."""
        text = await self._tweepy.transfer("GET", job.download_url)
        try:
            return read_job_results(text)
        except (ValueError, KeyError, AttributeError) as error:
            raise XUnreachable("X's list of deleted posts can't be read; it is fetched again later.", False) from error

    async def post(self, text: str, reply_to: str | None = None, media_ids: Sequence[str] = ()) -> str:
        """Publish a text, as an answer to the post `reply_to` when given, with pictures that were uploaded, and return
        the new post's id.

        `XPostRefused` when X will not publish it. After an `XUnreachable` with `outcome_unknown` it may stand there.
        """
        self._need_user_keys("Posting")
        document = await self._tweepy.create_tweet(
            text=text, in_reply_to_tweet_id=reply_to, media_ids=list(media_ids) or None, user_auth=True
        )
        return _post_id(document, "post")

    async def upload_picture(self, data: bytes, media_type: str, alt_text: str = "") -> str:
        """Hand over a picture, which X keeps for a day unless it is posted, and what is to be seen on it; its id.

        It is nowhere to be seen until then, so it may be done again. Costs nothing.
        """
        self._need_user_keys("Uploading a picture")
        body = {"media": b64encode(data).decode(), "media_category": "tweet_image", "media_type": media_type}
        answer = await self._tweepy.request("POST", "/2/media/upload", json=body, user_auth=True)
        media_id = ((await answer.json()).get("data") or {}).get("id")
        if not isinstance(media_id, str):
            raise XUnreachable("X did not take the picture and does not say why; it is tried again later.", False)
        if alt_text:
            described = {"id": media_id, "metadata": {"alt_text": {"text": alt_text}}}
            await self._tweepy.request("POST", "/2/media/metadata", json=described, user_auth=True)
        return media_id

    async def reply(self, text: str, mention_id: str, bystanders: Collection[str]) -> str:
        """Answer a post and return the answer's id; X is told to leave out all other people in the conversation, the
        `bystanders`. Raises as `post` does.
        """
        self._need_user_keys("Replying")
        document = await self._tweepy.create_tweet(
            text=text,
            in_reply_to_tweet_id=mention_id,
            exclude_reply_user_ids=sorted(bystanders) or None,
            user_auth=True,
        )
        return _post_id(document, "reply")

    async def delete(self, post_id: str) -> bool:
        """Delete a post of the account that posts; False where it was gone already, which costs nothing."""
        self._need_user_keys("Deleting a post")
        if not _POST_ID.fullmatch(post_id):
            raise XError(f"{post_id!r} can't be a post on X: an id has 1 to 19 digits.")
        document = await self._tweepy.delete_tweet(post_id, user_auth=True)
        gone = any(str(error.get("type", "")).endswith("resource-not-found") for error in document.get("errors", ()))
        if not gone and not (document.get("data") or {}).get("deleted"):
            raise XError("X did not delete the post and does not say why; look at it in a browser.")
        return not gone

    def _reads_as_user(self) -> bool:
        if self._keys.bearer_token:
            return False
        if not self.can_post:
            raise ConfigError(f"Reading from X needs the variable that [x] bearer_token_env names, or {USER_KEYS}.")
        return True

    def _need_bearer(self, purpose: str = "Asking X for a compliance job") -> None:
        if not self._keys.bearer_token:
            raise ConfigError(f"{purpose} needs the variable that [x] bearer_token_env names; set it.")

    def _need_user_keys(self, purpose: str) -> None:
        if not self.can_post:
            raise ConfigError(f"{purpose} needs {USER_KEYS}, or a login (mockingbird login x); set them.")


def _post_id(document: dict[str, Any], what: str) -> str:
    """The id of what was published."""
    post_id = (document.get("data") or {}).get("id")
    if not isinstance(post_id, str):
        raise XUnreachable(f"X did not say what became of the {what}; look at the timeline before trying again.", True)
    return post_id
