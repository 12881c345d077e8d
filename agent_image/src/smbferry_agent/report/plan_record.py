"""Where the agents of a run record its plan: in the run's status.

It has a field manager of its own, so that it stays when another agent writes its report.
"""

import logging
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from smbferry_agent.report.api_client import repeated
from smbferry_agent.report.object_status import ObjectStatus
from smbferry_agent.report.sinks import status_fields
from smbferry_api.names import FIELD_MANAGER_AGENT
from smbferry_api.plan_status import PlanStatus
from smbferry_api.run_status import TransferRunStatus

_log = logging.getLogger(__name__)
_MANAGER: Final = f"{FIELD_MANAGER_AGENT}-plan"


@dataclass(frozen=True, slots=True)
class ClusterPlanRecord:
    """A `PlanRecord` in the status of a TransferRun."""

    run: ObjectStatus

    def read(self) -> PlanStatus | None:
        """Reads the record; an unreadable one counts as none, so that the run is planned again.

        Raises:
            ObjectNotFoundError: the run does not exist any more.
            AgentError: the API server is unreachable, or refuses.
        """
        written = (repeated(self.run.read).get("status") or {}).get("plan")
        if not written:
            return None
        try:
            return PlanStatus.model_validate(written)
        except ValidationError:
            _log.warning("ignoring an unreadable status.plan")
            return None

    def write(self, plan: PlanStatus) -> None:
        """Records a plan.

        Raises:
            ObjectNotFoundError: the run does not exist any more.
            AgentError: the API server is unreachable, or refuses.
        """
        status = status_fields(TransferRunStatus(plan=plan))
        repeated(lambda: self.run.apply(status, _MANAGER))
