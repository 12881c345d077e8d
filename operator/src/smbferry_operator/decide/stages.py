"""A run by several agents is three Jobs, one after the other: a survey, its shards (an Indexed Job), the finish."""

from dataclasses import dataclass
from typing import Final

from smbferry_api.agent_contract import Stage
from smbferry_api.names import GROUP, LABEL_OWNER_UID
from smbferry_api.run import ResolvedTask
from smbferry_api.run_status import TransferRunStatus
from smbferry_operator.model import Job, Manifest, Meta

ANNOTATION_STAGE: Final = f"{GROUP}/stage"


@dataclass(frozen=True, slots=True)
class Work:
    """What a Job of a run is for, and how many agents share it."""

    stage: Stage = Stage.WHOLE
    agents: int = 1


WHOLE: Final = Work()
"""All of it, by one agent."""


def first_work(task: ResolvedTask, *, dry_run: bool) -> Work:
    """What a run begins with. A dry run is a survey by itself: it needs one agent only."""
    return Work(Stage.SURVEY) if task.agent.parallelism > 1 and not dry_run else WHOLE


def stage_of(job: Job) -> Stage:
    """What a Job was made for."""
    name = job.meta.annotations.get(ANNOTATION_STAGE, Stage.WHOLE)
    return Stage(name) if name in set(Stage) else Stage.WHOLE


def next_work(job: Job, status: TransferRunStatus, task: ResolvedTask | None) -> Work | None:
    """What follows on a Job that is complete; None at the end. Where a survey found little, one agent does it all.

    The cuts are a report of the run's agent: they can lead to fewer agents than the snapshot asks for, never to more.
    """
    match stage_of(job):
        case Stage.SURVEY:
            found = len(status.split.cuts) + 1 if status.split is not None else 1
            agents = min(found, task.agent.parallelism) if task is not None else 1
            return Work(Stage.SHARDS, agents) if agents > 1 else WHOLE
        case Stage.SHARDS:
            return Work(Stage.FINISH)
        case _:
            return None


def attempts_of(job: Job) -> int:
    """How many agents a Job has used up, one after the other; its shards are one until they fail."""
    if stage_of(job) is Stage.SHARDS:
        return job.failed + 1
    return job.failed + job.succeeded + job.active


def indexed(agents: int, retries: int) -> Manifest:
    """What makes a Job's spec that of shards: each index is retried by itself, one that is given up ends the Job."""
    return {
        "completionMode": "Indexed",
        "parallelism": agents,
        "completions": agents,
        "backoffLimitPerIndex": retries,
        "maxFailedIndexes": 0,
    }


def spread(run: Meta) -> list[Manifest]:
    """Agents of one run go to different nodes where they can."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {LABEL_OWNER_UID: run.uid}},
        }
    ]
