"""How a run gives way to other users of its servers: the option, and what the status says of it."""

import re
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from smbferry_api.fields import Spec, Status

LATENCY_FACTOR_PATTERN: Final = r"^[0-9]{1,2}(\.[0-9]{1,3})?$"
_MOST: Final = 10
_LATENCY_FACTOR: Final = 'a factor above 1 and at most 10, in quotes, such as "1.2"'


def _latency_factor(value: Any) -> Any:
    # The API server refuses numbers with a fraction, too: they are not the same in all languages.
    if isinstance(value, float):
        message = f"expected {_LATENCY_FACTOR}, got the number {value} without quotes"
        raise ValueError(message)  # noqa: TRY004  # pydantic converts no TypeError
    return value


def _above_one(value: str | int) -> str | int:
    if not re.fullmatch(LATENCY_FACTOR_PATTERN, str(value)) or not 1 < Decimal(str(value)) <= _MOST:
        raise ValueError(f"expected {_LATENCY_FACTOR}, got {value!r}")
    return value


LatencyFactor = Annotated[
    str | int,
    BeforeValidator(_latency_factor),
    AfterValidator(_above_one),
    WithJsonSchema(
        {
            "x-kubernetes-int-or-string": True,
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "pattern": LATENCY_FACTOR_PATTERN,
            "maxLength": 8,
            "x-kubernetes-validations": [
                {
                    "rule": "double(string(self)) > 1.0 && double(string(self)) <= 10.0",
                    "message": "must be above 1 and at most 10",
                }
            ],
        }
    ),
]
"""A decimal number, kept as written."""


class Politeness(Spec):
    """Give way to other users of the servers."""

    latency_factor: Annotated[
        LatencyFactor,
        Field(
            description="Factor by which replies to small requests may become slower than without the run, in quotes, "
            'such as "1.2". Beyond it the run sends fewer requests at once.'
        ),
    ]


class PolitenessStatus(Status):
    """How the run gives way to other users of its servers, if options.politeness is set."""

    latency_factor: Annotated[str, Field(description="options.politeness.latencyFactor.")]
    side: Annotated[
        str | None,
        Field(
            description="Side whose server is compared below, source or destination: the one whose replies are the "
            "slowest in comparison with its idle replies."
        ),
    ] = None
    idle: Annotated[
        str | None,
        Field(description="Reply time of 95 % of small requests while the run sends nothing, such as 1.3ms."),
    ] = None
    current: Annotated[str | None, Field(description="Current reply time of 95 % of small requests.")] = None
    factor: Annotated[str | None, Field(description="current in relation to idle, such as 1.42.")] = None
    share_percent: Annotated[
        int,
        Field(ge=0, le=100, description="Percentage of its usual number of requests that the run may send at once."),
    ] = 100
    slowed: Annotated[str, Field(description="How long sharePercent was below 100, such as 3m20s.")] = "0.0s"
    message: Annotated[str, Field(max_length=512, description="What the run does, and why.")] = ""
