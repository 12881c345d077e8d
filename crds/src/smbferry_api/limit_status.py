"""What a run under way takes from changes that its agent hears of (ADR 9)."""

from typing import Annotated

from pydantic import Field

from smbferry_api.fields import Status
from smbferry_api.windows import Windows


class Limit(Status):
    """Current bandwidth limit of an active run, the task's or its share of a location's, and the task's windows."""

    bytes_per_second: Annotated[str | None, Field(description="Quantity such as 4Mi. Absent if there is no limit.")] = (
        None
    )
    windows: Annotated[
        Windows | None, Field(description="Windows of the task. Absent if those of the snapshot apply.")
    ] = None
