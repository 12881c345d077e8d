"""`smbferry approve`: shows the plan of a run that waits for approval, and approves just this plan."""

import argparse
import json
import sys
from typing import Final

from rich.console import Group

from smbferry_api.conditions import ConditionType, find
from smbferry_api.crd import TRANSFER_RUN, TRANSFER_TASK
from smbferry_api.exit_codes import ExitCode
from smbferry_api.plan_status import PlanStatus, plan_digest
from smbferry_api.reasons import APPROVAL_REQUIRED, PLAN_CHANGED
from smbferry_cli.cluster import Cluster, Object
from smbferry_cli.exits import ClusterError
from smbferry_cli.kinds import Reference
from smbferry_cli.plan_view import plan_view
from smbferry_cli.terminal import console
from smbferry_cli.verbs.waiting import Clock
from smbferry_cli.watch import status_of

WAITING: Final = frozenset({APPROVAL_REQUIRED.name, PLAN_CHANGED.name})


def approve(chosen: argparse.Namespace, cluster: Cluster, _clock: Clock) -> ExitCode:
    """Shows the plan, and approves it if its digest was given or a person at a terminal agrees.

    Raises:
        ClusterError: no run waits for approval, its plan is another one than was named, or nobody can be asked.
    """
    run, plan = _waiting(chosen, cluster)
    digest = plan_digest(plan)
    _show(run, plan, chosen.output, quiet=bool(chosen.plan))
    if chosen.show:
        return ExitCode.DONE
    if chosen.plan and chosen.plan != digest:
        said = (
            f'expected {_typed(run)} to have the plan "{chosen.plan}", but its plan is "{digest}"; nothing was approved'
        )
        raise ClusterError(
            f"{said}. Look at the plan that it has now: smbferry approve {_typed(run)} --show", ExitCode.CONFIGURATION
        )
    if not chosen.plan and not _agrees(run, digest):
        print("nothing was approved")
        return ExitCode.CANCELLED
    cluster.patch(TRANSFER_RUN, run["metadata"]["name"], {"spec": {"approvedPlan": digest}})
    print(f"{Reference(TRANSFER_RUN, run['metadata']['name'])} approved: plan {digest}", flush=True)
    return ExitCode.DONE


def _waiting(chosen: argparse.Namespace, cluster: Cluster) -> tuple[Object, PlanStatus]:
    """The run that was named, or the only one of the task that waits, and its plan."""
    if chosen.object.kind is TRANSFER_RUN:
        run = cluster.find(TRANSFER_RUN, chosen.object.name)
        plan = plan_of(run)
        if plan is None:
            raise ClusterError(
                f"expected a run that waits for approval, got {_typed(run)}, which {_does(run)}", ExitCode.CONFIGURATION
            )
        return run, plan
    cluster.task(chosen.object.name)
    runs = [run for run in cluster.objects(TRANSFER_RUN) if run["spec"]["taskRef"]["name"] == chosen.object.name]
    found = [(run, plan) for run in runs if (plan := plan_of(run)) is not None]
    if len(found) == 1:
        return found[0]
    task = f'{TRANSFER_TASK.kind} "{chosen.object.name}"'
    names = ", ".join(_typed(run) for run, _ in found)
    said = f"expected one run of {task} that waits for approval, got "
    raise ClusterError(said + (f"{len(found)}: name one of {names}" if found else "none"), ExitCode.CONFIGURATION)


def plan_of(run: Object) -> PlanStatus | None:
    """The plan that the run waits for the approval of, None if it does not wait."""
    status = status_of(run)
    succeeded = find(status.conditions, ConditionType.SUCCEEDED)
    waits = succeeded is not None and succeeded.status == "Unknown" and succeeded.reason in WAITING
    return status.plan if waits else None


def _does(run: Object) -> str:
    state = status_of(run).state
    if state is None:
        return "has not begun"
    return f"has already ended: {state.value}" if state.ended else f"is {state.value} and has no plan to approve"


def _typed(run: Object) -> str:
    return Reference(TRANSFER_RUN, run["metadata"]["name"]).typed


def _show(run: Object, plan: PlanStatus, output: str, *, quiet: bool) -> None:
    if output == "json":
        shown = plan.model_copy(update={"digest": plan_digest(plan)})
        print(json.dumps(shown.model_dump(mode="json", by_alias=True, exclude_none=True), indent=4), flush=True)
    elif not quiet:
        console().print(Group(*plan_view(plan, status_of(run).sids)))


def _agrees(run: Object, digest: str) -> bool:
    """Asks the person at the terminal.

    Raises:
        ClusterError: there is no terminal, so nobody has seen the plan.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        said = "expected a terminal to ask for approval, got none. To approve the plan that you have seen"
        raise ClusterError(f"{said}: smbferry approve {_typed(run)} --plan {digest}", ExitCode.CONFIGURATION)
    return input("\nApprove this plan? [y/N] ").strip().lower() in {"y", "yes"}
