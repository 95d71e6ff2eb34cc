"""How accounts and posts are looked up: what is shown, what stands in `errors` instead, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.loopback.x.answers import Document, XRefusal, hidden_post, missing_post, unseen_user, without_empty
from bot.loopback.x.billing import Bill
from bot.loopback.x.content import XContent
from bot.loopback.x.media import XMedia
from bot.loopback.x.posts import XAccount, XPost, references
from bot.loopback.x.routes import Answer, Call, Caller, Handler
from bot.loopback.x.showing import media_key, post_document, user_document


class Reading:
    """Accounts by name and id, posts by id, and the documents that every other reading route is made of."""

    def __init__(self, content: XContent, bill: Bill, media: Mapping[str, XMedia]) -> None:
        self._content = content
        self._bill = bill
        self._media = media

    def handlers(self) -> dict[str, Handler]:
        """What answers each route."""
        return {
            "GET /2/users/by/username/:username": self._user_by_name,
            "GET /2/users/by": self._users_by_name,
            "GET /2/users": self._users_by_id,
            "GET /2/users/me": self._me,
            "GET /2/users/:id": self._user_by_id,
            "GET /2/tweets": self._posts_by_id,
            "GET /2/tweets/:id": self._post_by_id,
        }

    # Accounts

    def _user_by_name(self, call: Call, caller: Caller) -> Answer:
        name = call.parameters["username"]
        return self._one_user(call, caller, "username", name, self._content.find_account(name))

    def _user_by_id(self, call: Call, caller: Caller) -> Answer:
        user_id = call.parameters["id"]
        return self._one_user(call, caller, "id", user_id, self._content.accounts.get(user_id))

    def _me(self, call: Call, caller: Caller) -> Answer:
        assert caller.account_id is not None
        return self._one_user(call, caller, "id", caller.account_id, self._content.accounts[caller.account_id])

    def _one_user(self, call: Call, caller: Caller, parameter: str, subject: str, found: XAccount | None) -> Answer:
        if found is None or found.suspended:
            return Answer(200, {"errors": [unseen_user(parameter, subject, _why(found))]})
        return Answer(200, {"data": self._user(call, caller, found)})

    def _users_by_name(self, call: Call, caller: Caller) -> Answer:
        names = call.listed("usernames")
        return self._users(call, caller, "usernames", {name: self._content.find_account(name) for name in names})

    def _users_by_id(self, call: Call, caller: Caller) -> Answer:
        ids = call.listed("ids")
        return self._users(call, caller, "ids", {user_id: self._content.accounts.get(user_id) for user_id in ids})

    def _users(self, call: Call, caller: Caller, parameter: str, asked: Mapping[str, XAccount | None]) -> Answer:
        found, errors = [], []
        for subject, account in asked.items():
            if account is None or account.suspended:
                errors.append(unseen_user(parameter, subject, _why(account)))
            else:
                found.append(self._user(call, caller, account))
        return Answer(200, without_empty({"data": found, "errors": errors}))

    def _user(self, call: Call, caller: Caller, account: XAccount) -> Document:
        self._bill.read_user(caller, account.id)
        return user_document(self._content, account, call.listed("user.fields"))

    # Posts

    def _posts_by_id(self, call: Call, caller: Caller) -> Answer:
        found, errors = [], []
        for post_id in call.listed("ids"):
            error = self._unseen(post_id, "ids", "data", caller)
            if error is not None:
                errors.append(error)
            else:
                found.append(self._content.posts[post_id])
        document = self.posts_document(call, caller, found)
        return Answer(200, without_empty({**document, "errors": [*errors, *document.get("errors", ())]}))

    def _post_by_id(self, call: Call, caller: Caller) -> Answer:
        post_id = call.parameters["id"]
        error = self._unseen(post_id, "id", "data", caller)
        if error is not None:
            return Answer(200, {"errors": [error]})
        document = self.posts_document(call, caller, [self._content.posts[post_id]])
        return Answer(200, {**document, "data": document["data"][0]})

    def _unseen(self, post_id: str, parameter: str, section: str, caller: Caller) -> Document | None:
        """The error that stands for a post which can't be shown to this caller."""
        if self._content.is_gone(post_id):
            return missing_post(parameter, post_id)
        if not self._content.visible(self._content.posts[post_id].author_id, caller.account_id):
            return hidden_post(parameter, post_id, section)
        return None

    def posts_document(self, call: Call, caller: Caller, posts: Sequence[XPost], *, owned: bool = False) -> Document:
        """`data`, `includes` and `errors` for these posts, without the keys that would be empty; and their charges.

        `owned` posts cost less.
        """
        expansions = call.listed("expansions")
        fields = {*call.listed("tweet.fields"), *(_field(expansion) for expansion in expansions)}
        referenced, errors = self._referenced(posts, expansions, caller)
        users = self._users_beside(posts, referenced, expansions, errors)
        for post in posts:
            self._bill.read_post(caller, post.id, owned=owned)
        for post in referenced:
            self._bill.read_post(caller, post.id)
        for user in users:
            self._bill.read_user(caller, user.id)
        asked_of_users = call.listed("user.fields")
        includes = {
            "tweets": [post_document(self._content, post, fields) for post in referenced],
            "users": [user_document(self._content, user, asked_of_users) for user in users],
            "media": self._media_beside(call, [*posts, *referenced]),
        }
        data = [post_document(self._content, post, fields) for post in posts]
        return without_empty({"data": data, "includes": without_empty(includes), "errors": errors})

    def _referenced(
        self, posts: Sequence[XPost], expansions: Sequence[str], caller: Caller
    ) -> tuple[list[XPost], list[Document]]:
        """The posts that these refer to, each once, and an error for each that can't be shown."""
        found: dict[str, XPost] = {}
        errors: list[Document] = []
        for post in posts:
            wanted = [post_id for _, post_id in references(post)] if _reference_asked(expansions) else []
            wanted += post.versions[:-1] if "edit_history_tweet_ids" in expansions else ()
            for post_id in wanted:
                error = self._unseen(post_id, "referenced_tweets.id", "includes", caller)
                if error is not None:
                    errors.append(error)
                else:
                    found[post_id] = self._content.posts[post_id]
        return list(found.values()), errors

    def _users_beside(
        self,
        posts: Sequence[XPost],
        referenced: Sequence[XPost],
        expansions: Sequence[str],
        errors: list[Document],
    ) -> list[XAccount]:
        """The accounts that the expansions ask for, each once; those that can't be shown are added to `errors`."""
        accounts = self._content.accounts
        wanted: list[str] = []
        if "author_id" in expansions:
            wanted += [post.author_id for post in posts]
        if "referenced_tweets.id.author_id" in expansions:
            wanted += [post.author_id for post in referenced]
        if "in_reply_to_user_id" in expansions:
            answered = [self._content.posts.get(post.reply_to or "") for post in posts]
            wanted += [post.author_id for post in answered if post is not None]
        found = {account_id: accounts[account_id] for account_id in dict.fromkeys(wanted) if account_id in accounts}
        gone = [account_id for account_id in dict.fromkeys(wanted) if account_id not in accounts]
        errors += [unseen_user("in_reply_to_user_id", account_id, XRefusal.NOT_FOUND) for account_id in gone]
        if "entities.mentions.username" in expansions:
            for name in [name for post in posts for name in post.mentions]:
                account = self._content.find_account(name)
                if account is None or account.suspended:
                    errors.append(unseen_user("entities.mentions.username", name, XRefusal.NOT_FOUND))
                else:
                    found[account.id] = account
        return list(found.values())

    def _media_beside(self, call: Call, posts: Sequence[XPost]) -> list[Document]:
        """The pictures of these posts, when the expansions ask for them."""
        if "attachments.media_keys" not in call.listed("expansions"):
            return []
        asked = {"media_key", "type", *call.listed("media.fields")}
        shown = []
        for media_id in dict.fromkeys(media_id for post in posts for media_id in post.media):
            media = self._media.get(media_id)
            everything = {
                "media_key": media_key(media_id),
                "type": "photo",
                "alt_text": media.alt_text if media else "",
                "url": f"https://pbs.twimg.com/media/{media_id}.png",
            }
            shown.append({key: value for key, value in everything.items() if key in asked and value})
        return shown


def _why(account: XAccount | None) -> XRefusal:
    return XRefusal.NOT_FOUND if account is None else XRefusal.SUSPENDED


def _reference_asked(expansions: Sequence[str]) -> bool:
    return any(expansion.startswith("referenced_tweets.id") for expansion in expansions)


def _field(expansion: str) -> str:
    """The field of a post that an expansion brings along."""
    return expansion.split(".")[0]
