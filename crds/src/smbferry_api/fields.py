"""Field types shared by the kinds, and the base classes of all models.

Each type has both a pydantic check (for manifests in files) and a JSON schema (for the CRD), so that a manifest is
rejected for the same reason with and without a cluster.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, core_schema


class Spec(BaseModel):
    """Base class of specs: camelCase on the wire; unknown fields are rejected."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class Status(BaseModel):
    """Base class of statuses. Unknown fields are ignored, because a newer version may add some."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


_DURATION_PART: Final = re.compile(r"(\d+)(ms|s|m|h)")
DURATION_PATTERN: Final = r"^([0-9]+(ms|s|m|h))+$"
_UNIT: Final = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
}


def parse_duration(text: str) -> timedelta:
    """Parses a duration in the notation of Kubernetes and Go: ``90s``, ``1h30m``.

    Raises:
        ValueError: the text is not a duration.
    """
    if not re.fullmatch(DURATION_PATTERN, text):
        raise ValueError(f"expected a duration such as 30s, 5m or 1h30m, got {text!r}")
    return sum((int(n) * _UNIT[unit] for n, unit in _DURATION_PART.findall(text)), timedelta())


@dataclass(frozen=True, slots=True)
class DurationRange:
    """Annotates a `str` as a duration within a range. CEL and pydantic apply the same check."""

    minimum: str = "1s"
    maximum: str | None = None
    word: str = ""
    """A keyword that is accepted instead of a duration."""

    def check(self, value: str) -> str:
        """Returns the value unchanged.

        Raises:
            ValueError: not a duration, or out of range.
        """
        if self.word and value == self.word:
            return value
        length = parse_duration(value)
        if length < parse_duration(self.minimum) or (self.maximum and length > parse_duration(self.maximum)):
            expected = f"{self.minimum} to {self.maximum}" if self.maximum else f"at least {self.minimum}"
            raise ValueError(f"expected {expected}, got {value!r}")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, _core: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        pattern = f"^({self.word}|{DURATION_PATTERN.strip('^$')})$" if self.word else DURATION_PATTERN
        other = f"self == '{self.word}' || " if self.word else ""
        rules = [
            {
                "rule": f"{other}duration(self) >= duration('{self.minimum}')",
                "message": f"must be at least {self.minimum}",
            }
        ]
        if self.maximum:
            rules.append(
                {
                    "rule": f"{other}duration(self) <= duration('{self.maximum}')",
                    "message": f"must be at most {self.maximum}",
                }
            )
        return {"type": "string", "pattern": pattern, "maxLength": 32, "x-kubernetes-validations": rules}


_QUANTITY: Final = re.compile(r"^(\d+(?:\.\d+)?)(|k|M|G|T|Ki|Mi|Gi|Ti)$")
_FACTOR: Final = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_FACTOR_BINARY: Final = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def parse_quantity(value: str | int) -> int:
    """Parses a quantity in the notation of Kubernetes (``50Mi``, ``1G``, ``1048576``) into bytes.

    Raises:
        ValueError: not a quantity, or less than one byte.
    """
    match = _QUANTITY.match(str(value))
    if not match:
        raise ValueError(f"expected a byte quantity such as 50Mi (units: k, M, G, T, Ki, Mi, Gi, Ti), got {value!r}")
    size = int(Decimal(match[1]) * ({**_FACTOR, **_FACTOR_BINARY}[match[2]]))
    if size < 1:
        raise ValueError(f"expected at least one byte, got {value!r}")
    return size


def _check_quantity(value: str | int) -> str | int:
    parse_quantity(value)
    return value


Quantity = Annotated[
    str | int,
    AfterValidator(_check_quantity),
    WithJsonSchema(
        {
            "x-kubernetes-int-or-string": True,
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "pattern": _QUANTITY.pattern,
            "maxLength": 32,
        }
    ),
]
"""A byte quantity, kept as written; `parse_quantity` converts it to bytes."""


def _utc(value: Any) -> Any:
    if isinstance(value, datetime) and value.tzinfo is None:
        raise ValueError(
            "expected an RFC 3339 time with a time zone such as 2026-01-31T12:00:00Z, got {value.isoformat()}"
        )
    return value


@lru_cache(maxsize=4096)  # each is asked for many times while nothing changes
def format_time(moment: datetime) -> str:
    """Formats a time as Kubernetes' `metav1.Time`: UTC, whole seconds, a trailing Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Time = Annotated[
    datetime,
    AfterValidator(_utc),
    PlainSerializer(format_time, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""An RFC 3339 time with a time zone; serialized in UTC with whole seconds."""

_TIME_PATTERN: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})"
_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)


def parse_time(text: str) -> datetime:
    """Parses an RFC 3339 time with whole seconds and a time zone; the result is in UTC.

    Raises:
        ValueError: the text is not such a time, or is before 1970.
    """
    expected = "an RFC 3339 time with a time zone such as 2026-01-31T12:00:00Z"
    if not re.fullmatch(_TIME_PATTERN, text):
        raise ValueError(f"expected {expected}, got {text!r}")
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"expected {expected}, got {text!r}, which does not exist") from None
    if moment < _EARLIEST:
        raise ValueError(f"expected a time after 1970, got {text!r}")
    return moment


def _time_as_text(value: Any) -> Any:
    # PyYAML reads an unquoted time as one.
    return format_time(value) if isinstance(value, datetime) and value.tzinfo is not None else value


@dataclass(frozen=True, slots=True)
class TimeOrWord:
    """Annotates a `str` as a time or one of some keywords. CEL and pydantic apply the same check."""

    words: tuple[str, ...]

    def check(self, value: str) -> str:
        """Returns the value unchanged.

        Raises:
            ValueError: neither a keyword nor a time.
        """
        if value not in self.words:
            try:
                parse_time(value)
            except ValueError as error:
                other = str(error).removeprefix("expected ")
                raise ValueError(f"expected {', '.join(self.words)} or {other}") from None
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        text = core_schema.no_info_before_validator_function(_time_as_text, handler(source))
        return core_schema.no_info_after_validator_function(self.check, text)

    def __get_pydantic_json_schema__(self, _core: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        words = ", ".join(f"'{word}'" for word in self.words)
        rule = {
            "rule": f"self in [{words}] || timestamp(self) >= timestamp('{format_time(_EARLIEST)}')",
            "message": f"must be {', '.join(self.words)} or an RFC 3339 time after 1970 such as 2026-01-31T12:00:00Z",
        }
        pattern = f"^({'|'.join(self.words)}|{_TIME_PATTERN})$"
        return {"type": "string", "pattern": pattern, "maxLength": 32, "x-kubernetes-validations": [rule]}


OBJECT_NAME_PATTERN: Final = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=OBJECT_NAME_PATTERN)]
"""The metadata.name of an object in the same namespace (RFC 1123 subdomain)."""

DataKey = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
"""A key in the data of a Secret or ConfigMap."""

_IPV4: Final = r"((25[0-5]|(2[0-4]|1?[0-9])?[0-9])\.){3}(25[0-5]|(2[0-4]|1?[0-9])?[0-9])"
IpAddress = Annotated[str, Field(max_length=45, pattern=rf"^({_IPV4}|[0-9a-fA-F:]*:[0-9a-fA-F:.]+)$")]
Nameservers = Annotated[tuple[IpAddress, ...], Field(max_length=3)]

# MS-FSCC 2.1.5: characters that are not allowed in a component of a path on an SMB share.
_COMPONENT: Final = r'[^/\\:*?"<>|\x00-\x1f]'
PATH_PATTERN: Final = rf"^/({_COMPONENT}+(/{_COMPONENT}+)*/?)?$"
SHARE_PATTERN: Final = r'^[^/\\:*?"<>|\[\]+=;,\x00-\x1f]+$'


def _no_dot_segments(value: str) -> str:
    if any(part in {".", ".."} for part in value.split("/")):
        raise ValueError(f"expected a path without '.' or '..' segments, got {value!r}")
    return value


SharePath = Annotated[
    str,
    Field(
        min_length=1,
        max_length=1024,
        pattern=PATH_PATTERN,
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": "!self.split('/').exists(s, s == '.' || s == '..')",
                    "message": "must not contain '.' or '..' segments",
                }
            ]
        },
    ),
    AfterValidator(_no_dot_segments),
]
"""An absolute path inside a share, separated by '/'."""


def _text(value: Any) -> Any:
    # YAML reads an unquoted 2026-11-21 as a date; a trigger is always text.
    return value if isinstance(value, str) else str(value)


FreeText = Annotated[str, BeforeValidator(_text), Field(max_length=253)]
