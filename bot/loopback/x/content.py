"""What is on the X of this machine: accounts and posts, and what happens to them there. No network here.

Posts of an account and mentions of an account are found through lists in the order of ids, so that a page costs no more
when there are thousands of posts.
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from bot.loopback.x.posts import MENTION, PostState, XAccount, XPost

_SNOWFLAKE_EPOCH_MS = 1_288_834_974_657  # X's ids count milliseconds from 2010-11-04T01:42:54.657Z


class XContent:
    """Accounts and their posts."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        """`clock` gives UTC."""
        self.accounts: dict[str, XAccount] = {}  # by id
        self.posts: dict[str, XPost] = {}  # by id, deleted ones and earlier versions too
        self._clock = clock
        self._by_author: defaultdict[str, list[int]] = defaultdict(list)  # ids of posts, rising, by account id
        self._naming: defaultdict[str, list[int]] = defaultdict(list)  # ids of posts, rising, by handle in lower case
        self._answers: defaultdict[str, list[str]] = defaultdict(list)  # ids of answers by the id of what they answer
        self._closed: dict[str, XAccount] = {}  # by id
        self._onlookers: list[Callable[[XPost], None]] = []  # told of each new post

    # Accounts

    def add_account(self, account: XAccount | str) -> XAccount:
        """Open an account, or replace the one of the same id; returned with the id that it has."""
        account = XAccount(account) if isinstance(account, str) else account
        account = replace(
            account,
            name=account.name or account.handle,
            id=account.id or str(101 + len(self.accounts) + len(self._closed)),
        )
        self.accounts[account.id] = account
        return account

    def account(self, handle: str) -> XAccount:
        """The account of this handle, in whatever case; LookupError when there is none."""
        found = self.find_account(handle)
        if found is None:
            raise LookupError(f"no account @{handle} is played")
        return found

    def find_account(self, handle: str) -> XAccount | None:
        """The account of this handle, in whatever case, or None."""
        wanted = handle.lower()
        return next((a for a in self.accounts.values() if a.handle.lower() == wanted), None)

    def rename(self, handle: str, new_handle: str) -> XAccount:
        """Give an account another handle; its posts, and those that mention it, go on being its own."""
        account = self.account(handle)
        mentions = self._naming.pop(handle.lower(), [])
        self._naming[new_handle.lower()] = sorted({*mentions, *self._naming[new_handle.lower()]})
        self.accounts[account.id] = replace(account, handle=new_handle)
        return self.accounts[account.id]

    def protect(self, handle: str, protected: bool = True) -> None:
        """Hide the account's posts from all but itself, or show them again."""
        account = self.account(handle)
        self.accounts[account.id] = replace(account, protected=protected)

    def suspend(self, handle: str, suspended: bool = True) -> None:
        """Have X close the account, or open it again; with it go its posts, and what its owner may do."""
        account = self.account(handle)
        self.accounts[account.id] = replace(account, suspended=suspended)

    def close_account(self, handle: str) -> None:
        """Have the account deleted by its owner, with all its posts."""
        account = self.account(handle)
        for post in self.rows(account.id):
            self.delete(post.id)
        self._closed[account.id] = self.accounts.pop(account.id)

    def handle_of(self, account_id: str) -> str:
        """The handle of an account, or the one that it had before it was closed."""
        return (self.accounts.get(account_id) or self._closed[account_id]).handle

    def visible(self, account_id: str, viewer_id: str | None) -> bool:
        """Whether this viewer (None for an app without a user) may see the account's posts."""
        account = self.accounts.get(account_id)
        if account is None or account.suspended:
            return False
        return not account.protected or account_id == viewer_id

    # Posts

    def post_as(
        self,
        handle: str,
        text: str,
        *,
        created_at: datetime | None = None,
        reply_to: str | None = None,
        quotes: str | None = None,
        retweets: str | None = None,
        mentions: Sequence[str] | None = None,
        media: Sequence[str] = (),
    ) -> XPost:
        """Publish a post as this account, now or at `created_at` (UTC), for a later fetch to find.

        `reply_to`, `quotes` and `retweets` are ids of posts. `mentions` are handles; left out, they are read from the
        text, and an answer mentions whom it answers without saying so, as on X. The text of a retweet is not used: X
        repeats the original.
        """
        created_at = created_at or self._clock()
        post_id = self._free_id(created_at)
        author = self.account(handle)
        found = MENTION.findall(text) if mentions is None else mentions
        post = XPost(
            id=post_id,
            author_id=author.id,
            text=text,
            created_at=created_at,
            reply_to=reply_to,
            quotes=quotes,
            retweets=retweets,
            mentions=tuple(dict.fromkeys(found)),
            versions=(post_id,),
            state=PostState.STANDING,
            media=tuple(media),
        )
        self._keep(post, self._answered(post) if mentions is None else None)
        for tell in self._onlookers:
            tell(post)
        return post

    def edit(self, post_id: str, text: str, *, created_at: datetime | None = None) -> XPost:
        """Edit a post: a new version with an id of its own takes its place."""
        old = self.posts[post_id]
        created_at = created_at or self._clock()
        new_id = self._free_id(created_at)
        mentions = tuple(dict.fromkeys(MENTION.findall(text)))
        new = replace(
            old, id=new_id, text=text, created_at=created_at, mentions=mentions, versions=(*old.versions, new_id)
        )
        answered = self._answered(old)
        self._keep(new, answered if answered and self.mentioned(old, answered) else None)
        for version in old.versions:  # each of them names the whole chain
            self.posts[version] = replace(self.posts[version], versions=new.versions, state=PostState.EDITED)
        return new

    def delete(self, post_id: str) -> None:
        """Delete a post and its earlier versions; its page comes short by one."""
        newest = self.posts[post_id].versions[-1]
        self.posts[newest] = replace(self.posts[newest], state=PostState.DELETED)

    def delete_behind(self, post_id: str) -> None:
        """Delete a post on X itself, as its author or X would: no request tells of it and nothing is charged."""
        self.delete(post_id)

    def is_gone(self, post_id: str) -> bool:
        """Whether nobody is shown this post any more, or never was. Deleting any version deletes them all."""
        post = self.posts.get(post_id)
        return post is None or self.posts[post.versions[-1]].state is PostState.DELETED

    def timeline(self, handle: str) -> tuple[XPost, ...]:
        """The posts of this account that can be seen, the newest first."""
        rows = self.rows(self.account(handle).id)
        return tuple(post for post in rows if post.state is PostState.STANDING)

    def rows(self, account_id: str) -> list[XPost]:
        """All posts of an account, the newest first, without superseded versions."""
        return self._latest(self._by_author.get(account_id, []))

    def naming(self, handle: str) -> list[XPost]:
        """All posts that mention this account, the newest first, without superseded versions."""
        return self._latest(self._naming.get(handle.lower(), []))

    def answers_to(self, post_id: str) -> list[XPost]:
        """The standing posts that answer this one, in the order in which they were made."""
        posts = [self.posts[answer] for answer in self._answers.get(post_id, ())]
        return [post for post in posts if post.state is PostState.STANDING]

    def was_answered(self, post_id: str, account_id: str) -> bool:
        """Whether the account has answered this post, be it that the answer was deleted since."""
        return any(self.posts[answer].author_id == account_id for answer in self._answers.get(post_id, ()))

    def conversation(self, post: XPost) -> str:
        """The id of the post that began the conversation."""
        while post.reply_to is not None and post.reply_to in self.posts:
            post = self.posts[post.reply_to]
        return post.reply_to or post.id

    def mentioned(self, post: XPost, account: XAccount) -> bool:
        """Whether the post mentions the account, under whatever handle it had then."""
        return int(post.id) in self._naming.get(account.handle.lower(), [])

    def _latest(self, numbers: Sequence[int]) -> list[XPost]:
        posts = (self.posts[str(number)] for number in reversed(numbers))
        return [post for post in posts if post.state is not PostState.EDITED]

    def _keep(self, post: XPost, answered: XAccount | None) -> None:
        """File a post; `answered` is the account that it mentions by answering it."""
        self.posts[post.id] = post
        insort(self._by_author[post.author_id], int(post.id))
        for handle in {name.lower() for name in (*post.mentions, *([answered.handle] if answered else []))}:
            insort(self._naming[handle], int(post.id))
        if post.reply_to is not None:
            self._answers[post.reply_to].append(post.id)

    def _answered(self, post: XPost) -> XAccount | None:
        """Whose post this one answers; None when that is the author, or nobody any more."""
        answered = self.posts.get(post.reply_to) if post.reply_to else None
        return self.accounts.get(answered.author_id) if answered and answered.author_id != post.author_id else None

    def _free_id(self, moment: datetime) -> str:
        number = (int(moment.timestamp() * 1000) - _SNOWFLAKE_EPOCH_MS) << 22
        if number <= 0:
            raise ValueError("X's present ids begin in November 2010; post nothing before that")
        while str(number) in self.posts:
            number += 1
        return str(number)
