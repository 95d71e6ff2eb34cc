"""The desks: each takes what people ask for in Discord's terms, and has it done by the rooms behind."""

from __future__ import annotations

from dataclasses import dataclass

from bot.frontends.discord.answers import AnswerDesk
from bot.frontends.discord.approvals import ApprovalDesk
from bot.frontends.discord.blends import BlendDesk
from bot.frontends.discord.catalogue import Catalogue
from bot.frontends.discord.channels import ChannelDesk
from bot.frontends.discord.completion import Completion
from bot.frontends.discord.duels import DuelDesk
from bot.frontends.discord.forgetting import ForgetDesk
from bot.frontends.discord.guessing import GuessDesk
from bot.frontends.discord.guilds import Guilds
from bot.frontends.discord.house import HouseDesk
from bot.frontends.discord.privacy import PrivacyDesk
from bot.frontends.discord.purchases import PurchaseDesk
from bot.frontends.discord.replying import ReplyDesk
from bot.frontends.discord.rights import Rights
from bot.frontends.discord.settings import SettingsDesk
from bot.frontends.discord.talk import Talk
from bot.frontends.discord.trainings import TrainingDesk
from bot.frontends.discord.versions import VersionDesk


@dataclass(frozen=True, slots=True)
class Desks:
    """All of them; a client has one set."""

    rights: Rights
    talk: Talk
    trainings: TrainingDesk
    answers: AnswerDesk
    purchases: PurchaseDesk
    catalogue: Catalogue
    versions: VersionDesk
    completion: Completion
    blends: BlendDesk
    approvals: ApprovalDesk
    forgetting: ForgetDesk
    guessing: GuessDesk
    replying: ReplyDesk
    duels: DuelDesk
    guilds: Guilds
    channels: ChannelDesk
    settings: SettingsDesk
    house: HouseDesk
    privacy: PrivacyDesk
