"""Where the agents of a run record its plan: in the run's status.

It has a field manager of its own, so that it stays when another agent writes its report.
"""

from dataclasses import dataclass
from typing import Final

from smbferry_agent.report.api_client import repeated
from smbferry_agent.report.object_status import ObjectStatus, recorded_in
from smbferry_agent.report.sinks import status_fields
from smbferry_api.names import FIELD_MANAGER_AGENT
from smbferry_api.plan_status import PlanStatus
from smbferry_api.run_status import TransferRunStatus

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
        return recorded_in(repeated(self.run.read), "plan", PlanStatus)

    def write(self, plan: PlanStatus) -> None:
        """Records a plan.

        Raises:
            ObjectNotFoundError: the run does not exist any more.
            AgentError: the API server is unreachable, or refuses.
        """
        status = status_fields(TransferRunStatus(plan=plan))
        repeated(lambda: self.run.apply(status, _MANAGER))
