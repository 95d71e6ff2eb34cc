"""X's API v2 on 127.0.0.1: start it, point a client at it, and be the people on it.

Where the rules come from: X's OpenAPI documents 2.159 (the vocabulary with `tweet.fields` and `referenced_tweets`,
which every recorded answer speaks) and 2.167 (the one with `post.fields` and `referenced_posts`); each request is
answered in its own vocabulary and held against the document of its own. Besides these, recorded answers of 2021 and
2022, X's pages on pricing and rate limits of August 2026, and error bodies that developers have quoted in public
issues. Of X's quirks these are played: a page comes short where posts were deleted or excluded and still has a
next_token; no `data` key when nothing is there; a retweet is cut off in `text` and whole in `includes`; what can't be
found stands in `errors` beside `data`; links are t.co links; HTML entities are escaped; only fields that were asked for
are returned.

What it does not know: search, direct messages, polls, likes and follows, X's private rules against spam. Whether X
charges for what stands in `includes` is not published for every endpoint ("per resource returned"); here it is charged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Self

from aiohttp import web

from bot.loopback.openapi import OpenAPIContract
from bot.loopback.x.answers import Document, XRefusal
from bot.loopback.x.billing import Bill, XCharge, XPrices
from bot.loopback.x.content import XContent
from bot.loopback.x.contracts import Contracts
from bot.loopback.x.credentials import Credentials, XApp, XKeys
from bot.loopback.x.door import Door
from bot.loopback.x.faults import Faults, Hold, Moment, require_route, written
from bot.loopback.x.jobs import ComplianceJobs
from bot.loopback.x.media import Media, XMedia
from bot.loopback.x.oauth2 import OAuth2, query_of
from bot.loopback.x.pages import Pages
from bot.loopback.x.posting import Posting
from bot.loopback.x.posts import XAccount
from bot.loopback.x.reading import Reading
from bot.loopback.x.serving import Serving, XRequest
from bot.loopback.x.stream import Stream
from bot.loopback.x.vocabulary import POST, TWEET
from bot.loopback.x.windows import Windows


class LoopbackX(XContent):
    """The server: an async context manager that listens while it is open.

    `async with LoopbackX(accounts=["mockingbird", "ada"]) as x` listens on a free port; `x.api_base` takes the place
    of https://api.x.com and of https://x.com, and `x.keys` holds credentials that it accepts. The first account owns
    the app and its user keys.
    """

    def __init__(
        self,
        accounts: Iterable[XAccount | str],
        contract: OpenAPIContract | None = None,
        post_contract: OpenAPIContract | None = None,
        *,
        vocabularies: Collection[str] = (TWEET, POST),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        signing_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        limits: Mapping[str, int] | None = None,
        prices: XPrices | None = None,
        redirect_uris: Sequence[str] = ("http://127.0.0.1/callback",),
        confidential: bool = True,
        may_stream: bool = True,
        heartbeat_s: float = 20.0,
    ) -> None:
        """`accounts` in order, the first one owning app and keys; `contract` fills `violations`.

        `contract` describes the older vocabulary and `post_contract` the newer one; what is asked for in one that is
        not among `vocabularies` is passed over in silence, and the answer comes in the other.
        `clock` gives UTC and decides windows, days of the bill, the ends of tokens and media, and the times of posts
        made through the API. `signing_clock` is what timestamps of OAuth 1.0a are held against: client libraries write
        this machine's time, whatever clock a test has. `limits` replaces the requests that a route allows in 15
        minutes, by the route's name. `redirect_uris`, `confidential` and `may_stream` describe the app; `heartbeat_s`
        is in real seconds.
        """
        super().__init__(clock)
        self._faults = Faults()
        self._contracts = Contracts(contract, post_contract, vocabularies)
        self._bill = Bill(prices or XPrices(), clock)
        self._media = Media(clock)
        self._credentials = Credentials(signing_clock)
        self._oauth2 = OAuth2(self, self._credentials, clock)
        reading = Reading(self, self._bill, self._media.kept)
        self._pages = Pages(self, reading, self._bill, self._credentials)
        self._stream = Stream(self, reading, self._credentials, clock, self._contracts.sent, heartbeat_s)
        jobs = ComplianceJobs(self, clock, lambda: self.api_base)
        posting = Posting(self, self._bill, self._media)
        groups = (reading, self._pages, posting, self._media, self._stream, self._oauth2, self._bill, jobs)
        handlers = {name: handler for group in groups for name, handler in group.handlers().items()}
        door = Door(self, self._credentials, self._oauth2)
        self._serving = Serving(handlers, door, Windows(clock, limits or {}), self._faults, self._contracts)
        self._onlookers.append(self._stream.publish)
        self._runner: web.AppRunner | None = None
        owner, *others = [self.add_account(account) for account in accounts]
        self.app = self._credentials.add_app(
            owner.id, tuple(redirect_uris), confidential=confidential, may_stream=may_stream
        )
        self.keys = self._credentials.keys_of(owner.id, self.app)
        for account in others:
            self._credentials.keys_of(account.id, self.app)

    async def __aenter__(self) -> Self:
        self._runner = web.AppRunner(self._serving.application(), access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        self._stream.end()
        await self._runner.cleanup()

    # What a test looks at

    @property
    def api_base(self) -> str:
        """Where the server listens, such as `http://127.0.0.1:40123`."""
        assert self._runner is not None, "the server is not open"
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    @property
    def violations(self) -> list[str]:
        """What the exchanges did against the contract, one sentence each."""
        return self._contracts.violations

    @property
    def requests(self) -> list[XRequest]:
        """Answered requests, in order."""
        return self._serving.requests

    @property
    def charges(self) -> list[XCharge]:
        """What was charged, in order."""
        return self._bill.charges

    @property
    def media(self) -> Mapping[str, XMedia]:
        """Pictures that were uploaded, by id."""
        return self._media.kept

    @property
    def streams(self) -> int:
        """How many connections of the filtered stream are open."""
        return self._stream.connections

    def bill(self, app: XApp | None = None) -> Decimal:
        """What X would have charged so far, in US dollars: one app, or all."""
        return self._bill.total(app.id if app else None)

    def bill_by_kind(self, app: XApp | None = None) -> dict[str, Decimal]:
        """The bill by kind of charge, in US dollars: one app, or all."""
        return self._bill.by_kind(app.id if app else None)

    async def wait_until(self, settled: Callable[[], bool]) -> None:
        """Return once `settled()` is true; it is asked now and after each answered request."""
        async with self._serving.changed:
            await self._serving.changed.wait_for(settled)

    # Apps and people

    def add_app(
        self,
        owner: str,
        *,
        redirect_uris: Sequence[str] = ("http://127.0.0.1/callback",),
        confidential: bool = True,
        may_stream: bool = True,
    ) -> XApp:
        """Register another app, which belongs to this account; `keys_of` gives the keys of an account in it."""
        owner_id = self.account(owner).id
        return self._credentials.add_app(
            owner_id, tuple(redirect_uris), confidential=confidential, may_stream=may_stream
        )

    def keys_of(self, handle: str, app: XApp | None = None) -> XKeys:
        """All keys for an account, in the first app or in another; from now on the app may act for the account."""
        return self._credentials.keys_of(self.account(handle).id, app or self.app)

    def consent(self, url: str, handle: str) -> str:
        """A person consents to what the authorization address `url` asks for: the address to be redirected to.

        Raises `XConsentRefused` where X would show a page about an error instead.
        """
        return self._oauth2.consent(query_of(url), self.account(handle).id)

    def decline(self, url: str) -> str:
        """A person says no to what the authorization address `url` asks for: the address to be redirected to."""
        return self._oauth2.decline(query_of(url))

    def withdraw(self, handle: str) -> None:
        """A person takes all permissions back: keys and tokens of the account are refused from now on."""
        account_id = self.account(handle).id
        self._credentials.withdraw(account_id)
        self._oauth2.withdraw(account_id)

    def play_pages(self, account: XAccount, pages: Sequence[Document]) -> None:
        """Answer requests for this account's timeline with recorded pages, each by the next_token of the one before."""
        posts = sum(len(page.get("data", ())) for page in pages)
        self.add_account(replace(account, earlier_posts=posts))
        self._pages.record(account.id, pages)

    # What goes wrong

    def fail_next(self, route: str, refusal: XRefusal, times: int = 1) -> None:
        """Answer the next `times` requests to the route (such as "POST /2/tweets") with this refusal."""
        self._faults.plan(route, refusal, times)

    def answer_next(
        self, route: str, status: int, body: Document | str, headers: Mapping[str, str] | None = None, times: int = 1
    ) -> None:
        """Answer the next `times` requests to the route with this JSON object, or with this text as a web page."""
        self._faults.plan(route, written(status, body, headers), times)

    def cut_next(self, route: str, moment: Moment, times: int = 1) -> None:
        """Break the connection of the next `times` requests to the route, before or after they took effect."""
        self._faults.plan(route, moment, times)

    def hold_next(self, route: str, moment: Moment, skip: int = 0) -> Hold:
        """Hold up a request to the route, after `skip` others, until the hold is released."""
        return self._faults.hold(route, moment, skip)

    def slow_next(self, route: str, seconds: float, moment: Moment = Moment.AFTER) -> Hold:
        """Answer the next request to the route only when so many real seconds have passed since now."""
        require_route(route)
        hold = self.hold_next(route, moment)
        asyncio.get_running_loop().call_later(seconds, hold.release.set)
        return hold

    def forget_holds(self) -> None:
        """Let every further request pass."""
        self._faults.forget_holds()

    def redeliver(self, post_id: str) -> None:
        """Send a post once more over every open stream whose rules it matches, as X now and then does."""
        self._stream.publish(self.posts[post_id])

    def drop_streams(self, *, cut: bool = False) -> None:
        """End every open stream, in order or (`cut`) by breaking the connection."""
        self._stream.end(cut=cut)
