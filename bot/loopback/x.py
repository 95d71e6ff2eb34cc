"""X's API v2 played on 127.0.0.1: accounts, timelines, mentions, posting and deleting, with the bill that X would send.

`async with LoopbackX(accounts=["mockingbird", "ada"]) as x` listens on a free port; `x.api_base` takes the place of
https://api.x.com and `x.keys` holds credentials that it accepts. The first account owns the app and its user keys.

Where the rules come from: X's OpenAPI documents 2.159 (the vocabulary with `tweet.fields` and `referenced_tweets`,
which every recorded answer speaks) and 2.167 (the one with `post.fields` and `referenced_posts`); each request is
answered in its own vocabulary and held against the document of its own. Besides these, recorded answers of 2021 and
2022, X's pages on pricing and rate limits of August 2026, and error bodies that developers have quoted in public
issues. Of X's quirks these are played: a page comes short where posts were deleted or excluded and still has a
next_token; no `data` key when nothing is there; a retweet is cut off in `text` and whole in `includes`; what can't be
found stands in `errors` beside `data`; links are t.co links; HTML entities are escaped; only fields that were asked for
are returned.

What it does not know: search, streams, direct messages, media, polls, quotes by the API, OAuth 2.0 user tokens, X's
private rules against spam. Whether X charges for what stands in `includes` is not published for every endpoint ("per
resource returned"); here it is charged.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Self

from aiohttp import web
from oauthlib.oauth1 import RequestValidator, ResourceEndpoint

from bot.loopback.openapi import OpenAPIContract
from bot.loopback.x_answers import (
    FIXED,
    OVER_CAPACITY_PAGE,
    Document,
    XRefusal,
    hidden_post,
    invalid_request,
    invalid_value,
    missing_post,
    problem,
    unseen_user,
    without_empty,
)
from bot.loopback.x_content import LINK, PostState, XAccount, XContent, XPost, references, timestamp, weight
from bot.loopback.x_jobs import ComplianceJobs
from bot.loopback.x_routes import ROUTES, Answer, Call, Caller, Refused, Route, Scope, Window
from bot.loopback.x_vocabulary import POST, TWEET, in_post_words, in_tweet_words, spoken

__all__ = ["Hold", "LoopbackX", "Moment", "PostState", "XAccount", "XCharge", "XKeys", "XPost", "XRefusal", "XRequest"]

_WINDOW_S = 15 * 60
_DAY_S = 24 * 60 * 60
_TIMELINE_DEPTH = 3_200  # posts; X's documentation of the user timeline
_MENTIONS_DEPTH = 800
_POST_WEIGHT = 280

# Prices of pay-per-use, X's page of August 2026, in US dollars.
_POST_READ = Decimal("0.005")
_USER_READ = Decimal("0.010")
_OWNED_READ = Decimal("0.001")
_POST_CREATE = Decimal("0.015")
_POST_CREATE_WITH_LINK = Decimal("0.200")
_SUMMONED_REPLY = Decimal("0.010")
_POST_DELETE = Decimal("0.010")


@dataclass(frozen=True, slots=True)
class XKeys:
    """Credentials that the server accepts. They open nothing anywhere else."""

    bearer_token: str
    consumer_key: str
    consumer_secret: str
    access_token: str  # begins with the account's id and a hyphen, as X's do
    access_token_secret: str


@dataclass(frozen=True, slots=True)
class XRequest:
    """A request that was answered."""

    route: str  # such as "GET /2/users/:id/tweets"; method and path when no such route is played
    path: str  # such as "/2/users/17/tweets"
    query: Mapping[str, str]
    body: Document | None
    authorization: str  # "bearer", "oauth1" or "none"; the credentials themselves are not kept
    status: int  # of the answer


@dataclass(frozen=True, slots=True)
class XCharge:
    """One line of the bill."""

    what: str  # "post read", "user read", "post created", "post deleted"
    resource_id: str
    day: date  # UTC
    usd: Decimal


class Moment(Enum):
    """When a request is held up."""

    BEFORE = "before"  # nothing was looked at yet
    AFTER = "after"  # it was done and charged, and the answer is under way


@dataclass(slots=True)
class Hold:
    """A request that is held up."""

    route: str
    moment: Moment
    skip: int
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)


_Recorded = tuple[Document, ...]


class LoopbackX(XContent):
    """The server: an async context manager that listens while it is open."""

    def __init__(
        self,
        accounts: Iterable[XAccount | str],
        contract: OpenAPIContract | None = None,
        post_contract: OpenAPIContract | None = None,
        *,
        vocabularies: Collection[str] = (TWEET, POST),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        limits: Mapping[str, int] | None = None,
    ) -> None:
        """`accounts` in order, the first one owning app and keys; `contract` fills `violations`.

        `contract` describes the older vocabulary and `post_contract` the newer one; what is asked for in one that is
        not among `vocabularies` is passed over in silence, and the answer comes in the other.
        `clock` gives UTC and decides windows, days of the bill and the times of posts made through the API. `limits`
        replaces the requests that a route allows in 15 minutes, by the route's name.
        """
        self.violations: list[str] = []  # what the requests did against the contract, one sentence each
        self.requests: list[XRequest] = []  # answered, in order
        self.charges: list[XCharge] = []  # in order
        super().__init__(clock)
        self._charged: set[tuple[str, str, date]] = set()
        self._contract = contract
        self._post_contract = post_contract
        self._vocabularies = tuple(vocabularies)
        self._jobs = ComplianceJobs(self, clock)
        self._holds: list[Hold] = []
        self._limits = dict(limits or {})
        self._recorded: dict[str, _Recorded] = {}  # by account id
        self._planned: defaultdict[str, deque[XRefusal]] = defaultdict(deque)  # by route
        self._windows: dict[tuple[str, str], Window] = {}  # by route and scope
        self._changed = asyncio.Condition()
        self._runner: web.AppRunner | None = None
        owner, *_ = [self.add_account(account) for account in accounts]
        self._owner_id = owner.id
        self.keys = XKeys(
            bearer_token="loopback-bearer-token",
            consumer_key="loopback-consumer-key",
            consumer_secret="loopback-consumer-secret",
            access_token=f"{owner.id}-loopback-access-token",
            access_token_secret="loopback-access-token-secret",
        )
        self._oauth = ResourceEndpoint(_KnownKeys(self.keys))

    async def __aenter__(self) -> Self:
        application = web.Application()
        for route in ROUTES:
            application.router.add_route(route.method, route.pattern, self._served(route))
        application.router.add_route("*", "/{anything:.*}", self._unknown)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    @property
    def api_base(self) -> str:
        """Where the server listens, such as `http://127.0.0.1:40123`."""
        assert self._runner is not None, "the server is not open"
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    # What a test or the demo does on X itself

    def play_pages(self, account: XAccount, pages: Sequence[Document]) -> None:
        """Answer requests for this account's timeline with recorded pages, each by the next_token of the one before."""
        posts = sum(len(page.get("data", ())) for page in pages)
        self.add_account(replace(account, earlier_posts=posts))
        self._recorded[account.id] = tuple(pages)

    def fail_next(self, route: str, refusal: XRefusal, times: int = 1) -> None:
        """Answer the next `times` requests to the route (such as "POST /2/tweets") with this refusal."""
        if route not in {known.name for known in ROUTES}:
            raise LookupError(f"{route} is not played; played are {', '.join(known.name for known in ROUTES)}")
        self._planned[route].extend([refusal] * times)

    def hold_next(self, route: str, moment: Moment, skip: int = 0) -> Hold:
        """Hold up a request to the route, after `skip` others, until the hold is released."""
        hold = Hold(route, moment, skip)
        self._holds.append(hold)
        return hold

    def forget_holds(self) -> None:
        """Let every further request pass."""
        self._holds.clear()

    def close_account(self, handle: str) -> None:
        """Have the account deleted by its owner, with all its posts."""
        account = self.account(handle)
        for post in self.rows(account.id):
            self.delete(post.id)
        del self.accounts[account.id]

    def bill(self) -> Decimal:
        """What X would have charged so far, in US dollars."""
        return sum((charge.usd for charge in self.charges), Decimal(0))

    async def wait_until(self, settled: Callable[[], bool]) -> None:
        """Return once `settled()` is true; it is asked now and after each answered request."""
        async with self._changed:
            await self._changed.wait_for(settled)

    # Serving

    def _served(self, route: Route) -> Callable[[web.Request], Any]:
        async def serve(request: web.Request) -> web.StreamResponse:
            call = await _read(route, request, self._vocabularies)
            await self._held(route, Moment.BEFORE)
            try:
                answer = self._decide(request, call)
            except Refused as refused:
                answer = refused.answer
            answer = self._in_its_words(call, answer)
            self._check(request, call, answer)
            await self._held(route, Moment.AFTER)
            return await self._send(request, call, answer)

        return serve

    async def _unknown(self, request: web.Request) -> web.Response:
        self.violations.append(f"{request.method} {request.path}: this route is not played")
        name = f"{request.method} {request.path}"
        self.requests.append(XRequest(name, request.path, dict(request.query), None, _authorization(request), 404))
        return web.json_response(problem(404, "Not Found", "Not Found"), status=404)

    def _decide(self, request: web.Request, call: Call) -> Answer:
        planned = self._planned[call.route.name]
        refusal = planned.popleft() if planned else None
        if refusal is not None and refusal is not XRefusal.ANSWER_LOST:
            return self._refusal(refusal, call)
        caller = self._authenticate(request, call.route)
        limits = self._count(call.route, caller)
        try:
            self._check_query(call)
            answer: Answer = getattr(self, call.route.handler)(call, caller)
        except Refused as refused:
            raise Refused(refused.answer.with_headers(limits)) from None
        return replace(answer.with_headers(limits), lost=refusal is not None)

    def _in_its_words(self, call: Call, answer: Answer) -> Answer:
        vocabulary = spoken(call.sent) if spoken(call.sent) in self._vocabularies else self._vocabularies[0]
        if vocabulary == TWEET or answer.document is None:
            return answer
        return replace(answer, document=in_post_words(answer.document))

    def _check(self, request: web.Request, call: Call, answer: Answer) -> None:
        """Hold the exchange against the OpenAPI document of its vocabulary, when there is one."""
        contract = self._post_contract if spoken(call.sent) == POST else self._contract
        if contract is None or not call.route.described:
            return
        query = {name: request.query.getall(name) for name in request.query}
        content_type = request.headers.get("Content-Type")
        body = call.body if call.text else None
        method, path = request.method, request.path
        self.violations += contract.request_violations(method, path, query, content_type, body)
        if answer.ours and answer.document is not None and spoken(call.sent) in self._vocabularies:
            self.violations += contract.response_violations(method, path, answer.status, answer.document)

    async def _held(self, route: Route, moment: Moment) -> None:
        hold = next((h for h in self._holds if (h.route, h.moment) == (route.name, moment)), None)
        if hold is None:
            return
        if hold.skip:
            hold.skip -= 1
            return
        self._holds.remove(hold)
        hold.arrived.set()
        await hold.release.wait()

    async def _send(self, request: web.Request, call: Call, answer: Answer) -> web.StreamResponse:
        status = answer.status
        self.requests.append(
            XRequest(call.route.name, request.path, call.sent, call.body, _authorization(request), status)
        )
        async with self._changed:
            self._changed.notify_all()
        if answer.lost and request.transport is not None:
            request.transport.abort()
        if answer.text is not None:
            return web.Response(text=answer.text, content_type="text/plain", status=status)
        if answer.document is None:
            return web.Response(text=OVER_CAPACITY_PAGE, content_type="text/html", status=status)
        content_type = "application/json; charset=utf-8" if status < 400 else "application/problem+json"
        body = json.dumps(answer.document, ensure_ascii=False, separators=(",", ":")).encode()
        return web.Response(body=body, status=status, headers={**answer.headers, "Content-Type": content_type})

    # Who may ask, and how often

    def _authenticate(self, request: web.Request, route: Route) -> Caller:
        given = _authorization(request)
        if given == "bearer":
            if request.headers["Authorization"].split(maxsplit=1)[1:] != [self.keys.bearer_token]:
                raise Refused(Answer.of(XRefusal.UNAUTHORIZED))
            if not route.app_limit:
                raise Refused(Answer.of(XRefusal.APP_ONLY_FORBIDDEN))
            return Caller(Scope.APP, None)
        if given == "oauth1":
            # X signs and checks the address as it was sent, percent signs and all.
            address = f"{request.scheme}://{request.host}{request.raw_path}"
            headers = {"Authorization": request.headers["Authorization"]}
            valid, _ = self._oauth.validate_protected_resource_request(address, request.method, None, headers, [])
            if valid and not route.user_limit:
                wrong = "Authenticating with OAuth 1.0a User Context is forbidden for this endpoint."
                kind = "https://api.twitter.com/2/problems/unsupported-authentication"
                raise Refused(Answer(403, problem(403, "Unsupported Authentication", wrong, kind)))
            if valid:
                return Caller(Scope.USER, self._owner_id)
        raise Refused(Answer.of(XRefusal.UNAUTHORIZED))

    def _count(self, route: Route, caller: Caller) -> dict[str, str]:
        """The headers about what is left, after counting this request; refused when nothing was left."""
        limit = route.app_limit if caller.scope is Scope.APP else route.user_limit
        window = self._window(route, caller.scope.value, self._limits.get(route.name, limit), _WINDOW_S)
        day = self._window(route, "day", route.day_limit, _DAY_S) if route.day_limit else None
        exhausted = not window.remaining or (day is not None and not day.remaining)
        for counted in (window, day):
            if counted is not None and not exhausted:
                counted.used += 1
        headers = _limit_headers("x-rate-limit", window)
        if day is not None:
            headers |= _limit_headers("x-app-limit-24hour", day)
        if exhausted:
            raise Refused(Answer.of(XRefusal.WINDOW).with_headers(headers))
        return headers

    def _window(self, route: Route, scope: str, limit: int, length_s: int) -> Window:
        now = int(self._clock().timestamp())
        window = self._windows.get((route.name, scope))
        if window is None or window.resets_at <= now:
            window = self._windows[route.name, scope] = Window(limit, 0, now + length_s)
        return window

    # Planned failures

    def _refusal(self, refusal: XRefusal, call: Call) -> Answer:
        now = int(self._clock().timestamp())
        if refusal in FIXED:
            answer = Answer.of(refusal)
        elif refusal is XRefusal.INVALID_REQUEST:
            answer = Answer(400, invalid_value("since_id", call.query.get("since_id", ""), "is not valid"))
        elif refusal is XRefusal.UNKNOWN_FIELD:
            name = next((name for name in call.sent if name.endswith(("tweet.fields", "post.fields"))), "tweet.fields")
            answer = Answer(400, invalid_value(name, call.sent.get(name, ""), "is not one of [id,text]"))
        else:
            parameter, subject = next(iter(call.parameters.items()), ("id", "0"))
            answer = Answer(200, {"errors": [unseen_user(parameter, subject, refusal)]})
        if refusal is XRefusal.UNAUTHORIZED or answer.document is None:
            return answer  # recorded without any x-rate-limit header
        used_up = Window(100, 100 if refusal is XRefusal.WINDOW else 1, now + _WINDOW_S)
        headers = _limit_headers("x-rate-limit", used_up)
        if refusal is XRefusal.DAY_OF_POSTS:
            headers |= _limit_headers("x-app-limit-24hour", Window(10_000, 10_000, now + _DAY_S))
        return answer.with_headers(headers)

    # Users

    def _user_by_name(self, call: Call, _: Caller) -> Answer:
        return self._one_user(call, "username", call.parameters["username"])

    def _user_by_id(self, call: Call, _: Caller) -> Answer:
        return self._one_user(call, "id", call.parameters["id"])

    def _me(self, call: Call, caller: Caller) -> Answer:
        assert caller.account_id is not None
        return self._one_user(call, "id", caller.account_id)

    def _one_user(self, call: Call, parameter: str, subject: str) -> Answer:
        found = self.accounts.get(subject) if parameter == "id" else self.find_account(subject)
        if found is None or found.suspended:
            why = XRefusal.NOT_FOUND if found is None else XRefusal.SUSPENDED
            return Answer(200, {"errors": [unseen_user(parameter, subject, why)]})
        self._charge("user read", found.id, _USER_READ)
        return Answer(200, {"data": self.user_document(found, call.listed("user.fields"))})

    def _users_by_name(self, call: Call, _: Caller) -> Answer:
        found, errors = [], []
        for name in call.listed("usernames"):
            account = self.find_account(name)
            if account is None or account.suspended:
                why = XRefusal.NOT_FOUND if account is None else XRefusal.SUSPENDED
                errors.append(unseen_user("usernames", name, why))
            else:
                self._charge("user read", account.id, _USER_READ)
                found.append(self.user_document(account, call.listed("user.fields")))
        return Answer(200, without_empty({"data": found, "errors": errors}))

    def _users_by_id(self, call: Call, _: Caller) -> Answer:
        found, errors = [], []
        for user_id in call.listed("ids"):
            account = self.accounts.get(user_id)
            if account is None or account.suspended:
                why = XRefusal.NOT_FOUND if account is None else XRefusal.SUSPENDED
                errors.append(unseen_user("ids", user_id, why))
            else:
                self._charge("user read", account.id, _USER_READ)
                found.append(self.user_document(account, call.listed("user.fields")))
        return Answer(200, without_empty({"data": found, "errors": errors}))

    # Compliance jobs

    def _create_job(self, call: Call, _: Caller) -> Answer:
        return self._jobs.create(call.body or {}, self.api_base)

    def _show_job(self, call: Call, _: Caller) -> Answer:
        return self._jobs.show(call.parameters["id"], self.api_base)

    def _upload_ids(self, call: Call, _: Caller) -> Answer:
        return self._jobs.upload(call.parameters["id"], call.query.get("token", ""), call.text)

    def _job_results(self, call: Call, _: Caller) -> Answer:
        return self._jobs.results(call.parameters["id"], call.query.get("token", ""))

    # Pages

    def _timeline_page(self, call: Call, caller: Caller) -> Answer:
        account = self._readable(call, caller)
        if account.id in self._recorded:
            return self._recorded_page(call, account)
        return self._page(call, caller, self.rows(account.id)[:_TIMELINE_DEPTH])

    def _mentions_page(self, call: Call, caller: Caller) -> Answer:
        account = self._readable(call, caller)
        wanted = account.handle.lower()
        everything = sorted(self.posts.values(), key=lambda post: int(post.id), reverse=True)
        rows = [post for post in everything if wanted in {name.lower() for name in post.mentions}]
        visible = [post for post in rows if self.visible(post.author_id, caller.account_id)]
        return self._page(call, caller, [p for p in visible if p.state is not PostState.EDITED][:_MENTIONS_DEPTH])

    def _readable(self, call: Call, caller: Caller) -> XAccount:
        subject = call.parameters["id"]
        account = self.accounts.get(subject)
        if account is None or account.suspended or not self.visible(subject, caller.account_id):
            why = XRefusal.NOT_FOUND if account is None else XRefusal.PROTECTED
            why = XRefusal.SUSPENDED if account is not None and account.suspended else why
            raise Refused(Answer(200, {"errors": [unseen_user("id", subject, why)]}))
        return account

    def _page(self, call: Call, caller: Caller, rows: Sequence[XPost]) -> Answer:
        """One page of `rows` (newest first). Deleted and excluded posts use up slots, so a page may come short."""
        rows = [post for post in rows if _asked_for(call, post)]
        slots, tokens = _slots(call, rows, self._page_size(call))
        exclude = call.listed("exclude")
        shown = [
            post
            for post in slots
            if post.state is PostState.STANDING
            and not (post.reply_to and "replies" in exclude)
            and not (post.retweets and "retweets" in exclude)
        ]
        meta: Document = {"result_count": len(shown), **tokens}
        if shown:
            meta |= {"newest_id": shown[0].id, "oldest_id": shown[-1].id}
        return Answer(200, self._posts_document(call, caller, shown) | {"meta": meta})

    def _page_size(self, call: Call) -> int:
        text = call.query.get("max_results", "10")
        if not text.isdecimal() or not 5 <= int(text) <= 100:
            raise Refused(Answer(400, invalid_value("max_results", text, "is not between 5 and 100")))
        return int(text)

    def _recorded_page(self, call: Call, account: XAccount) -> Answer:
        pages = self._recorded[account.id]
        token = call.query.get("pagination_token")
        chain = [None, *(page["meta"].get("next_token") for page in pages[:-1])]
        if token not in chain:
            raise Refused(Answer(400, invalid_value("pagination_token", str(token), "is not valid")))
        page = _newer_than(pages[chain.index(token)], int(call.query.get("since_id", "0")))
        for post in [*page.get("data", ()), *page.get("includes", {}).get("tweets", ())]:
            self._charge("post read", post["id"], _POST_READ)
        for user in page.get("includes", {}).get("users", ()):
            self._charge("user read", user["id"], _USER_READ)
        return Answer(200, page, ours=False)

    # Posts

    def _posts_by_id(self, call: Call, caller: Caller) -> Answer:
        found, errors = [], []
        for post_id in call.listed("ids"):
            if self.is_gone(post_id):
                errors.append(missing_post("ids", post_id))
            elif not self.visible(self.posts[post_id].author_id, caller.account_id):
                errors.append(hidden_post("ids", post_id, "data"))
            else:
                found.append(self.posts[post_id])
        document = self._posts_document(call, caller, found)
        return Answer(200, without_empty({**document, "errors": [*errors, *document.get("errors", ())]}))

    def _posts_document(self, call: Call, caller: Caller, posts: Sequence[XPost]) -> Document:
        """`data`, `includes` and `errors` for these posts, without the keys that would be empty; and their charges."""
        expansions = call.listed("expansions")
        fields = {*call.listed("tweet.fields"), *(expansion.split(".")[0] for expansion in expansions)}
        referenced, errors = self._referenced(posts, expansions, caller)
        users = self._mentioned_users(posts, referenced, expansions, errors)
        own = caller.account_id is not None and call.parameters.get("id") == caller.account_id
        for post in posts:
            self._charge("post read", post.id, _OWNED_READ if own else _POST_READ)
        for post in referenced:
            self._charge("post read", post.id, _POST_READ)
        for user in users:
            self._charge("user read", user.id, _USER_READ)
        includes = {
            "tweets": [self.post_document(post, fields) for post in referenced],
            "users": [self.user_document(user, call.listed("user.fields")) for user in users],
        }
        data = [self.post_document(post, fields) for post in posts]
        return without_empty({"data": data, "includes": without_empty(includes), "errors": errors})

    def _referenced(
        self, posts: Sequence[XPost], expansions: Sequence[str], caller: Caller
    ) -> tuple[list[XPost], list[Document]]:
        """The posts that these refer to, each once, and an error for each that can't be shown."""
        found: dict[str, XPost] = {}
        errors: list[Document] = []
        for post in posts:
            wanted = [post_id for _, post_id in references(post)] if "referenced_tweets.id" in expansions else []
            wanted += post.versions[:-1] if "edit_history_tweet_ids" in expansions else ()
            for post_id in wanted:
                if self.is_gone(post_id):
                    errors.append(missing_post("referenced_tweets.id", post_id))
                elif not self.visible(self.posts[post_id].author_id, caller.account_id):
                    errors.append(hidden_post("referenced_tweets.id", post_id, "includes"))
                else:
                    found[post_id] = self.posts[post_id]
        return list(found.values()), errors

    def _mentioned_users(
        self,
        posts: Sequence[XPost],
        referenced: Sequence[XPost],
        expansions: Sequence[str],
        errors: list[Document],
    ) -> list[XAccount]:
        """The accounts that the expansions ask for, each once; names of no account are added to `errors`."""
        found: dict[str, XAccount] = {}
        if "author_id" in expansions:
            found |= {post.author_id: self.accounts[post.author_id] for post in posts}
        if "referenced_tweets.id.author_id" in expansions:
            found |= {post.author_id: self.accounts[post.author_id] for post in referenced}
        if "in_reply_to_user_id" in expansions:
            answered = [self.posts[post.reply_to].author_id for post in posts if post.reply_to in self.posts]
            found |= {account_id: self.accounts[account_id] for account_id in answered}
        if "entities.mentions.username" in expansions:
            for name in [name for post in posts for name in post.mentions]:
                account = self.find_account(name)
                if account is None or account.suspended:
                    errors.append(unseen_user("entities.mentions.username", name, XRefusal.NOT_FOUND))
                else:
                    found[account.id] = account
        return list(found.values())

    # Writing

    def _create_post(self, call: Call, caller: Caller) -> Answer:
        assert caller.account_id is not None
        me = self.accounts[caller.account_id]
        text = (call.body or {}).get("text")
        reply_to = ((call.body or {}).get("reply") or {}).get("in_reply_to_tweet_id")
        if not isinstance(text, str) or not text.strip():
            raise Refused(Answer(400, invalid_value("text", str(text or ""), "is missing")))
        if weight(text) > _POST_WEIGHT:
            too_long = "Your Tweet text is too long. For more information on how Twitter determines text length see "
            raise Refused(Answer(400, invalid_request(too_long + "https://github.com/twitter/twitter-text.")))
        summoned = self._check_reply(reply_to, me)
        if any((post.text, post.reply_to) == (text, reply_to) for post in self.timeline(me.handle)):
            raise Refused(Answer.of(XRefusal.DUPLICATE))
        post = self.post_as(me.handle, text, reply_to=reply_to)
        price = _SUMMONED_REPLY if summoned else _POST_CREATE
        self._charge("post created", post.id, _POST_CREATE_WITH_LINK if LINK.search(text) else price)
        shown, _ = self.shown(post)
        return Answer(201, {"data": {"id": post.id, "text": shown, "edit_history_tweet_ids": [post.id]}})

    def _check_reply(self, reply_to: str | None, me: XAccount) -> bool:
        """Whether this answers somebody who called us; refused when it answers somebody who did not."""
        if reply_to is None:
            return False
        target = self.posts.get(reply_to)
        if target is None or target.state is PostState.DELETED:
            gone = "You attempted to reply to a Tweet that is deleted or not visible to you."
            raise Refused(Answer(403, problem(403, "Forbidden", gone)))
        if target.author_id == me.id:
            return False  # a thread of one's own
        quoted = self.posts.get(target.quotes) if target.quotes else None
        called = me.handle.lower() in {name.lower() for name in target.mentions}
        if not called and (quoted is None or quoted.author_id != me.id):
            raise Refused(Answer.of(XRefusal.REPLY_NOT_ALLOWED))
        return True

    def _delete_post(self, call: Call, caller: Caller) -> Answer:
        post = self.posts.get(call.parameters["id"])
        if post is not None and post.author_id != caller.account_id:
            refused = problem(403, "Forbidden", "You are not authorized to delete this Tweet.")
            raise Refused(Answer(403, refused))
        if post is None or post.state is PostState.DELETED:
            return Answer(200, {"errors": [missing_post("id", call.parameters["id"])]})
        self.delete(post.versions[-1])
        self._charge("post deleted", post.id, _POST_DELETE)
        return Answer(200, {"data": {"deleted": True}})

    # Small things

    def _check_query(self, call: Call) -> None:
        for name, value in call.query.items():
            if name not in call.route.query:
                raise Refused(Answer(400, invalid_value(name, value, "is not one of the parameters of this endpoint")))

    def _charge(self, what: str, resource_id: str, usd: Decimal) -> None:
        """Charge for a resource, unless the same was charged earlier on this UTC day."""
        today = self._clock().astimezone(UTC).date()
        if (what, resource_id, today) not in self._charged:
            self._charged.add((what, resource_id, today))
            self.charges.append(XCharge(what, resource_id, today, usd))


class _KnownKeys(RequestValidator):  # type: ignore[misc]  # oauthlib publishes no types
    """OAuth 1.0a as X demands it: HMAC-SHA1 over the whole address, a fresh timestamp, no nonce twice."""

    enforce_ssl = False  # 127.0.0.1
    allowed_signature_methods = ("HMAC-SHA1",)
    client_key_length = access_token_length = nonce_length = (1, 200)
    safe_characters = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
    dummy_client = dummy_access_token = "nobody"

    def __init__(self, keys: XKeys) -> None:
        super().__init__()
        self._keys = keys
        self._nonces: set[tuple[str, str]] = set()

    def validate_timestamp_and_nonce(
        self,
        client_key: str,
        timestamp: str,
        nonce: str,
        request: Any,
        request_token: Any = None,
        access_token: Any = None,
    ) -> bool:
        fresh = (timestamp, nonce) not in self._nonces
        self._nonces.add((timestamp, nonce))
        return fresh

    def validate_client_key(self, client_key: str, request: Any) -> bool:
        return client_key == self._keys.consumer_key

    def validate_access_token(self, client_key: str, token: str, request: Any) -> bool:
        return token == self._keys.access_token

    def validate_realms(self, *_: Any, **__: Any) -> bool:
        return True

    def get_client_secret(self, client_key: str, request: Any) -> str:
        return self._keys.consumer_secret

    def get_access_token_secret(self, client_key: str, token: str, request: Any) -> str:
        return self._keys.access_token_secret


# Reading a request


async def _read(route: Route, request: web.Request, vocabularies: Collection[str]) -> Call:
    text = await request.text()
    try:
        body = json.loads(text) if text else None
    except json.JSONDecodeError:
        body = None
    body = body if isinstance(body, dict) else None
    sent = dict(request.query)
    return Call(route, dict(request.match_info), in_tweet_words(sent, vocabularies), body, sent, text)


def _authorization(request: web.Request) -> str:
    scheme = request.headers.get("Authorization", "").split(maxsplit=1)[:1]
    return {"bearer": "bearer", "oauth": "oauth1"}.get(scheme[0].lower() if scheme else "", "none")


def _asked_for(call: Call, post: XPost) -> bool:
    """Whether a post lies within since_id, until_id, start_time and end_time."""
    number, moment = int(post.id), timestamp(post.created_at)
    return (
        number > int(call.query.get("since_id", "0"))
        and number < int(call.query.get("until_id", str(1 << 63)))
        and moment >= call.query.get("start_time", "")
        and moment < call.query.get("end_time", "9")
    )


def _slots(call: Call, rows: Sequence[XPost], size: int) -> tuple[list[XPost], Document]:
    """The rows of the page that the token names, and the tokens of its neighbours."""
    token = call.query.get("pagination_token", "")
    older, newer = _boundary("7140", token), _boundary("77qp", token)
    if token and older is None and newer is None:
        raise Refused(Answer(400, invalid_value("pagination_token", token, "is not valid")))
    if newer is not None:
        page = [post for post in rows if int(post.id) > newer][-size:]
    else:
        page = [post for post in rows if older is None or int(post.id) < older][:size]
    tokens: Document = {}
    if page and page[-1].id != rows[-1].id:
        tokens["next_token"] = _token("7140", page[-1].id)
    if page and page[0].id != rows[0].id:
        tokens["previous_token"] = _token("77qp", page[0].id)
    return page, tokens


def _token(direction: str, post_id: str) -> str:
    return direction + format(int(post_id), "x").rjust(16, "g")


def _boundary(direction: str, token: str) -> int | None:
    digits = token.removeprefix(direction).lstrip("g")
    if not token.startswith(direction) or not re.fullmatch(r"[0-9a-f]+", digits):
        return None
    return int(digits, 16)


def _newer_than(page: Document, since_id: int) -> Document:
    """A recorded page without the posts up to `since_id`; without next_token when that cut anything off."""
    data = page.get("data", [])
    newer = [post for post in data if int(post["id"]) > since_id]
    if len(newer) == len(data):
        return page
    meta = {"result_count": len(newer)}
    if not newer:
        return {"meta": meta}
    ids = {"newest_id": newer[0]["id"], "oldest_id": newer[-1]["id"]}
    return {**page, "data": newer, "meta": {**meta, **ids}}


def _limit_headers(prefix: str, window: Window) -> dict[str, str]:
    return {
        f"{prefix}-limit": str(window.limit),
        f"{prefix}-remaining": str(window.remaining),
        f"{prefix}-reset": str(window.resets_at),
    }
