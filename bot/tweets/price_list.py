"""What each setting of [x] costs in a month of 30 days, for the guide. Pure.

What it does not know: how many mentions come. They are reckoned for a hundred.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from bot.config import Prices, X
from bot.tweets.forecast import Followed, a_day, posts_a_day

DAYS = 30
_MENTIONS = 100
_SPOKEN = {"persona": "nell", "check_interval_hours": 0.0}


@dataclass(frozen=True, slots=True)
class Line:
    """A setting with a value, and what it costs."""

    setting: str
    value: str
    what: str  # that is bought
    usd: Decimal  # US dollars in 30 days


def price_list(prices: Prices) -> Iterator[Line]:
    """The lines of the guide's table."""
    yield from _posting(prices)
    yield from _reading(prices)
    answer = prices.owned_read + prices.summoned_reply
    yield Line("reply_to_mentions", "true", f"{_MENTIONS} mentions read and answered", _MENTIONS * answer)
    other = prices.post_read + prices.summoned_reply
    what = f"the same for an account that does not own the app, {_MENTIONS} mentions"
    yield Line("reply_to_mentions", "true", what, _MENTIONS * other)
    yield Line("mentions_every_minutes", "5", "looking when there is nothing new", Decimal(0))


def _posting(prices: Prices) -> Iterator[Line]:
    for name, value in (
        ("post_every_minutes", 60.0),
        ("post_every_minutes", 240.0),
        ("post_every_minutes", 1440.0),
        ("post_at", ("09:00", "18:30")),
    ):
        settings = X.model_validate({**_SPOKEN, name: value})
        posts = posts_a_day(settings) * DAYS
        yield Line(name, _shown(value), f"{posts:.0f} posts without links", posts * prices.post_create)


def _reading(prices: Prices) -> Iterator[Line]:
    nobody = {"check_interval_hours": 0.0, "i_have_permission_to_train": True}
    busy, quiet, shelf = (Followed(1, Decimal(rate), stored) for rate, stored in ((20, 0), (1, 0), (0, 3_200)))
    following = X.model_validate(nobody)
    for followed in (busy, quiet):
        what = f"an account with {followed.posts_a_day} post{'s' if followed.posts_a_day != 1 else ''} a day"
        yield Line("fetch_interval_minutes", "any", what, DAYS * a_day(followed, following, prices))
    accounts, jobs, again = (
        DAYS * a_day(shelf, X.model_validate({"check_interval_hours": 12.0, "check_posts": how}), prices)
        for how in ("off", "jobs", "lookup")
    )
    yield Line("check_interval_hours", "12", "an account that is followed", accounts)
    yield Line("check_posts", '"lookup"', "3,200 fetched posts, each day", again - jobs)
    yield Line("check_posts", '"jobs"', "compliance jobs", jobs - accounts)


def _shown(value: float | tuple[str, ...]) -> str:
    return f"{value:g}" if isinstance(value, float) else "[" + ", ".join(f'"{at}"' for at in value) + "]"
