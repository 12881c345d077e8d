"""The limit of deletions at the destination."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class DeleteLimit:
    """``maxDeletes``, parsed: a count, or a percentage of what the destination has."""

    count: int | None
    percent: float | None

    @classmethod
    def parse(cls, value: str | int) -> Self:
        """Parse ``100``, ``"100"`` or ``"10%"``; raises ValueError for anything else."""
        text = str(value).strip()
        number = text.removesuffix("%")
        share = text.endswith("%")
        digits = number.replace(".", "", 1) if share else number
        if not digits.isascii() or not digits.isdigit():
            raise ValueError(f"maxDeletes: expected a count or a percentage such as 10%, got {value!r}")
        if share:
            percent = float(number)
            if percent > 100:  # noqa: PLR2004  # a hundred per cent is all
                raise ValueError(f"maxDeletes: expected at most 100%, got {value!r}")
            return cls(None, percent)
        return cls(int(number), None)

    def allows(self, deletes: int, listed: int) -> bool:
        """Return whether ``deletes`` of the ``listed`` files and folders may be deleted."""
        if self.count is not None:
            return deletes <= self.count
        return deletes * 100 <= (self.percent or 0.0) * listed
