"""How much may be deleted at the destination."""

from dataclasses import dataclass
from typing import Self

from smbferry_engine.model import DeletedFiles, Options


@dataclass(frozen=True, slots=True)
class DeleteLimit:
    """``maxDeletes``, parsed: a count, or a share of what the destination holds."""

    count: int | None
    percent: float | None

    @classmethod
    def parse(cls, value: str | int) -> Self:
        """From ``100``, ``"100"`` or ``"10%"``; ValueError for anything else."""
        text = str(value).strip()
        number = text.removesuffix("%")
        share = text.endswith("%")
        digits = number.replace(".", "", 1) if share else number
        if not digits.isascii() or not digits.isdigit():
            raise ValueError(f"maxDeletes: a count or a share such as 10% expected, found {value!r}")
        if share:
            percent = float(number)
            if percent > 100:  # noqa: PLR2004  # a hundred per cent is all
                raise ValueError(f"maxDeletes: at most 100% expected, found {value!r}")
            return cls(None, percent)
        return cls(int(number), None)

    def allows(self, deletes: int, listed: int) -> bool:
        """Whether ``deletes`` of the ``listed`` files and folders may go."""
        if self.count is not None:
            return deletes <= self.count
        return deletes * 100 <= (self.percent or 0.0) * listed


def removes(options: Options) -> bool:
    """Whether the destination's own files go."""
    return options.deleted_files is DeletedFiles.REMOVE
