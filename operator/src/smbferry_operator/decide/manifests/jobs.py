"""The Jobs: one for a check of an identity and many of its locations, one or more per run. Exit codes decide what
Kubernetes retries.
"""

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from smbferry_api.agent_contract import (
    AGENT_CONTAINER,
    LOCATION_OPTION,
    LOCATION_SECONDS,
    LOCATIONS_AT_ONCE,
    ONLY_LOCATIONS_OPTION,
    RUN_SIDES,
    STAGE_OPTION,
    AgentCommand,
    Side,
    Stage,
    identity_variable,
)
from smbferry_api.exit_codes import PERMANENT, ExitCode
from smbferry_api.fields import parse_duration
from smbferry_api.names import ANNOTATION_OWNER_GENERATION, ANNOTATION_REQUESTED_AT, LABEL_RUN, LABEL_TASK
from smbferry_api.pod_settings import PodSettings
from smbferry_api.run import ResolvedTask
from smbferry_api.snapshot import environment_of
from smbferry_operator.decide.destination import Destination
from smbferry_operator.decide.manifests.pods import (
    SPOOL,
    AgentPod,
    ExtraVolume,
    build_pod_template,
    check_settings,
    run_settings,
    sid_map_volume,
    union_of_nameservers,
)
from smbferry_operator.decide.naming import (
    ANNOTATION_ACTIVE_BEFORE,
    ANNOTATION_ATTEMPTS_BEFORE,
    ANNOTATION_CHECK_INPUTS,
    ANNOTATION_DESTINATION,
    ANNOTATION_LAST_CHECK,
    ANNOTATION_OWNER_NAME,
    ANNOTATION_PAUSES_BEFORE,
    agent_metadata,
    child_name,
    class_label,
    label_value,
)
from smbferry_operator.decide.settings import AgentSettings
from smbferry_operator.decide.stages import ANNOTATION_STAGE, WHOLE, Work, indexed, spread
from smbferry_operator.model import Identity, Kind, Load, Manifest, Meta
from smbferry_operator.parse import ANNOTATION_CHECK_LOAD, written_load

CHECK_DEADLINE: Final = timedelta(seconds=120)
CHECK_TTL: Final = timedelta(minutes=5)
CHECK_GRACE_SECONDS: Final = 5
TRANSFER_GRACE_SECONDS: Final = 60
MAX_ATTEMPTS: Final = 7
MAX_JOBS: Final = 4 * MAX_ATTEMPTS
"""More Jobs than a run can have: each of its three stages may use all attempts."""

FINAL_EXIT_CODES: Final = sorted(
    {
        *PERMANENT,
        ExitCode.DONE_WITH_FAILURES,
        ExitCode.CANCELLED,
        ExitCode.PAUSED,
        ExitCode.AWAITS_APPROVAL,
        ExitCode.BUG,
    }
)


def build_pod_failure_policy() -> Manifest:
    """An evicted agent does not count as an attempt; a pause, a plan that must be approved, or a failure that a retry
    cannot fix, ends the Job; other failures count.
    """
    return {
        "rules": [
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            {
                "action": "FailJob",
                "onExitCodes": {
                    "containerName": AGENT_CONTAINER,
                    "operator": "In",
                    "values": [int(code) for code in FINAL_EXIT_CODES],
                },
            },
        ]
    }


@dataclass(frozen=True, slots=True)
class Check:
    """One check of an identity, of locations of it, or of both."""

    identity: Identity
    checks_identity: bool = True
    """False if the identity has been checked: then only the locations are."""
    load: Load | None = None
    """The locations."""
    settings: PodSettings | None = None
    """Of the pod, in addition to the identity's."""
    last_check: str = ""
    """status.lastCheckTime of the identity when the Job is created: once it differs, the agent has reported."""
    request: str = ""
    """The value of the annotation by which a person requested the check of the identity, if any."""
    follows: str = ""
    """The previous Job, if that ended without a report."""

    @property
    def inputs(self) -> str:
        """The identity's generation that is checked."""
        return str(self.identity.meta.generation)

    @property
    def nameservers(self) -> tuple[str, ...]:
        """Of the pod."""
        return self.load.nameservers if self.load else self.identity.spec.nameservers

    @property
    def name(self) -> str:
        """The Job's name; the same check has the same name."""
        of_identity = (self.inputs, "", self.last_check, self.follows) if self.checks_identity else ()
        of_locations = (written_load(self.load),) if self.load else ()
        return child_name(Kind.IDENTITY, self.identity.meta, *of_identity, *of_locations)


def build_check_job(check: Check, settings: AgentSettings) -> Manifest:
    """A Job that checks once; the operator decides when to check again."""
    owner = check.identity.meta
    placed = check_settings(settings, check.identity.spec.agent, check.settings)
    metadata = _metadata(placed, settings.class_name, agent_metadata(Kind.IDENTITY, owner, check.name))
    metadata["annotations"] |= _check_annotations(check)
    pod = AgentPod(
        kind=Kind.IDENTITY,
        owner=owner,
        command=AgentCommand.CHECK_IDENTITY,
        identities={Side.SELF: check.identity.spec},
        nameservers=check.nameservers,
        settings=placed,
        grace_seconds=CHECK_GRACE_SECONDS,
        environment={identity_variable(Side.SELF): owner.name},
        arguments=_check_arguments(check),
    )
    return _job(
        metadata,
        build_pod_template(pod, settings),
        backoff_limit=0,
        activeDeadlineSeconds=int(check_deadline(check.load).total_seconds()),
        ttlSecondsAfterFinished=int(CHECK_TTL.total_seconds()),
    )


def check_deadline(load: Load | None) -> timedelta:
    """The deadline of a check: longer by the time of one location for each further round of locations."""
    rounds = math.ceil(len(load.locations) / LOCATIONS_AT_ONCE) if load else 1
    return CHECK_DEADLINE + (rounds - 1) * timedelta(seconds=LOCATION_SECONDS)


def _check_annotations(check: Check) -> dict[str, str]:
    owner = check.identity.meta
    about = {ANNOTATION_OWNER_NAME: owner.name, ANNOTATION_OWNER_GENERATION: str(owner.generation)}
    if check.checks_identity:
        about |= {ANNOTATION_CHECK_INPUTS: check.inputs, ANNOTATION_LAST_CHECK: check.last_check}
        about |= {ANNOTATION_REQUESTED_AT: check.request} if check.request else {}
    return about | ({ANNOTATION_CHECK_LOAD: written_load(check.load)} if check.load else {})


def _check_arguments(check: Check) -> tuple[str, ...]:
    locations = check.load.locations if check.load else ()
    named = (f"{LOCATION_OPTION}={location.name}={location.uid}" for location in locations)
    return (*(() if check.checks_identity else (ONLY_LOCATIONS_OPTION,)), *named)


def transfer_nameservers(task: ResolvedTask) -> tuple[str, ...]:
    """The nameservers of a run's agents: those of its locations, then those of its identities."""
    of_locations = (end.spec.nameservers for end in task.ends)
    return union_of_nameservers(*of_locations, *(end.identity.spec.nameservers for end in task.ends))


def transfer_job_name(run: Meta, attempts_before: int, pauses_before: int = 0) -> str:
    """The name of the Job that follows this many attempts and pauses."""
    return child_name(Kind.RUN, run, attempts_before, *((pauses_before,) if pauses_before else ()))


def is_transfer_job_name(run: Meta, name: str, attempts: int | None = None, pauses: int = 0) -> bool:
    """Whether a Job of the run has this name: the one that follows this many attempts, or any number if None."""
    candidates = range(MAX_JOBS) if attempts is None else (attempts,)
    return any(name == transfer_job_name(run, number, pauses) for number in candidates)


def build_transfer_job(
    run: Meta,
    task: ResolvedTask,
    attempts_before: int,
    settings: AgentSettings,
    *,
    writes: bool = True,
    work: Work = WHOLE,
    elapsed: timedelta = timedelta(),
    pauses: int = 0,
) -> Manifest:
    """A Job of a run. Kubernetes retries it with backoff while its exit codes say that a retry can help.

    Args:
        attempts_before: attempts that earlier Jobs of this run have used up.
        writes: False for a dry run or a survey that only reads, which do not claim the destination.
        elapsed: how long the run has been active; that counts towards its deadline.
        pauses: how often the run was paused before this Job.
    """
    placed = run_settings(settings, task.agent, spread=spread(run) if work.stage is Stage.SHARDS else ())
    own = agent_metadata(Kind.RUN, run, transfer_job_name(run, attempts_before, pauses))
    metadata = _metadata(placed, settings.class_name, own)
    metadata["labels"] |= {LABEL_RUN: label_value(run.name), LABEL_TASK: label_value(task.name)}
    destination = {ANNOTATION_DESTINATION: Destination.of(task.destination).written} if writes else {}
    paused = {ANNOTATION_PAUSES_BEFORE: str(pauses)} if pauses else {}
    active = {ANNOTATION_ACTIVE_BEFORE: str(int(elapsed.total_seconds()))} if elapsed else {}
    stage = {ANNOTATION_STAGE: work.stage.value} if work.stage is not Stage.WHOLE else {}
    before = {ANNOTATION_OWNER_NAME: run.name, ANNOTATION_ATTEMPTS_BEFORE: str(attempts_before)}
    metadata["annotations"] |= {**before, **active, **paused, **stage, **destination}
    pod = AgentPod(
        kind=Kind.RUN,
        owner=run,
        command=AgentCommand.TRANSFER,
        identities={side: end.identity.spec for side, end in zip(RUN_SIDES, task.ends, strict=False)},
        nameservers=transfer_nameservers(task),
        settings=placed,
        grace_seconds=TRANSFER_GRACE_SECONDS,
        environment=environment_of(task),
        annotations={**destination, **paused},
        arguments=(STAGE_OPTION, work.stage.value) if stage else (),
        volumes=_volumes(task),
    )
    template = build_pod_template(pod, settings)
    template["metadata"]["labels"] |= {LABEL_RUN: label_value(run.name), LABEL_TASK: label_value(task.name)}
    job = _job(metadata, template, backoff_limit=_retries(work, attempts_before), **_deadline(task, elapsed))
    if work.stage is Stage.SHARDS:
        job["spec"] |= indexed(work.agents, task.agent.parallelism, job["spec"].pop("backoffLimit"))
    return job


def _metadata(settings: PodSettings, class_name: str, own: Manifest) -> Manifest:
    """The Job's metadata: labels and annotations of its pods are also those by which queues and people find it."""
    labels = (settings.labels or {}) | own["labels"] | class_label(class_name)
    return {**own, "labels": labels, "annotations": dict(settings.annotations or {})}


def _volumes(task: ResolvedTask) -> tuple[ExtraVolume, ...]:
    sid_map = task.options.sid_map
    return (
        *((SPOOL,) if task.report_to is not None else ()),
        *((sid_map_volume(sid_map.config_map_ref.name),) if sid_map is not None else ()),
    )


def _retries(work: Work, attempts_before: int) -> int:
    """How often Kubernetes may retry. With several agents each stage has all attempts."""
    return MAX_ATTEMPTS - 1 if work.stage is not Stage.WHOLE else max(0, MAX_ATTEMPTS - 1 - attempts_before)


def _deadline(task: ResolvedTask, elapsed: timedelta) -> dict[str, int]:
    deadline = task.agent.active_deadline
    if not deadline:
        return {}
    return {"activeDeadlineSeconds": max(1, int((parse_duration(deadline) - elapsed).total_seconds()))}


def _job(metadata: Manifest, template: Manifest, *, backoff_limit: int, **spec: int) -> Manifest:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            "parallelism": 1,
            "completions": 1,
            "backoffLimit": backoff_limit,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": build_pod_failure_policy(),
            **spec,
            "template": template,
        },
    }
