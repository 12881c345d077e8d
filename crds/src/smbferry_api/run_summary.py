"""RunSummary: what the status of a task says about one of its runs."""

from typing import Annotated

from pydantic import Field

from smbferry_api.fields import Status, Time
from smbferry_api.run_status import Counters, RunState


class RunSummary(Status):
    """Summary of a run."""

    name: Annotated[str, Field(description="Name of the TransferRun.")]
    state: Annotated[RunState, Field(description="State of the run.")]
    start_time: Annotated[Time | None, Field(description="Start time of the run.")] = None
    completion_time: Annotated[Time | None, Field(description="Time at which the run finished.")] = None
    duration: Annotated[str | None, Field(description="Duration of the run, such as 3m20s.")] = None
    recovery_point: Annotated[
        Time | None,
        Field(
            description="The copy is at least as new as this: the time of the snapshot that the run read, otherwise "
            "the start of the run."
        ),
    ] = None
    counters: Annotated[Counters | None, Field(description="Counters of the run.")] = None
