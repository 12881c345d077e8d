"""Cron expressions: what the API server refuses at admission, and what aliases stand for.

The syntax is that of cron(5) with the extensions of croniter: names of months and days, steps, `L` for the last day of
a month, `5#2` for the second Friday and `L5` for the last one.
"""

import json
import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field

ALIASES: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FIELDS: Final = 5
_EXAMPLE: Final = 'expected five fields such as "0 2 * * *", or a word such as @daily'
_FIVE: Final = rf"^[ \t]*([^ \t]+[ \t]+){{{_FIELDS - 1}}}[^ \t]+[ \t]*$"


def _items(value: str, *, alone: str = "") -> str:
    """A field's pattern: values, ranges and steps in a list; ``alone`` is what else an item may be."""
    item = rf"((\*|{value}(-{value})?)(/[1-9][0-9]*)?{alone})"
    return f"{item}(,{item})*"


_MONTHS: Final = (
    "([Jj][Aa][Nn]|[Ff][Ee][Bb]|[Mm][Aa][Rr]|[Aa][Pp][Rr]|[Mm][Aa][Yy]|[Jj][Uu][Nn]|[Jj][Uu][Ll]|[Aa][Uu][Gg]|"
    "[Ss][Ee][Pp]|[Oo][Cc][Tt]|[Nn][Oo][Vv]|[Dd][Ee][Cc]|0?[1-9]|1[0-2])"
)
_DAYS: Final = "([Ss][Uu][Nn]|[Mm][Oo][Nn]|[Tt][Uu][Ee]|[Ww][Ee][Dd]|[Tt][Hh][Uu]|[Ff][Rr][Ii]|[Ss][Aa][Tt]|0?[0-7])"
_PLACES: Final = (
    ("minute", "0 to 59", _items("(0?[0-9]|[1-5][0-9])")),
    ("hour", "0 to 23", _items("([01]?[0-9]|2[0-3])")),
    ("day of month", "1 to 31, or L", _items("(0?[1-9]|[12][0-9]|3[01])", alone=r"|[Ll]|\?")),
    ("month", "1 to 12, or jan to dec", _items(_MONTHS)),
    ("day of week", "0 to 7, or sun to sat", _items(_DAYS, alone=rf"|{_DAYS}#[1-5]|[Ll]{_DAYS}|\?")),
)


def _at(index: int, pattern: str) -> str:
    """The pattern of a whole expression that has ``pattern`` as its field ``index``."""
    before, after = rf"([^ \t]+[ \t]+){{{index}}}", rf"([ \t]+[^ \t]+){{{_FIELDS - 1 - index}}}"
    return rf"^[ \t]*{before}{pattern}{after}[ \t]*$"


_ONE_OF: Final = f"expected one of {', '.join(ALIASES)}"
_PATTERNS: Final = tuple(
    (f"expected the {name} to be {values}", _at(index, one)) for index, (name, values, one) in enumerate(_PLACES)
)


def problem_of(cron: str) -> str:
    """What is wrong with an expression, in words; empty if nothing is."""
    if cron in ALIASES:
        return ""
    got = f", got {json.dumps(cron)}"
    if cron.startswith("@"):
        return f"{_ONE_OF}{got}"
    if re.match(_FIVE, cron) is None:
        return f"{_EXAMPLE}{got}"
    return next((f"{expected}{got}" for expected, pattern in _PATTERNS if not re.match(pattern, cron)), "")


def _checked(value: str) -> str:
    problem = problem_of(value)
    if problem:
        raise ValueError(problem)
    return value


def _rule(condition: str, message: str) -> dict[str, str]:
    return {"rule": condition, "message": message, "messageExpression": f"'{message}, got \"' + self + '\"'"}


def _matches(pattern: str) -> str:
    return f"self.matches(r'{pattern}')"  # a raw string of CEL


CRON_RULES: Final = [
    _rule(f"self.startsWith('@') || {_matches(_FIVE)}", _EXAMPLE),
    _rule(f"!self.startsWith('@') || self in [{', '.join(repr(alias) for alias in ALIASES)}]", _ONE_OF),
    *(
        _rule(f"self.startsWith('@') || !{_matches(_FIVE)} || {_matches(pattern)}", expected)
        for expected, pattern in _PATTERNS
    ),
]
Cron = Annotated[
    str,
    Field(max_length=128, json_schema_extra={"x-kubernetes-validations": CRON_RULES}),
    AfterValidator(_checked),
]
"""A cron expression: minute, hour, day of month, month and day of week, or an alias such as @daily."""


def expand(cron: str) -> str:
    """The five fields of an expression."""
    return ALIASES.get(cron, cron)
