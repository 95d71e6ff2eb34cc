"""Publishing and deleting posts, with what X forbids: length, duplicates, answers to whoever has not called.

Sources: X's page on automated replies of 2026 (an app may answer only somebody who mentioned or quoted its account,
once for each such post; no quotes by the API), error bodies that developers have quoted in public issues.
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.loopback.x.answers import Document, XRefusal, invalid_request, invalid_value, missing_post, problem
from bot.loopback.x.billing import Bill
from bot.loopback.x.content import XContent
from bot.loopback.x.media import Media
from bot.loopback.x.posts import LINK, MENTION, PostState, XAccount, weight
from bot.loopback.x.routes import Answer, Call, Caller, Handler, Refused
from bot.loopback.x.showing import shown

_POST_WEIGHT = 280


@dataclass(frozen=True, slots=True)
class _Draft:
    """What is to be published."""

    text: str
    reply_to: str | None
    excluded: frozenset[str]  # ids of accounts that the answer must not mention by itself
    media: tuple[str, ...]


class Posting:
    """The routes that write."""

    def __init__(self, content: XContent, bill: Bill, media: Media) -> None:
        self._content = content
        self._bill = bill
        self._media = media

    def handlers(self) -> dict[str, Handler]:
        """What answers each route."""
        return {"POST /2/tweets": self._create_post, "DELETE /2/tweets/:id": self._delete_post}

    def _create_post(self, call: Call, caller: Caller) -> Answer:
        assert caller.account_id is not None
        me = self._content.accounts[caller.account_id]
        draft = self._draft(call.body or {}, me)
        summoned = self._check_reply(draft.reply_to, me)
        if draft.text and any(post.text == draft.text for post in self._content.timeline(me.handle)):
            raise Refused(Answer.of(XRefusal.DUPLICATE))
        post = self._content.post_as(
            me.handle, draft.text, reply_to=draft.reply_to, mentions=self._mentions(draft), media=draft.media
        )
        linked = LINK.search(draft.text) is not None
        self._bill.create_post(caller, post.id, linked=linked, summoned=summoned)
        text, _ = shown(self._content, post)
        return Answer(201, {"data": {"id": post.id, "text": text, "edit_history_tweet_ids": [post.id]}})

    def _draft(self, body: Document, me: XAccount) -> _Draft:
        text = body.get("text")
        media = (body.get("media") or {}).get("media_ids")
        if media is not None:
            self._media.require_attachable(media, me.id)
        if not isinstance(text, str) or not text.strip():
            if media is None:
                raise Refused(Answer(400, invalid_value("text", str(text or ""), "is missing")))
            text = ""
        if weight(text) > _POST_WEIGHT:
            too_long = "Your Tweet text is too long. For more information on how Twitter determines text length see "
            raise Refused(Answer(400, invalid_request(too_long + "https://github.com/twitter/twitter-text.")))
        if body.get("quote_tweet_id") is not None:
            raise Refused(Answer.of(XRefusal.NOT_PERMITTED))
        reply = body.get("reply") or {}
        excluded = frozenset(reply.get("exclude_reply_user_ids") or ())
        return _Draft(text, reply.get("in_reply_to_tweet_id"), excluded, tuple(media or ()))

    def _mentions(self, draft: _Draft) -> list[str] | None:
        """The handles that the post mentions, where that differs from what X does by itself."""
        answered = self._content.posts.get(draft.reply_to or "")
        if answered is None or answered.author_id not in draft.excluded:
            return None
        return MENTION.findall(draft.text)

    def _check_reply(self, reply_to: str | None, me: XAccount) -> bool:
        """Whether this answers somebody who called us; refused when it answers somebody who did not, or once more."""
        if reply_to is None:
            return False
        target = self._content.posts.get(reply_to)
        if target is None or self._content.is_gone(reply_to) or not self._content.visible(target.author_id, me.id):
            gone = "You attempted to reply to a Tweet that is deleted or not visible to you."
            raise Refused(Answer(403, problem(403, "Forbidden", gone)))
        if target.author_id == me.id:
            return False  # a thread of one's own
        quoted = self._content.posts.get(target.quotes) if target.quotes else None
        called = self._content.mentioned(target, me) or (quoted is not None and quoted.author_id == me.id)
        if not called or self._content.was_answered(reply_to, me.id):
            raise Refused(Answer.of(XRefusal.REPLY_NOT_ALLOWED))
        return True

    def _delete_post(self, call: Call, caller: Caller) -> Answer:
        post_id = call.parameters["id"]
        post = self._content.posts.get(post_id)
        if post is not None and post.author_id != caller.account_id:
            refused = problem(403, "Forbidden", "You are not authorized to delete this Tweet.")
            raise Refused(Answer(403, refused))
        if post is None or post.state is PostState.DELETED:
            return Answer(200, {"errors": [missing_post("id", post_id)]})
        self._content.delete(post.versions[-1])
        self._bill.delete_post(caller, post.id)
        return Answer(200, {"data": {"deleted": True}})
