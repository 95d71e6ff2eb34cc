"""Timelines and mentions, page by page, with what makes a page come short."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bot.loopback.x.answers import Document, XRefusal, invalid_value, unseen_user
from bot.loopback.x.billing import Bill
from bot.loopback.x.content import XContent
from bot.loopback.x.credentials import Credentials
from bot.loopback.x.posts import PostState, XAccount, XPost, timestamp
from bot.loopback.x.reading import Reading
from bot.loopback.x.routes import Answer, Call, Caller, Handler, Refused

_TIMELINE_DEPTH = 3_200  # posts; X's documentation of the user timeline
_MENTIONS_DEPTH = 800


class Pages:
    """The routes that answer with one page of posts."""

    def __init__(self, content: XContent, reading: Reading, bill: Bill, credentials: Credentials) -> None:
        self._content = content
        self._reading = reading
        self._bill = bill
        self._credentials = credentials
        self._recorded: dict[str, tuple[Document, ...]] = {}  # by account id

    def handlers(self) -> dict[str, Handler]:
        """What answers each route."""
        return {"GET /2/users/:id/tweets": self._timeline_page, "GET /2/users/:id/mentions": self._mentions_page}

    def record(self, account_id: str, pages: Sequence[Document]) -> None:
        """Answer requests for this account's timeline with these pages."""
        self._recorded[account_id] = tuple(pages)

    def _timeline_page(self, call: Call, caller: Caller) -> Answer:
        account = self._readable(call, caller)
        if account.id in self._recorded:
            return self._recorded_page(call, caller, account)
        return self._page(call, caller, self._content.rows(account.id)[:_TIMELINE_DEPTH])

    def _mentions_page(self, call: Call, caller: Caller) -> Answer:
        account = self._readable(call, caller)
        rows = self._content.naming(account.handle)
        visible = [post for post in rows if self._content.visible(post.author_id, caller.account_id)]
        return self._page(call, caller, visible[:_MENTIONS_DEPTH])

    def _readable(self, call: Call, caller: Caller) -> XAccount:
        subject = call.parameters["id"]
        account = self._content.accounts.get(subject)
        if account is None or account.suspended or not self._content.visible(subject, caller.account_id):
            why = XRefusal.NOT_FOUND if account is None else XRefusal.PROTECTED
            why = XRefusal.SUSPENDED if account is not None and account.suspended else why
            raise Refused(Answer(200, {"errors": [unseen_user("id", subject, why)]}))
        return account

    def _page(self, call: Call, caller: Caller, rows: Sequence[XPost]) -> Answer:
        """One page of `rows` (newest first). Deleted and excluded posts use up slots, so a page may come short."""
        rows = [post for post in rows if _asked_for(call, post)]
        slots, tokens = _slots(call, rows, _page_size(call))
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
        document = self._reading.posts_document(call, caller, shown, owned=self._is_owned(call, caller))
        return Answer(200, document | {"meta": meta})

    def _is_owned(self, call: Call, caller: Caller) -> bool:
        """Whether the app's owner reads what is the owner's own, with the owner's keys."""
        if caller.account_id is None or call.parameters["id"] != caller.account_id:
            return False
        return self._credentials.app(caller.app_id).owner_id == caller.account_id

    def _recorded_page(self, call: Call, caller: Caller, account: XAccount) -> Answer:
        pages = self._recorded[account.id]
        token = call.query.get("pagination_token")
        chain = [None, *(page["meta"].get("next_token") for page in pages[:-1])]
        if token not in chain:
            raise Refused(Answer(400, invalid_value("pagination_token", str(token), "is not valid")))
        page = _newer_than(pages[chain.index(token)], int(call.query.get("since_id", "0")))
        for post in [*page.get("data", ()), *page.get("includes", {}).get("tweets", ())]:
            self._bill.read_post(caller, post["id"])
        for user in page.get("includes", {}).get("users", ()):
            self._bill.read_user(caller, user["id"])
        return Answer(200, page, ours=False)


def _page_size(call: Call) -> int:
    text = call.query.get("max_results", "10")
    if not text.isdecimal() or not 5 <= int(text) <= 100:
        raise Refused(Answer(400, invalid_value("max_results", text, "is not between 5 and 100")))
    return int(text)


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
