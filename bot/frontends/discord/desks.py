"""The desks: each takes what people ask for in Discord's terms, and has it done by the rooms behind."""

from __future__ import annotations

from dataclasses import dataclass

from bot.frontends.discord.answers import AnswerDesk
from bot.frontends.discord.approvals import ApprovalDesk
from bot.frontends.discord.blends import BlendDesk
from bot.frontends.discord.channels import ChannelDesk
from bot.frontends.discord.forgetting import ForgetDesk
from bot.frontends.discord.guilds import Guilds
from bot.frontends.discord.house import HouseDesk
from bot.frontends.discord.privacy import PrivacyDesk
from bot.frontends.discord.purchases import PurchaseDesk
from bot.frontends.discord.rights import Rights
from bot.frontends.discord.settings import SettingsDesk
from bot.frontends.discord.talk import Talk


@dataclass(frozen=True, slots=True)
class Desks:
    """All of them; a client has one set."""

    rights: Rights
    talk: Talk
    answers: AnswerDesk
    purchases: PurchaseDesk
    blends: BlendDesk
    approvals: ApprovalDesk
    forgetting: ForgetDesk
    guilds: Guilds
    channels: ChannelDesk
    settings: SettingsDesk
    house: HouseDesk
    privacy: PrivacyDesk
