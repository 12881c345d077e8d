"""Runs that have planned what they would do, and wait for a person to approve it (ADR 53).

Such a run has no agent: its Job has ended with the exit code AWAITS_APPROVAL. When the plan is approved, a further Job
does the rest of the same stage, as after a pause. The plan is a report of an agent; the next agent plans again and
continues only if its plan is within the one with the approved digest. So a forged plan deletes nothing.
"""

from datetime import datetime, timedelta
from typing import Final

from smbferry_api.fields import format_time, parse_duration
from smbferry_api.plan_status import PlanStatus, plan_digest, plan_summary
from smbferry_api.reasons import AGENT_LOST, APPROVAL_EXPIRED, APPROVAL_REQUIRED, PLAN_CHANGED
from smbferry_api.run import ResolvedApproval, ResolvedTask
from smbferry_api.run_status import RunState
from smbferry_operator.decide.decision import Decision
from smbferry_operator.decide.observation import RunObservation
from smbferry_operator.decide.run.end import failed
from smbferry_operator.decide.run.status import ended, waiting
from smbferry_operator.decide.run.waits import LONGEST_SLEEP, Wait
from smbferry_operator.decide.text import with_remedy
from smbferry_operator.model import Job

REPORT_GRACE: Final = timedelta(seconds=5)
"""Job and status come by separate watches."""
A_MOMENT: Final = timedelta(seconds=1)


def approved(seen: RunObservation, task: ResolvedTask) -> ResolvedTask | None:
    """The snapshot with the plan that a person has approved, None if nobody has approved the plan in the status."""
    wanted, plan = task.approval or ResolvedApproval(), seen.run.status.plan
    if plan is None or not plan.needs_approval:
        return None
    digest = plan_digest(plan)
    if digest == wanted.plan or digest not in _approvals(seen, task):
        return None  # the agent that had this approval has found another plan, which the status does not show yet
    return task.model_copy(update={"approval": wanted.model_copy(update={"plan": digest})})


def _approvals(seen: RunObservation, task: ResolvedTask) -> tuple[str, ...]:
    """The digests that people have approved: in the run, and in the task that it is a run of."""
    of_task = seen.task.spec.approved_plan if seen.task is not None and seen.task.meta.uid == task.uid else ""
    return tuple(word for word in (seen.run.spec.approved_plan, of_task) if word)


def unapproved(seen: RunObservation, task: ResolvedTask, job: Job, now: datetime) -> Decision:
    """A run that waits for an approval, or that has waited for too long."""
    wanted, plan = task.approval or ResolvedApproval(), seen.run.status.plan
    planned_at = job.finished_at or job.meta.created
    if plan is None or plan_digest(plan) == wanted.plan:
        if now - planned_at < REPORT_GRACE:
            return Decision(requeue_after=A_MOMENT)
        if plan is None:
            return ended(
                seen, failed(AGENT_LOST, "The agent planned the run, but its plan is not in status.plan."), now
            )
    expires_at = planned_at + parse_duration(wanted.expiry)
    if now >= expires_at:
        text = f"Nobody approved plan {plan_digest(plan)} within {wanted.expiry}. {plan_summary(plan)}"
        return ended(seen, failed(APPROVAL_EXPIRED, text), now)
    return waiting(seen, RunState.QUEUED, _wait(seen, task, plan, expires_at, now), now)


def _wait(seen: RunObservation, task: ResolvedTask, plan: PlanStatus, expires_at: datetime, now: datetime) -> Wait:
    digest, reason = plan_digest(plan), PLAN_CHANGED if plan.changes else APPROVAL_REQUIRED
    parts = [plan_summary(plan)]
    if plan.changes:
        parts.insert(0, f"Since the plan before: {'; '.join(plan.changes)}. Nothing more was changed.")
    if others := [word for word in _approvals(seen, task) if word != digest]:
        parts.append(f'spec.approvedPlan is "{others[0]}", which is another plan.')
    parts.append(f'Waiting for approvedPlan "{digest}" until {format_time(expires_at)}.')
    return Wait(reason, with_remedy(" ".join(parts), reason), min(expires_at - now, LONGEST_SLEEP))
