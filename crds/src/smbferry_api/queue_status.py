"""Status of a run that waits for a limit."""

from typing import Annotated

from pydantic import Field

from smbferry_api.fields import Status


class QueueStatus(Status):
    """Place of a run that waits for a limit."""

    position: Annotated[int, Field(description="Place in the queue; 1 is the next run to start.")]
    length: Annotated[int, Field(description="Number of runs in the queue.")]
    waiting_for: Annotated[
        str,
        Field(
            max_length=1024,
            description="The limit: FileServer, SmbLocation or Namespace with its name, or Operator.",
        ),
    ]
