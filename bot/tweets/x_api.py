"""X's API v2: reading accounts and timelines, posting, deleting. The only module that knows tweepy.

The upper half is values and pure functions: what a body means, what a refusal means, what a request costs. The lower
half does: `XClient` over tweepy's `AsyncClient`, with a session and a base address of ours.

Nothing here waits. A used-up window is an `XRateLimited` with the time at which it ends, and whoever called decides.
Every failure is one exception of our tree with one sentence, and no sentence holds a credential.

What it does not know: the vocabulary of the API from version 2.160 on (`post.fields`, `referenced_posts`); search,
streams and media. `note_tweet` follows X's OpenAPI document alone, since no recorded answer with it was found.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import quote, urlencode

import aiohttp
from oauthlib.oauth1 import Client as Signer
from tweepy.asynchronous import AsyncClient
from yarl import URL

from bot.config import Prices
from bot.errors import (
    ConfigError,
    MockingbirdError,
    UnknownHandle,
    XAccountUnavailable,
    XCreditsDepleted,
    XError,
    XKeysRefused,
    XPostRefused,
    XRateLimited,
    XUnreachable,
)
from bot.tweets.tweet import Source, Tweet, normalise_handle

API_BASE = "https://api.x.com"

_Document = Mapping[str, Any]  # a parsed JSON object

_HANDLE = re.compile(r"[A-Za-z0-9_]{1,15}")  # X's OpenAPI document, UserName
_POST_ID = re.compile(r"[0-9]{1,19}")
_RETWEET_PREFIX = re.compile(r"RT @\w{1,15}: ")
PAGE_SIZE = 100  # the most that X gives at once
_CONNECT_S = 10.0
_CONSOLE = "the developer console (console.x.com)"
_USER_KEYS = "the four variables that [x] consumer_key_env, consumer_secret_env, access_token_env and " \
    "access_token_secret_env name"  # fmt: skip


# Values


@dataclass(frozen=True, slots=True)
class XKeys:
    """Credentials from the environment. They are left out of `repr`, and so out of logs."""

    bearer_token: str | None = field(default=None, repr=False)  # of the app; reads
    consumer_key: str | None = field(default=None, repr=False)  # of the app, OAuth 1.0a
    consumer_secret: str | None = field(default=None, repr=False)
    access_token: str | None = field(default=None, repr=False)  # of the account that posts
    access_token_secret: str | None = field(default=None, repr=False)

    @property
    def can_post(self) -> bool:
        """Whether all four keys of a user are there."""
        return all((self.consumer_key, self.consumer_secret, self.access_token, self.access_token_secret))

    @property
    def own_id(self) -> str | None:
        """The id of the account that posts: X's access tokens begin with it. None when there is no such token."""
        digits = (self.access_token or "").partition("-")[0]
        return digits if digits.isdecimal() else None

    @property
    def values(self) -> tuple[str, ...]:
        """All that must never be shown."""
        keys = (self.bearer_token, self.consumer_key, self.consumer_secret, self.access_token, self.access_token_secret)
        return tuple(key for key in keys if key)


@dataclass(frozen=True, slots=True)
class XUser:
    """An account on X."""

    id: str  # decimal digits
    handle: str  # as its owner writes it, without @
    name: str  # the display name
    protected: bool  # only approved followers may read its posts
    tweet_count: int | None  # posts including retweets, of which at most the newest 3,200 can be read


@dataclass(frozen=True, slots=True)
class TimelinePage:
    """One page of a timeline, and what X charges for it."""

    tweets: tuple[Tweet, ...]  # the newest first; may be empty although there are further pages
    next_token: str | None  # of the next, older page; None on the last one
    newest_id: str | None  # of this page; None when it is empty
    superseded: frozenset[str]  # ids of earlier versions of edited posts; what is stored under them is out of date
    post_ids: frozenset[str]  # of the posts on the page; billed
    included_ids: frozenset[str]  # of further posts that came along, such as originals of retweets; billed
    user_ids: frozenset[str]  # of accounts that came along; billed
    owned: bool  # read by the owner of the timeline, at X's lower price

    @property
    def reads(self) -> int:
        """The number of resources that X charges for, were nothing of it read earlier on this UTC day."""
        return len(self.post_ids | self.included_ids) + len(self.user_ids)

    def cost(self, prices: Prices) -> Decimal:
        """US dollars for these reads, were nothing of it read earlier on this UTC day."""
        posts = len(self.post_ids) * (prices.owned_read if self.owned else prices.post_read)
        included = len(self.included_ids - self.post_ids) * prices.post_read
        return posts + included + len(self.user_ids) * prices.user_read


def fetch_cost(expected_posts: int, prices: Prices, *, whole_retweets: bool = True, owned: bool = False) -> Decimal:
    """The most that looking an account up and reading this many of its posts costs, in US dollars.

    With `whole_retweets` each post is reckoned with another one that it refers to and brings along, since X charges
    "per resource returned"; where posts refer to nothing it is about half. `owned`: see `XClient.timeline_page`.
    """
    each = prices.owned_read if owned else prices.post_read
    return prices.user_read + expected_posts * (each + (prices.post_read if whole_retweets else 0))


# What a body means


def read_user(document: _Document, handle: str) -> XUser:
    """The account in a body of X; raises what its `errors` say when there is none. `handle` names it in the error."""
    data = document.get("data")
    if not isinstance(data, dict):
        raise unavailable_account(document, handle)
    return XUser(
        id=data["id"],
        handle=data["username"],
        name=data["name"],
        protected=bool(data.get("protected")),
        tweet_count=data.get("public_metrics", {}).get("tweet_count"),
    )


def read_page(document: _Document, handle: str, *, owned: bool = False) -> TimelinePage:
    """The page in a body of X.

    A retweet is taken whole from `includes` and keeps its "RT @name: ". `errors` beside `data` are about things that
    the page merely refers to, and are passed over; in place of `data` they are raised when they are about the account.
    """
    posts = document.get("data", [])
    meta = document.get("meta", {})
    if not posts and not meta and document.get("errors"):
        raise unavailable_account(document, handle)
    includes = document.get("includes", {})
    included = {post["id"]: post for post in includes.get("tweets", ())}
    versions = {version for post in posts for version in post.get("edit_history_tweet_ids", ())}
    ids = frozenset(post["id"] for post in posts)
    return TimelinePage(
        tweets=tuple(_read_post(post, included, normalise_handle(handle)) for post in posts),
        next_token=meta.get("next_token"),
        newest_id=meta.get("newest_id"),
        superseded=frozenset(versions) - ids,
        post_ids=ids,
        included_ids=frozenset(included),
        user_ids=frozenset(user["id"] for user in includes.get("users", ())),
        owned=owned,
    )


def _read_post(post: _Document, included: Mapping[str, _Document], handle: str) -> Tweet:
    references = {reference["type"]: reference["id"] for reference in post.get("referenced_tweets", ())}
    text = _whole_text(post)
    original = included.get(references.get("retweeted", ""))
    prefix = _RETWEET_PREFIX.match(text)
    if original is not None and prefix is not None:
        text = prefix.group() + _whole_text(original)
    created_at = post.get("created_at")
    return Tweet(
        handle=handle,
        text=text,
        id=post["id"],
        created_at=datetime.fromisoformat(created_at).astimezone(UTC) if created_at else None,
        is_retweet="retweeted" in references,
        reply_to=references.get("replied_to"),
        source=Source.X_API,
    )


def _whole_text(post: _Document) -> str:
    note: str | None = post.get("note_tweet", {}).get("text")
    text: str = post["text"]
    return note or text


def unavailable_account(document: _Document, handle: str) -> MockingbirdError:
    """What the `errors` of a 200 say about an account: protected, suspended, or not there."""
    errors = [error for error in document.get("errors", ()) if isinstance(error, dict)]
    if any(str(error.get("type", "")).endswith("not-authorized-for-resource") for error in errors):
        return XAccountUnavailable(
            f"The account @{handle} is protected, so its posts can't be read; "
            f"its owner can import the archive that X gives out (mockingbird import)."
        )
    if any("suspended" in str(error.get("detail", "")).lower() for error in errors):
        return XAccountUnavailable(
            f"X has suspended the account @{handle}, so its posts can't be read; leave it out until X restores it."
        )
    return UnknownHandle(f"X has no account @{handle}; check the spelling, or whether it was renamed or deleted.")


# What a refusal means


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of X as it came in."""

    status: int
    headers: Mapping[str, str]  # looked up in lower case
    content_type: str
    document: Any  # the parsed body; None when it is not JSON
    host: str  # that was asked
    writes: bool  # something was to be posted or deleted

    async def json(self) -> Any:
        """The body, under the name by which tweepy asks for it."""
        return self.document

    @property
    def detail(self) -> str:
        """X's own words about what is wrong, on one line; empty when it has none."""
        body = self.document if isinstance(self.document, dict) else {}
        errors = [error for error in body.get("errors", ()) if isinstance(error, dict)]
        messages = [str(error["message"]) for error in errors if "message" in error]
        words = "; ".join(messages) or body.get("detail") or body.get("title") or ""
        return " ".join(str(words).split())[:300]

    @property
    def kind(self) -> str:
        """The last part of X's problem type, such as "usage-capped"; empty when it has none."""
        body = self.document if isinstance(self.document, dict) else {}
        return str(body.get("type", "")).rpartition("/2/problems/")[2]


def refusal(answer: Answer) -> XError | None:
    """What an answer means that is not what was asked for; None when it is a JSON object with a status of 2xx."""
    if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        return None if isinstance(answer.document, dict) else _not_x(answer)
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return XKeysRefused(
            "X does not accept the keys (401); put valid ones into the variables that the [x] section names, "
            "and check that this machine's clock is right."
        )
    if answer.status == HTTPStatus.PAYMENT_REQUIRED:
        return XCreditsDepleted(f"The X app has no credits left (402); buy some in {_CONSOLE} and try again.")
    if answer.status == HTTPStatus.FORBIDDEN:
        return _forbidden(answer)
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return _limited(answer)
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return XUnreachable(
            f"X is overloaded or down ({answer.status}); try again in a few minutes{_doubt(answer.writes)}.",
            answer.writes,
        )
    return _misunderstood(answer)


def _not_x(answer: Answer) -> XError:
    return XUnreachable(
        f"What answers at {answer.host} is not X ({answer.status}, {answer.content_type}); "
        f"check [x] api_base and any proxy or sign-in page in between{_doubt(answer.writes)}.",
        answer.writes,
    )


def _doubt(writes: bool) -> str:
    """What has to be added when something may have been written."""
    return ", and look at the timeline first, since it may have been done" if writes else ""


# Problem types and words of a 403, the exception, and the sentence. The first that fits is taken.
_FORBIDDEN: tuple[tuple[str, str, type[XError], str], ...] = (
    (
        "client-forbidden", "", XKeysRefused,
        f"The app of these X keys belongs to no project (403); attach it to one in {_CONSOLE} and create new keys.",
    ),
    (
        "oauth1-permissions", "", XKeysRefused,
        f"The X app may only read (403); give it the permission to read and write in {_CONSOLE}, "
        "then create a new access token and secret.",
    ),
    (
        "unsupported-authentication", "", XKeysRefused,
        f"X does not accept a bearer token for this (403); set {_USER_KEYS}.",
    ),
    (
        "", "duplicate content", XPostRefused,
        "This account has posted this text before, so X did not publish it again (403); choose another draft.",
    ),
    (
        "", "too long", XPostRefused,
        "The text is longer than X allows, so it was not published (403); choose a shorter draft.",
    ),
    (
        "", "reply to this conversation is not allowed", XPostRefused,
        "X lets an app answer only somebody who mentioned or quoted its account, so the reply was not published (403); "
        "answer a mention instead.",
    ),
    (
        "", "deleted or not visible", XPostRefused,
        "The post to be answered is deleted or hidden, so the reply was not published (403); let it go.",
    ),
    (
        "", "suspended", XKeysRefused,
        "X has suspended the account of these keys (403); sign in with a browser and follow what X says there.",
    ),
    (
        "", "locked", XKeysRefused,
        "X has locked the account of these keys (403); sign in with a browser and follow what X says there.",
    ),
    (
        "", "not permitted", XError,
        "X did not permit this and does not say why (403): mostly its protection against spam; wait a few hours, "
        f"then look at the account in a browser and at the app in {_CONSOLE}.",
    ),
)  # fmt: skip


def _forbidden(answer: Answer) -> XError:
    if answer.kind == "usage-capped":
        return _limited(answer)
    words = answer.detail.lower()
    for kind, phrase, exception, sentence in _FORBIDDEN:
        if (kind and kind == answer.kind) or (phrase and phrase in words):
            return exception(sentence)
    return XError(f"X refused this (403, {answer.detail or 'no reason given'}); look at the app in {_CONSOLE}.")


def _limited(answer: Answer) -> XRateLimited:
    if answer.kind == "usage-capped":
        period = "monthly" if "monthly" in answer.detail.lower() else "daily"
        return XRateLimited(
            f"The X app's {period} cap is used up ({answer.status}); raise it in {_CONSOLE} or wait until it is over.",
            None,
        )
    for prefix, span in (
        ("x-user-limit-24hour", "today"), ("x-app-limit-24hour", "today"), ("x-rate-limit", "now")
    ):  # fmt: skip
        resets_at = _moment(answer.headers.get(f"{prefix}-reset"))
        if resets_at is not None and (span == "now" or answer.headers.get(f"{prefix}-remaining") == "0"):
            return XRateLimited(
                f"X takes no more requests of this kind for {span} ({answer.status}); "
                f"try again after {resets_at:%Y-%m-%d %H:%M:%S} UTC.",
                resets_at,
            )
    return XRateLimited(
        f"X takes no more requests of this kind for now ({answer.status}) and does not say until when; "
        "try again in a quarter of an hour.",
        None,
    )


def _moment(seconds: str | None) -> datetime | None:
    return datetime.fromtimestamp(int(seconds), UTC) if seconds is not None and seconds.isdecimal() else None


def _misunderstood(answer: Answer) -> XError:
    if "too long" in answer.detail.lower():
        return XPostRefused(
            f"The text is longer than X allows, so it was not published ({answer.status}); choose a shorter draft."
        )
    if answer.status == HTTPStatus.NOT_FOUND or answer.status < HTTPStatus.BAD_REQUEST:
        return XError(f"{answer.host} has no such address ({answer.status}); check [x] api_base.")
    return XError(
        f"X did not understand the request ({answer.status}, {answer.detail or 'no reason given'}); "
        "if it happens again, it is a fault of this program: please report it."
    )


def broken_connection(error: aiohttp.ClientError | TimeoutError, host: str, writes: bool) -> XUnreachable:
    """What a failure of the network means. Before a connection stands nothing was sent, so nothing was written."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return XUnreachable(f"The name {host} can't be found; check [x] api_base and this machine's network.", False)
    if isinstance(error, aiohttp.ClientSSLError):
        return XUnreachable(
            f"The certificate of {host} can't be trusted; check this machine's clock and any proxy in between.", False
        )
    if isinstance(error, aiohttp.ClientConnectorError):
        return XUnreachable(f"{host} accepts no connection; check [x] api_base and this machine's network.", False)
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return XUnreachable(f"{host} can't be reached in time; check this machine's network.", False)
    if isinstance(error, TimeoutError):
        return XUnreachable(f"{host} did not answer in time; try again in a few minutes{_doubt(writes)}.", writes)
    return XUnreachable(
        f"The connection to {host} broke before the answer came; try again in a few minutes{_doubt(writes)}.", writes
    )


# Doing


class _ReroutedClient(AsyncClient):  # type: ignore[misc]  # tweepy publishes no types
    """tweepy's client with our session, our host, our errors, and without its logging of headers.

    tweepy 4.17 keeps the host as a constant inside `request`, so that method is replaced as a whole; everything above
    it (routes, parameters, bodies) stays tweepy's.
    """

    def __init__(self, keys: XKeys, api_base: str, session: aiohttp.ClientSession) -> None:
        super().__init__(
            keys.bearer_token,
            keys.consumer_key,
            keys.consumer_secret,
            keys.access_token,
            keys.access_token_secret,
            return_type=dict,
            wait_on_rate_limit=False,
        )
        self.session = session
        self._keys = keys
        self._api_base = api_base

    async def request(
        self,
        method: str,
        route: str,
        params: Mapping[str, object] | None = None,
        json: object = None,
        user_auth: bool = False,
    ) -> Answer:
        """Send one request and return X's answer, or raise what it means."""
        query = urlencode(sorted((params or {}).items()), quote_via=quote)
        address = self._api_base + route + (f"?{query}" if query else "")
        headers = {"User-Agent": self.user_agent, "Authorization": f"Bearer {self.bearer_token}"}
        if user_auth:
            signer = Signer(self.consumer_key, self.consumer_secret, self.access_token, self.access_token_secret)
            address, headers, _ = signer.sign(address, method, headers={"User-Agent": self.user_agent})
        answer = await self._send(method, address, headers, json)
        error = refusal(answer)
        if error is not None:
            raise error
        return answer

    async def _send(self, method: str, address: str, headers: Mapping[str, str], body: object) -> Answer:
        writes = method != "GET"
        host = str(URL(self._api_base).host)
        try:
            # Redirections are not followed: they would carry the credentials to wherever they point.
            async with self.session.request(
                method, URL(address, encoded=True), json=body, headers=headers, allow_redirects=False
            ) as response:
                text = (await response.read()).decode("utf-8", "replace")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise broken_connection(error, host, writes) from error
        for key in self._keys.values:
            text = text.replace(key, "…")
        return Answer(response.status, response.headers, response.content_type, _parsed(text), host, writes)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


class XClient:
    """Reads from X and posts to it; an async context manager that owns its HTTP session.

    Errors of every method: `XKeysRefused`, `XCreditsDepleted`, `XRateLimited` and `XUnreachable`; `ConfigError` when
    the keys that it needs are not set.
    """

    def __init__(self, keys: XKeys, api_base: str = API_BASE, *, timeout_s: float = 30.0) -> None:
        """`api_base` is an address such as https://api.x.com, else `ConfigError`; `timeout_s` is for one request."""
        self._keys = keys
        self._api_base = _address(api_base)
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(_CONNECT_S, timeout_s))
        self._session: aiohttp.ClientSession | None = None
        self._tweepy: Any = None

    async def __aenter__(self) -> Self:
        _cap_logging(("tweepy", "oauthlib"))
        self._session = aiohttp.ClientSession(timeout=self._timeout, cookie_jar=aiohttp.DummyCookieJar())
        self._tweepy = _ReroutedClient(self._keys, self._api_base, self._session)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    @property
    def can_post(self) -> bool:
        """Whether the keys of a user are there; without them posting and deleting are refused with `ConfigError`."""
        return self._keys.can_post

    @property
    def own_id(self) -> str | None:
        """The id of the account that posts and whose own timeline is read at the lower price; None without its keys."""
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
            raise XKeysRefused(f"X does not say whose keys these are; create new ones in {_CONSOLE}.")
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
        billed; without, retweets stay cut off and cost nothing more. An account's own posts are read with its own
        keys when those are there, since X then charges a fifth. `XAccountUnavailable` when the account is protected or
        suspended, `UnknownHandle` when it is gone.
        """
        owned = user_id == self.own_id
        document = await self._tweepy.get_users_tweets(
            user_id,
            max_results=PAGE_SIZE,
            since_id=since_id,
            pagination_token=pagination_token,
            tweet_fields=["created_at", "note_tweet", "referenced_tweets"],
            expansions=["referenced_tweets.id"] if whole_retweets else None,
            user_auth=owned or self._reads_as_user(),
        )
        return read_page(document, handle, owned=owned)

    async def post(self, text: str, reply_to: str | None = None) -> str:
        """Publish a text, as an answer to the post `reply_to` when given, and return the new post's id.

        `XPostRefused` when X will not publish it. After an `XUnreachable` with `outcome_unknown` it may stand there.
        """
        self._need_user_keys("Posting")
        document = await self._tweepy.create_tweet(text=text, in_reply_to_tweet_id=reply_to, user_auth=True)
        post_id = (document.get("data") or {}).get("id")
        if not isinstance(post_id, str):
            raise XUnreachable("X did not say what became of the post; look at the timeline before trying again.", True)
        return post_id

    async def delete(self, post_id: str) -> None:
        """Delete a post of the account that posts; one that is gone already is no error."""
        self._need_user_keys("Deleting a post")
        if not _POST_ID.fullmatch(post_id):
            raise XError(f"{post_id!r} can't be a post on X: an id has 1 to 19 digits.")
        document = await self._tweepy.delete_tweet(post_id, user_auth=True)
        gone = any(str(error.get("type", "")).endswith("resource-not-found") for error in document.get("errors", ()))
        if not gone and not (document.get("data") or {}).get("deleted"):
            raise XError("X did not delete the post and does not say why; look at it in a browser.")

    def _reads_as_user(self) -> bool:
        if self._keys.bearer_token:
            return False
        if not self._keys.can_post:
            raise ConfigError(f"Reading from X needs the variable that [x] bearer_token_env names, or {_USER_KEYS}.")
        return True

    def _need_user_keys(self, purpose: str) -> None:
        if not self._keys.can_post:
            raise ConfigError(f"{purpose} needs {_USER_KEYS}; set them.")


def _address(api_base: str) -> str:
    try:
        url = URL(api_base)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigError(f"{api_base!r} is not a web address; [x] api_base should look like {API_BASE}.")
    return api_base.rstrip("/")


def _cap_logging(names: Iterable[str]) -> None:
    """Keep libraries from logging below INFO: tweepy logs bearer tokens at DEBUG, oauthlib what it signs."""
    for name in names:
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.level, logging.INFO))
