"""Discord's error answers as exceptions. The numbers are those of "JSON Error Codes" in its reference.

A handler raises one of these; one place (`rest.py`) turns it into an answer of the shape
`{"message": …, "code": …, "errors": …}`.
"""

from __future__ import annotations

from typing import Any

_UNKNOWN = {
    "Application": 10002,
    "Channel": 10003,
    "Guild": 10004,
    "Member": 10007,
    "Message": 10008,
    "User": 10013,
    "Webhook": 10015,
    "Interaction": 10062,
}


class DiscordError(Exception):
    """An answer that refuses a request."""

    def __init__(self, status: int, code: int, message: str, errors: dict[str, Any] | None = None) -> None:
        """`status` is the HTTP status, `code` Discord's own (0 for general ones), `errors` a tree by body key."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.errors = errors

    def payload(self) -> dict[str, Any]:
        """The JSON body of the answer."""
        body: dict[str, Any] = {"message": str(self), "code": self.code}
        return body if self.errors is None else body | {"errors": self.errors}


def unknown(thing: str) -> DiscordError:
    """404 for a thing that doesn't exist, or no longer: "Channel", "Message", "Interaction" and so on."""
    return DiscordError(404, _UNKNOWN[thing], f"Unknown {thing}")


def unauthorized() -> DiscordError:
    """401 for a missing or wrong bot token."""
    return DiscordError(401, 0, "401: Unauthorized")


def expired_token() -> DiscordError:
    """401 for an interaction token that is older than 15 minutes."""
    return DiscordError(401, 50027, "Invalid Webhook Token")


def already_acknowledged() -> DiscordError:
    """400 for the second callback of one interaction."""
    return DiscordError(400, 40060, "Interaction has already been acknowledged.")


def empty_message() -> DiscordError:
    """400 for a message that has nothing in it."""
    return DiscordError(400, 50006, "Cannot send an empty message")


def not_the_author() -> DiscordError:
    """403 for an edit of somebody else's message."""
    return DiscordError(403, 50005, "Cannot edit a message authored by another user")


def missing_access() -> DiscordError:
    """403 for a channel that the bot can't see."""
    return DiscordError(403, 50001, "Missing Access")


def missing_permissions() -> DiscordError:
    """403 for an action that the bot isn't allowed in a channel that it can see."""
    return DiscordError(403, 50013, "Missing Permissions")


def direct_conversation() -> DiscordError:
    """403 for what can't be done in a direct conversation."""
    return DiscordError(403, 50003, "Cannot execute action on a DM channel")


def locked_thread() -> DiscordError:
    """403 for a message to a thread that a moderator has locked."""
    return DiscordError(403, 160005, "Thread is locked")


def archived_thread() -> DiscordError:
    """400 for a change of a thread that is archived, other than taking it out of the archive."""
    return DiscordError(400, 50083, "Thread is archived")


def thread_exists() -> DiscordError:
    """400 for a second thread about one message."""
    return DiscordError(400, 160004, "A thread has already been created for this message")


def invalid_json() -> DiscordError:
    """400 for a body that isn't JSON."""
    return DiscordError(400, 50109, "The request body contains invalid JSON.")


def invalid_form(place: str, code: str, message: str) -> DiscordError:
    """400 for a value that breaks a rule; `place` is its path in the body with dots, such as "data.content"."""
    errors: dict[str, Any] = {"_errors": [{"code": code, "message": message}]}
    for key in reversed(place.split(".")):
        errors = {key: errors}
    return DiscordError(400, 50035, "Invalid Form Body", errors)
