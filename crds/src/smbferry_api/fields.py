"""Field types shared by the kinds, and the base classes that give every model the API's spelling.

A type here carries both its pydantic check (for manifests read from files) and its JSON schema (for the CRD), so
that a manifest is refused for the same reason with and without a cluster.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
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
    """Base of everything a person writes: camelCase on the wire, unknown fields refused by name."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class Status(BaseModel):
    """Base of everything smbferry reports. Unknown fields are kept out of the way: a newer writer may add some."""

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
    """Reads a duration as Kubernetes and Go write it: ``90s``, ``1h30m``.

    Raises:
        ValueError: the text is not such a duration.
    """
    if not re.fullmatch(DURATION_PATTERN, text):
        raise ValueError(f"{text!r} is not a duration; expected a number and a unit such as 30s, 5m or 1h30m")
    return sum((int(n) * _UNIT[unit] for n, unit in _DURATION_PART.findall(text)), timedelta())


@dataclass(frozen=True, slots=True)
class DurationRange:
    """Annotates a `str` as a duration between two others; kept as its text, checked by CEL and for files alike."""

    minimum: str = "1s"
    maximum: str | None = None
    word: str = ""
    """A word that may stand in its place."""

    def check(self, value: str) -> str:
        """The value itself.

        Raises:
            ValueError: not a duration, or out of range.
        """
        if self.word and value == self.word:
            return value
        length = parse_duration(value)
        if length < parse_duration(self.minimum) or (self.maximum and length > parse_duration(self.maximum)):
            raise ValueError(f"{value!r} is out of range; expected {self.minimum} to {self.maximum or 'any length'}")
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
    """Reads a byte quantity as Kubernetes writes it (``50Mi``, ``1G``, ``1048576``) into bytes.

    Raises:
        ValueError: not a quantity, or one below a byte.
    """
    match = _QUANTITY.match(str(value))
    if not match:
        raise ValueError(f"{value!r} is not a byte quantity; expected a number with k, M, G, T, Ki, Mi, Gi or Ti")
    size = int(Decimal(match[1]) * ({**_FACTOR, **_FACTOR_BINARY}[match[2]]))
    if size < 1:
        raise ValueError(f"{value!r} is less than one byte")
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
"""A byte quantity kept as written; `parse_quantity` gives bytes."""


def _utc(value: Any) -> Any:
    if isinstance(value, datetime) and value.tzinfo is None:
        raise ValueError("a time without a zone; expected RFC 3339 such as 2026-01-31T12:00:00Z")
    return value


def format_time(moment: datetime) -> str:
    """A moment as Kubernetes' `metav1.Time` writes it: UTC, whole seconds, a trailing Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Time = Annotated[
    datetime,
    AfterValidator(_utc),
    PlainSerializer(format_time, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""RFC 3339, aware; written in UTC with whole seconds."""

OBJECT_NAME_PATTERN: Final = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=OBJECT_NAME_PATTERN)]
"""metadata.name of another object in the same namespace (RFC 1123 subdomain)."""

DataKey = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
"""A key of a Secret's or a ConfigMap's data."""

_IPV4: Final = r"((25[0-5]|(2[0-4]|1?[0-9])?[0-9])\.){3}(25[0-5]|(2[0-4]|1?[0-9])?[0-9])"
IpAddress = Annotated[str, Field(max_length=45, pattern=rf"^({_IPV4}|[0-9a-fA-F:]*:[0-9a-fA-F:.]+)$")]
Nameservers = Annotated[tuple[IpAddress, ...], Field(max_length=3)]

# MS-FSCC 2.1.5: what no component of a path on an SMB share can hold.
_COMPONENT: Final = r'[^/\\:*?"<>|\x00-\x1f]'
PATH_PATTERN: Final = rf"^/({_COMPONENT}+(/{_COMPONENT}+)*/?)?$"
SHARE_PATTERN: Final = r'^[^/\\:*?"<>|\[\]+=;,\x00-\x1f]+$'


def _no_dot_segments(value: str) -> str:
    if any(part in {".", ".."} for part in value.split("/")):
        raise ValueError(f"{value!r} has a '.' or '..' segment; give the path itself")
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
                    "message": "must not have a '.' or '..' segment: give the path itself",
                }
            ]
        },
    ),
    AfterValidator(_no_dot_segments),
]
"""A path inside a share, '/' separated, starting at the share's root '/'."""


def _text(value: Any) -> Any:
    # YAML reads an unquoted 2026-11-21 as a date; a trigger is a text whatever it looks like.
    return value if isinstance(value, str) else str(value)


FreeText = Annotated[str, BeforeValidator(_text), Field(max_length=253)]
