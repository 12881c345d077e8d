"""spec.className: which of several releases in a cluster handles an object (ADR 55)."""

from typing import Annotated, Any, Final

from pydantic import Field

CLASS_NAME_PATTERN: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
MAX_CLASS_NAME: Final = 63
"""It is also the value of a label."""

ClassName = Annotated[
    Annotated[str, Field(min_length=1, max_length=MAX_CLASS_NAME, pattern=CLASS_NAME_PATTERN)] | None,
    Field(
        description="Class of the object: only the smbferry release with this className (a value of its chart) handles "
        "it. Default: the release without a className. Objects that refer to each other need the same one, also a run "
        "and its task. Cannot be changed."
    ),
]
"""The same field of all kinds; None for the default class."""

CLASS_IS_FIXED: Final[dict[str, Any]] = {
    "rule": "has(self.className) == has(oldSelf.className)"
    " && (!has(self.className) || self.className == oldSelf.className)",
    "message": "className cannot be changed; create another object",
}
