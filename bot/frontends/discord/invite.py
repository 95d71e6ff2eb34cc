"""The link by which a server's owner invites the bot, with the least that it needs. Pure."""

from __future__ import annotations

import discord

PERMISSIONS = discord.Permissions(
    view_channel=True,
    send_messages=True,
    send_messages_in_threads=True,
    create_public_threads=True,  # a duel has one of its own; it does without
    manage_webhooks=True,  # answers with the persona's name and face; it does without
    attach_files=True,  # pictures under a training's message; it does without
    read_message_history=True,  # Discord asks for it of whoever replies to a message
)
SCOPES = ("bot", "applications.commands")


def invite_link(application_id: int) -> str:
    """The link for the application with that id."""
    return discord.utils.oauth_url(application_id, permissions=PERMISSIONS, scopes=SCOPES)
