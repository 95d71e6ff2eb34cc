"""The whole exception tree. A message is the sentence a user reads: what is wrong, then what to do about it.

Exit codes of the command line hang on the two branches: `UsageError` 2 (the caller can mend it), `OutsideError` 3
(something beyond this process is unavailable or said no). Anything else that escapes is a bug and exits with 1.
"""

from __future__ import annotations

from datetime import datetime


class MockingbirdError(Exception):
    """Base of everything raised on purpose; `str(error)` is one plain sentence for the person who asked."""

    exit_code = 1


class UsageError(MockingbirdError):
    """The request or the configuration is wrong, and whoever made it can mend it."""

    exit_code = 2


class ConfigError(UsageError):
    """A setting is unknown, of the wrong type, out of range, or contradicts another."""


class DatabaseTooNew(UsageError):
    """The database was written by a newer version of this program."""


class UnreadableSource(UsageError):
    """A file or folder of tweets can't be read as what it claims to be."""


class UnknownHandle(UsageError):
    """No tweets are stored under this handle, or no such account exists."""


class UnknownPersona(UsageError):
    """No persona of this name is on the shelf, or it has no published version."""


class UnknownVersion(UsageError):
    """The persona has no such version."""


class TooFewTweets(UsageError):
    """What remains after cleaning is not enough to learn from."""


class NotPermitted(UsageError):
    """The operator has not said that this may be done (consent, permission, approval)."""


class BudgetExceeded(UsageError):
    """The call would cost more than this month's cap leaves."""


class PriceExceeded(UsageError):
    """Going on would cost more than was agreed to."""


class Refused(UsageError):
    """A request was understood and declined: quota, empty result after all filters, a decision already taken."""


class OutsideError(MockingbirdError):
    """Something outside this process is unavailable or refused."""

    exit_code = 3


class BaseUnavailable(OutsideError):
    """The base model can't be had: hub unreachable, repository unknown or gated, folder incomplete."""


class DamagedVersion(OutsideError):
    """The files of a version are not those that were published."""


class HubError(OutsideError):
    """Hugging Face's hub refused, does not know the token, or can't be reached."""


class DiskFull(OutsideError):
    """The disk has no room for what was to be written; nothing published was touched."""


class PortInUse(OutsideError):
    """Another process listens on the configured address."""


class PortraitFailed(OutsideError):
    """The process that looks at an account's tweets ended without a portrait."""


class TrainingFailed(OutsideError):
    """The training process ended without a version; the reason is in the message."""


class JudgingFailed(OutsideError):
    """The figures of a version could not be found out; the reason is in the message."""


class Busy(OutsideError):
    """More requests wait than can be answered soon."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s  # seconds until it is worth asking again


class DiscordError(OutsideError):
    """Discord refused the token or can't be reached."""


class DiscordUnreachable(DiscordError):
    """Discord did not answer; worth trying again later."""


class XError(OutsideError):
    """X refused a request or can't be reached."""


class XRateLimited(XError):
    """A window or a cap of X is used up; `resets_at` says when the next request may be made, None when no one knows."""

    def __init__(self, message: str, resets_at: datetime | None) -> None:
        super().__init__(message)
        self.resets_at = resets_at  # UTC


class XKeysRefused(XError):
    """X does not accept the keys, or their app or account may not do this; only the operator can mend it."""


class XLoginEnded(XKeysRefused):
    """A login by OAuth 2.0 is worth nothing any more: it was taken back, or its refresh token was lost."""


class XCreditsDepleted(XError):
    """The X app has no credits left."""


class XAccountUnavailable(XError):
    """The account is protected, suspended or gone: its posts can't be read, and what is stored may have to go."""


class XPostRefused(XError):
    """X did not publish this text and will not; another may pass."""


class XDuplicate(XPostRefused):
    """The account has said this before, and X publishes no text twice; other words may pass."""


class XUnreachable(XError):
    """X can't be reached or does not answer as X does; worth trying again later."""

    def __init__(self, message: str, outcome_unknown: bool, may_be_billed: bool | None = None) -> None:
        super().__init__(message)
        self.may_be_billed = outcome_unknown if may_be_billed is None else may_be_billed  # X has the request, perhaps
        self.outcome_unknown = outcome_unknown  # True when something was to be written and may have been
