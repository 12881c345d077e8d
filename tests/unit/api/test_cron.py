"""What is a cron expression is taken, by the API server and by us alike; what is none is refused in words."""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, datetime

import pytest
from croniter import CroniterBadDateError, croniter
from hypothesis import given
from hypothesis import strategies as st

from smbferry_api.cron import ALIASES, CRON_RULES, expand, problem_of

GOOD = [
    "0 2 * * *", "*/15 * * * *", "0,30 8-18/2 1,15 * mon-fri", "5 4 L * *", "0 3 * jan,Dec SUN", "0 0 * * 5#2",
    "0 0 * * L5", "00 02 01 01 07", "  0  2\t* * * ", "0 2 ? * ?", *ALIASES,
]  # fmt: skip
BAD = {
    "": "five fields",
    "0 2 * *": "five fields",
    "0 2 * * * *": "five fields",
    "@reboot": "@hourly",
    "@Daily": "@hourly",
    "60 2 * * *": "minute to be 0 to 59",
    "0 25 * * *": "hour to be 0 to 23",
    "0 24 * * *": "hour to be 0 to 23",
    "0 2 0 * *": "day of month to be 1 to 31",
    "0 2 32 * *": "day of month to be 1 to 31",
    "0 2 * 13 *": "month to be 1 to 12",
    "0 2 * foo *": "month to be 1 to 12",
    "0 2 * * 8": "day of week to be 0 to 7",
    "0 2 * * mondays": "day of week to be 0 to 7",
    "*/0 2 * * *": "minute",
    "1- 2 * * *": "minute",
    ",1 2 * * *": "minute",
    "-5 2 * * *": "minute",
    "0 2 * * 5#6": "day of week",
}


def refused(cron: str) -> str:
    """The message of the first CEL rule that the API server would refuse it by; its regular expressions are RE2's."""
    is_alias, five = cron.startswith("@"), re.match(_patterns(CRON_RULES[0])[0], cron)
    if not is_alias and not five:
        return CRON_RULES[0]["message"]
    if is_alias:
        return "" if cron in ALIASES else CRON_RULES[1]["message"]
    return next((rule["message"] for rule in CRON_RULES[2:] if not re.match(_patterns(rule)[1], cron)), "")


def _patterns(rule: dict[str, str]) -> list[str]:
    return re.findall(r"matches\(r'(.*?)'\)", rule["rule"])


@pytest.mark.parametrize("cron", GOOD)
def test_an_expression_is_taken(cron: str) -> None:
    assert problem_of(cron) == refused(cron) == ""
    croniter(expand(cron), datetime(2026, 1, 1, tzinfo=UTC)).get_next()


@pytest.mark.parametrize(("cron", "said"), BAD.items())
def test_what_is_none_is_refused_in_words(cron: str, said: str) -> None:
    assert said in problem_of(cron)
    assert said in refused(cron)
    assert f'got "{cron}"' in problem_of(cron)


number = st.integers(0, 61).map(str) | st.sampled_from(["*", "?", "L", "mon", "sun", "feb", "DEC", "5#2", "x"])
item = number | st.tuples(number, number).map("-".join) | st.tuples(number, number).map("/".join)
field = st.lists(item, min_size=1, max_size=3).map(",".join)


@given(st.lists(field, min_size=4, max_size=6).map(" ".join))
def test_both_checks_agree(cron: str) -> None:
    assert bool(problem_of(cron)) == bool(refused(cron))
    assert problem_of(cron).partition(", got")[0] == refused(cron)


def values(least: int, most: int) -> st.SearchStrategy[str]:
    """Fields of values, ranges and steps in these bounds."""
    one = st.integers(least, most).map(str)
    ranges = st.tuples(one, one).map("-".join)
    item = st.just("*") | one | ranges | st.tuples(st.just("*") | ranges, st.integers(1, 9).map(str)).map("/".join)
    return st.lists(item, min_size=1, max_size=3).map(",".join)


@given(st.tuples(values(0, 59), values(0, 23), values(1, 31), values(1, 12), values(0, 7)).map(" ".join))
def test_the_library_can_read_what_is_taken(cron: str) -> None:
    assert problem_of(cron) == refused(cron) == ""
    with contextlib.suppress(CroniterBadDateError):  # the operator says so
        croniter(cron, datetime(2026, 1, 1, tzinfo=UTC)).get_next()


def test_the_rules_fit_into_a_schema() -> None:
    assert sum(len(rule["rule"]) for rule in CRON_RULES) < 16_000
    assert all("'" not in pattern for rule in CRON_RULES for pattern in _patterns(rule))
