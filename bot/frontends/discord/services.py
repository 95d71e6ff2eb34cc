"""What this front end hands over to: the rooms behind it."""

from __future__ import annotations

from dataclasses import dataclass

from bot.database import Database
from bot.frontends.discord.operation import Operation
from bot.frontends.discord.trainings import Learning
from bot.personas.takedown import Takedowns
from bot.replies.conversation import Conversation
from bot.replies.duels import Duels
from bot.replies.guessing import Guessing
from bot.replies.posts import Posts
from bot.shelf.shelf import Shelf
from bot.training.blends import Blends
from bot.training.decisions import Decisions
from bot.training.purchases import Purchases
from bot.tweets.costs import Ledger
from bot.tweets.store import TweetStore


@dataclass(frozen=True, slots=True)
class Services:
    """One set for a front end."""

    database: Database
    store: TweetStore
    shelf: Shelf
    ledger: Ledger
    conversation: Conversation
    posts: Posts
    trainings: Learning
    purchases: Purchases
    blends: Blends
    decisions: Decisions
    takedowns: Takedowns
    guessing: Guessing
    duels: Duels
    operation: Operation
