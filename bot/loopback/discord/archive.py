"""All messages, found without looking at every one: by id, by channel, by nonce, by what they reply to."""

from __future__ import annotations

from collections.abc import Collection

from bot.loopback.discord.messages import Attachment, Message

_SLACK = 0.1  # the share by which the archive grows before the oldest are dropped again, so that it is rarely done


class Archive:
    """The messages in the order in which they came, as many as there is room for."""

    def __init__(self, keeps: int) -> None:
        """`keeps` is how many messages there is room for; of those with buttons, which still matter, twice as many."""
        self._keeps = keeps
        self._full = keeps * (1 + _SLACK)
        self._by_channel: dict[int, dict[int, Message]] = {}
        self._by_nonce: dict[tuple[int, int, str | int], Message] = {}
        self._replies: dict[int, list[Message]] = {}
        self.by_id: dict[int, Message] = {}
        self.attachments: dict[int, Attachment] = {}

    def add(self, message: Message) -> None:
        """Keep a new message."""
        self.by_id[message.id] = message
        self._by_channel.setdefault(message.channel.id, {})[message.id] = message
        if message.nonce is not None:
            self._by_nonce[message.channel.id, message.author.id, message.nonce] = message
        if message.replies_to is not None:
            self._replies.setdefault(message.replies_to, []).append(message)
        if len(self.by_id) > self._full:
            self._drop_oldest()
            self._full = len(self.by_id) + self._keeps * _SLACK

    def attach(self, attachment: Attachment) -> None:
        """Let a file be downloaded."""
        self.attachments[attachment.id] = attachment
        while len(self.attachments) > self._keeps:
            del self.attachments[next(iter(self.attachments))]

    def in_channel(self, channel_id: int) -> dict[int, Message]:
        """The messages of a channel by id, oldest first."""
        return self._by_channel.get(channel_id, {})

    def with_nonce(self, channel_id: int, author_id: int, nonce: str | int) -> Message | None:
        """What an author sent to a channel with this nonce."""
        return self._by_nonce.get((channel_id, author_id, nonce))

    def replies_to(self, message_id: int) -> Collection[Message]:
        """The replies to a message, oldest first."""
        return self._replies.get(message_id, ())

    def drop(self, message: Message) -> None:
        """Forget a message."""
        del self.by_id[message.id]
        channel = self._by_channel[message.channel.id]
        del channel[message.id]
        if not channel:
            del self._by_channel[message.channel.id]
        if message.nonce is not None:
            self._by_nonce.pop((message.channel.id, message.author.id, message.nonce), None)
        if message.replies_to is not None:
            replies = self._replies[message.replies_to]
            replies.remove(message)
            if not replies:
                del self._replies[message.replies_to]
        for attachment in message.attachments:
            self.attachments.pop(attachment.id, None)

    def _drop_oldest(self) -> None:
        """Make room: first those that nobody can press a button of, then any."""
        unneeded = [m for m in self.by_id.values() if m.deleted or not m.components]
        for message in unneeded[: len(self.by_id) - self._keeps]:
            self.drop(message)
        for message in list(self.by_id.values())[: max(0, len(self.by_id) - 2 * self._keeps)]:
            self.drop(message)
