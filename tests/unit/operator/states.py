"""All states of a run and what moves it between them, found by trying: every turn that the world can take around a run,
each answered by the operator's own decision. `python -m tests.unit.operator.states` writes docs/states.md anew.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.support.builders import (
    NOW,
    PROVEN,
    SETTINGS,
    ago,
    checked_identity,
    checked_location,
    ends,
    job_of,
    key_use,
    location,
    pod,
    recorded,
    run,
    snapshot,
    task,
    transfer_job,
)
from tests.unit.operator.fleets import demand, server

from smbferry_api.agent_contract import Stage
from smbferry_api.exit_codes import ExitCode
from smbferry_api.plan_status import PlanStatus, plan_digest
from smbferry_api.run_status import RunState
from smbferry_operator.decide.destination import Destination
from smbferry_operator.decide.limits import Full, Standing
from smbferry_operator.decide.manifests.jobs import MAX_ATTEMPTS
from smbferry_operator.decide.observation import Claim, Ends, RunObservation
from smbferry_operator.decide.run import decide_run
from smbferry_operator.decide.stages import ANNOTATION_STAGE
from smbferry_operator.model import Identity, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smbferry_operator.decide.decision import Decision

PAGE: Final = Path(__file__).parents[3] / "docs" / "states.md"
BEGIN, END = "<!-- begin: written by the tests -->\n", "<!-- end -->\n"
PHASES: Final = (None, "prepare", "transfer", "verify")
ENDS: Final = {
    "done": ExitCode.DONE,
    "partial": ExitCode.DONE_WITH_FAILURES,
    "failed": ExitCode.ACCESS,
    "key refused": ExitCode.IDENTITY,
    "paused": ExitCode.PAUSED,
    "planned": ExitCode.AWAITS_APPROVAL,
    "expired": ExitCode.AWAITS_APPROVAL,
}
PLAN: Final = PlanStatus(planned_at=ago(minutes=1), deletions="of some")
CLOSED: Final[dict[str, Any]] = {"windows": [{"from": "01:00", "to": "02:00"}]}
KEY_REFUSED: Final = {"class": "Identity", "reason": "KeytabStale", "message": "The KDC refused the key."}
MAX_JOBS: Final = 2
FLAWS: Final = (None, "missing", "onto itself", "refused for good", "refused for now")
SEVERAL: Final[dict[str, Any]] = {"agent": {"parallelism": 2}}
ONTO_ITSELF: Final[dict[str, Any]] = {"destination": {"locationRef": {"name": "src"}, "path": "/below"}}
CUTS: Final = {"cuts": [{"path": "/b"}]}
WORKING: Final = ("Preparing", "Transferring", "Verifying")

LONG_AGO: Final = NOW - SETTINGS.start_deadline * 2
WAITING: Final = {
    "pending": pod(),
    "unschedulable": pod(created=LONG_AGO, unschedulable="0/2 nodes are available"),
    "without image": pod(created=ago(minutes=1), waiting_reason="ImagePullBackOff"),
    "overdue": pod(created=LONG_AGO, waiting_reason="ImagePullBackOff"),
}
"""Agents that have not begun."""


@dataclass(frozen=True)
class World:
    """What surrounds one run."""

    state: RunState | None = None
    ready: bool = False
    free: bool = False
    room: bool = False
    """No limit keeps it from starting."""
    proven: bool = False
    """No agent was refused the key of its identities since a check tried it."""
    job: str = "none"
    phase: str | None = None
    cancel: bool = False
    jobs: int = 0
    flaw: str | None = None
    """What is wrong with the run itself: its task is missing, it copies onto itself, its Job is refused."""
    closed: bool = False
    """Whether the windows of its task are closed."""
    several: bool = False
    """Whether several agents share the work; then `stage` is what the newest Job is for."""
    stage: Stage = Stage.WHOLE
    approved: bool = False
    """Whether a person has approved the plan of the newest Job."""
    ending: str = ""
    """The verdict that stands until the last agent has ended, as JSON."""

    def turns(self) -> Iterator[World]:
        """Everything that may happen next without the operator."""
        if not self.ready:
            yield replace(self, ready=True)
        if not self.free:
            yield replace(self, free=True)
        if self.free and not self.room:
            yield replace(self, room=True)
        if self.ready and not self.proven:
            yield replace(self, proven=True)
        if not self.cancel:
            yield replace(self, cancel=True)
        if self.closed:
            yield replace(self, closed=False)
        if self.job == "planned" and not self.approved:
            yield replace(self, approved=True)
        if self.flaw == "refused for now":
            yield replace(self, flaw=None)
        if self.job == "done" and self.stage in {Stage.SURVEY, Stage.SHARDS}:  # between two stages anything may come up
            yield from (replace(self, free=False), replace(self, room=False))
            yield from (replace(self, ready=False), replace(self, proven=False))
        yield from self._turns_of_job()

    def _turns_of_job(self) -> Iterator[World]:
        match self.job:
            case "pending":
                yield replace(self, job="running", phase="prepare")
                yield from (replace(self, job=job) for job in ("unschedulable", "without image", "suspended"))
            case "suspended":
                yield replace(self, job="pending")
            case "unschedulable":
                yield replace(self, job="running", phase="prepare")
            case "without image":
                yield replace(self, job="running", phase="prepare")
                yield replace(self, job="overdue")
            case "running":
                if self.phase != PHASES[-1]:
                    yield replace(self, phase=PHASES[PHASES.index(self.phase) + 1])
                yield from (replace(self, job=job) for job in ("retrying", "unschedulable", "suspended"))
                for end in ENDS:
                    proven = self.proven and end != "key refused"
                    yield replace(self, job=end, proven=proven, closed=self.closed or end == "paused")
                yield replace(self, job="none", phase=None)  # deleted by hand
            case "retrying":
                yield replace(self, job="running", phase="prepare")
            case "ending":
                yield replace(self, job="none")
            case _:
                return

    def seen(self) -> RunObservation:
        """As the operator sees it."""
        return RunObservation(
            run(
                status=self._status(),
                cancel=self.cancel,
                created=ago(minutes=5),
                approves=plan_digest(PLAN) if self.approved else "",
            ),
            None if self.flaw == "missing" else task(**self._task()),
            self._ends(),
            jobs=self._jobs(),
            pods=self._pods(),
            claims=() if self.free else (Claim("team/other", "uid-other", _destination(), writing=True, since=NOW),),
            proofs={"svc": PROVEN if self.proven else None},
            standing=None if self.room else FULL,
            refusal=Refusal("Job", "it said why", self.flaw == "refused for good") if self._is_refused() else None,
        )

    def _identity(self) -> Identity:
        return checked_identity(status={} if self.proven else {"keyUse": key_use(NOW)})

    def _task(self) -> dict[str, Any]:
        windows = CLOSED if self.closed else {}
        return (ONTO_ITSELF if self.flaw == "onto itself" else SEVERAL if self.several else {}) | windows

    def _ends(self) -> Ends:
        source = checked_location("src") if self.ready else location("src")
        onto = {"destination": checked_location("src")} if self.flaw == "onto itself" else {}
        return ends(self._identity(), source=source, **onto)

    def _is_refused(self) -> bool:
        launchable = self.ready and self.free and self.room and self.proven and self.job == "none"
        return bool(self.flaw and self.flaw.startswith("refused")) and launchable

    def _status(self) -> dict[str, Any]:
        phases = {p: {"state": "Running"} for p in [self.phase] if p}
        split = {"split": CUTS} if self.several else {}
        attempts = self.jobs * MAX_ATTEMPTS // MAX_JOBS
        failure = {"failure": KEY_REFUSED} if self.job == "key refused" else {}
        ending = {"ending": json.loads(self.ending)} if self.ending else {}
        plan = {"plan": PLAN.model_dump(mode="json", by_alias=True)} if self.job in {"planned", "expired"} else {}
        said = {"state": self.state, "phases": phases, "attempts": attempts, **split, **failure, **ending, **plan}
        return said if self.state else {}

    def _jobs(self) -> tuple[Any, ...]:
        if self.job in {"none", "ending"}:
            return ()
        approval = {"approval": {"expiry": "1m" if self.job == "expired" else "24h"}}
        asked = (SEVERAL if self.several else {}) | (approval if self.job in {"planned", "expired"} else {})
        taken: dict[str, Any] = {"task": snapshot(**asked)}
        if self.job == "done":
            made = transfer_job(**taken, succeeded=1, complete=True, finished_at=ago(seconds=9))
        elif self.job in ENDS:
            over = ago(minutes=1) if self.job in {"paused", "expired"} else ago(seconds=9)
            made = transfer_job(**taken, failed=1, failure_reason="PodFailurePolicy", finished_at=over)
        elif self.job == "suspended":  # by a queue
            made = transfer_job(**taken, suspended="Job suspended")
        else:
            made = transfer_job(**taken, active=1, failed=int(self.job == "retrying"))
        stage = {ANNOTATION_STAGE: self.stage.value} if self.stage is not Stage.WHOLE else {}
        return (replace(made, meta=replace(made.meta, annotations={**made.meta.annotations, **stage})),)

    def _pods(self) -> tuple[Any, ...]:
        match self.job:
            case "none" | "suspended":
                return ()
            case "pending" | "unschedulable" | "without image" | "overdue":
                return (WAITING[self.job],)
            case "running" | "ending":
                return (pod(phase="Running"),)
            case "retrying":
                return (pod(phase="Failed", exit_code=int(ExitCode.NETWORK), ended_at=ago(seconds=5)),)
            case _:
                phase = "Succeeded" if self.job == "done" else "Failed"
                return (pod(phase=phase, exit_code=int(ENDS[self.job]), ended_at=ago(seconds=9)),)

    def answered(self, decision: Decision) -> World:
        """After the operator did what it decided."""
        state = RunState(decision.status.fields["state"]) if decision.status else self.state
        after = replace(self, state=state)
        if decision.status is not None and (ending := decision.status.fields.get("ending")):
            after = replace(after, ending=json.dumps(ending))
        if decision.create:
            job = job_of(decision)
            stage = Stage(job["metadata"]["annotations"].get(ANNOTATION_STAGE, Stage.WHOLE))
            phase = self.phase if stage in {Stage.SHARDS, Stage.FINISH} else None
            begun = self.jobs + (self.job in {"none", "key refused"})  # a next stage, or window, is no further try
            return replace(after, job="pending", phase=phase, jobs=begun, stage=stage, approved=False)
        if decision.delete:
            after = replace(
                after, job="ending" if self.job not in {"retrying", "suspended", "none"} else "none", phase=None
            )
        return after


def _destination() -> Destination:
    return Destination.of(recorded().task.destination)


FULL: Final = Standing(demand("run", server("fs")), Full(server("fs"), active=4, position=1, length=1))

Edge = tuple[str, str]


@cache
def explore() -> dict[Edge, set[str]]:
    """Every change of state that the operator makes, with the reasons that it gives."""
    edges: dict[Edge, set[str]] = {}
    known = {World(flaw=flaw) for flaw in FLAWS} | {World(several=True), World(closed=True)}
    todo = deque(known)
    while todo:
        world = todo.popleft()
        decision = decide_run(world.seen(), NOW, SETTINGS)
        after = world.answered(decision)
        if after.state != world.state and decision.status is not None:
            reason = next(c.reason for c in decision.status.conditions if c.type == "Succeeded")
            edges.setdefault((_name(world.state), _name(after.state)), set()).add(reason)
        around = (after, *world.turns()) if after.jobs <= MAX_JOBS else ()
        for other in around:
            if other not in known:
                known.add(other)
                todo.append(other)
    return edges


def _name(state: RunState | None) -> str:
    return state.value if state else "[*]"


def gathered(edges: dict[Edge, set[str]]) -> dict[Edge, set[str]]:
    """The same, with one edge where all three working states have it."""
    found = dict(edges)
    for other in {name for edge in edges for name in edge} - set(WORKING):
        for group in ([(w, other) for w in WORKING], [(other, w) for w in WORKING]):
            alike = [edges.get(edge, set()) for edge in group]
            if alike[0] and alike[0] == alike[1] == alike[2]:
                found = {edge: reasons for edge, reasons in found.items() if edge not in group}
                found[
                    "Working" if group[0][0] in WORKING else other, other if group[0][0] in WORKING else "Working"
                ] = alike[0]
    return found


def diagram() -> str:
    """In Mermaid's language, as it stands in the page."""
    edges = gathered(explore())
    order = {name: i for i, name in enumerate(["[*]", "Queued", "Launching", "Working", *(s.value for s in RunState)])}
    inside: list[str] = []
    outside: list[str] = []
    for a, b in sorted(edges, key=lambda e: (order[e[0]], order[e[1]])):
        within = a in WORKING and b in WORKING
        line = f"{a} --> {b}" if within else f"{a} --> {b}: {', '.join(sorted(edges[a, b]))}"
        (inside if within else outside).append(f"        {line}" if within else f"    {line}")
    over = [f"    {state.value} --> [*]" for state in RunState if state.ended]
    return "\n".join(
        ["```mermaid", "stateDiagram-v2", "    state Working {", *inside, "    }", *outside, *over, "```", ""]
    )


def page_with(block: str, page: str) -> str:
    """The page with its written part replaced."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{block}{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page_with(diagram(), PAGE.read_text(encoding="utf-8")), encoding="utf-8")
