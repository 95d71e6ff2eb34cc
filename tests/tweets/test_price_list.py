"""The guide's table of what each setting costs is the one that the code computes."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

from bot.config import Prices, X
from bot.tweets.costs import dollars
from bot.tweets.price_list import price_list

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "x.md"


def table(prices: Prices) -> str:
    rows = [f"| `{line.setting}` | `{line.value}` | {line.what} | {dollars(line.usd)} |" for line in price_list(prices)]
    return "\n".join(["| Setting | Value | What is bought | 30 days cost |", "| --- | --- | --- | --- |", *rows])


def test_the_guide_holds_the_table_that_the_code_computes() -> None:
    [written] = re.findall(
        r"<!-- settings -->\n(.*)\n<!-- end of settings -->", GUIDE.read_text(encoding="utf-8"), re.DOTALL
    )
    assert written == table(Prices()), f"docs/x.md should hold:\n{table(Prices())}"


def test_every_line_is_about_a_setting_that_exists() -> None:
    assert {line.setting for line in price_list(Prices())} <= set(X.model_fields)


def test_other_prices_make_another_table() -> None:
    dear = {line.what: line.usd for line in price_list(Prices(post_create=Decimal("0.030")))}
    cheap = {line.what: line.usd for line in price_list(Prices())}
    assert dear["720 posts without links"] == 2 * cheap["720 posts without links"] == Decimal("21.60")


def test_a_price_for_compliance_jobs_is_paid_for_each_check() -> None:
    lines = {(line.setting, line.value): line.usd for line in price_list(Prices(compliance_job=Decimal("0.1")))}
    assert lines["check_posts", '"jobs"'] == 60 * Decimal("0.1")
    assert lines["check_interval_hours", "12"] == Decimal("0.30")
