"""A run with several agents is three Jobs in sequence: the survey, the shards (an Indexed Job), the finish."""

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
    """The stage that a Job carries out, and its number of agents."""

    stage: Stage = Stage.WHOLE
    agents: int = 1


WHOLE: Final = Work()
"""The whole run, by one agent."""


def first_work(task: ResolvedTask, *, copies: bool) -> Work:
    """The first stage of a run. A dry run, or the survey of a source, needs one agent only."""
    return Work(Stage.SURVEY) if task.agent.parallelism > 1 and copies else WHOLE


def stage_of(job: Job) -> Stage:
    """The stage of a Job."""
    name = job.meta.annotations.get(ANNOTATION_STAGE, Stage.WHOLE)
    return Stage(name) if name in set(Stage) else Stage.WHOLE


def next_work(job: Job, status: TransferRunStatus, task: ResolvedTask | None) -> Work | None:
    """The stage after a complete Job, None at the end. After a survey that found little, one agent does the whole run.

    The cuts are a report of an agent: they can lead to fewer agents than the snapshot asks for, never to more.
    """
    match stage_of(job):
        case Stage.SURVEY:
            agents = shards_in(status, task)
            return Work(Stage.SHARDS, agents) if agents > 1 else WHOLE
        case Stage.SHARDS:
            return Work(Stage.FINISH)
        case _:
            return None


def shards_in(status: TransferRunStatus, task: ResolvedTask | None) -> int:
    """The number of shards that the survey's cuts lead to, within the snapshot's limit."""
    found = len(status.split.cuts) + 1 if status.split is not None else 1
    return min(found, task.agent.parallelism) if task is not None else 1


def attempts_of(job: Job) -> int:
    """How many attempts a Job has used; all shards together count as one until one fails."""
    if stage_of(job) is Stage.SHARDS:
        return job.failed + 1
    return job.failed + job.succeeded + job.active


def indexed(agents: int, at_once: int, retries: int) -> Manifest:
    """The fields of an Indexed Job: each index has its own retries, and one that fails for good ends the Job."""
    return {
        "completionMode": "Indexed",
        "parallelism": min(agents, at_once),
        "completions": agents,
        "backoffLimitPerIndex": retries,
        "maxFailedIndexes": 0,
    }


def spread(run: Meta) -> list[Manifest]:
    """Topology spread: agents of one run go to different nodes if possible."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {LABEL_OWNER_UID: run.uid}},
        }
    ]
