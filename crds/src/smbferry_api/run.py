"""TransferRun: one execution of a task, with the task as it stood when the run began."""

from typing import Annotated, Any, Final

from pydantic import Field

from smbferry_api.fields import DurationRange, ObjectName, SharePath, Spec
from smbferry_api.identity import KerberosIdentitySpec
from smbferry_api.location import DfsTarget, SmbLocationSpec
from smbferry_api.run_status import TransferRunStatus
from smbferry_api.task import AgentSpec, Filters, Options, Report

NEVER: Final = "Never"
"""In place of a duration: a run that is kept."""


class TaskRef(Spec):
    """A TransferTask in the same namespace."""

    name: Annotated[ObjectName, Field(description="The TransferTask's name.")]


class ResolvedIdentity(Spec):
    """A KerberosIdentity as it stood when the run began."""

    name: Annotated[ObjectName, Field(description="The KerberosIdentity's name.")]
    generation: Annotated[int, Field(description="Its metadata.generation.")] = 0
    spec: KerberosIdentitySpec


class ResolvedEnd(Spec):
    """One end of the transfer, with everything that its references named."""

    location: Annotated[ObjectName, Field(description="The SmbLocation's name.")]
    generation: Annotated[int, Field(description="Its metadata.generation.")] = 0
    path: Annotated[SharePath, Field(description="The task's folder below the location's own path.")] = "/"
    spec: SmbLocationSpec
    identity: ResolvedIdentity
    dfs_target: Annotated[
        DfsTarget | None, Field(description="Where the location's path leads by DFS, as its check found it.")
    ] = None
    server_guid: Annotated[
        str | None, Field(max_length=36, description="The server's own identifier, as the location's check found it.")
    ] = None

    @property
    def place(self) -> DfsTarget:
        """The folder that the end is about, behind the DFS links that the location's check followed."""
        spec = self.spec
        named = DfsTarget(server=spec.server.rstrip("."), port=spec.port, share=spec.share, path=spec.path)
        return (self.dfs_target or named).below(self.path)

    @property
    def full_path(self) -> str:
        """The task's path below the location's, '/' separated, without a trailing '/' (but '/' alone)."""
        parts = [p for p in f"{self.spec.path}/{self.path}".split("/") if p]
        return "/" + "/".join(parts)


class ResolvedTask(Spec):
    """The snapshot that a run works by; later edits of the task do not touch it."""

    name: Annotated[ObjectName, Field(description="The TransferTask's name.")]
    uid: Annotated[str, Field(max_length=64, description="Its metadata.uid.")] = ""
    generation: Annotated[int, Field(description="Its metadata.generation.")] = 0
    source: ResolvedEnd
    destination: ResolvedEnd
    options: Options = Options()
    filters: Filters = Filters()
    agent: AgentSpec = AgentSpec()
    report: Report = Report()
    unconfirmed: Annotated[
        str | None,
        Field(
            max_length=64,
            description="The word by which a person confirms the mirror, where that is still wanted: until then nothing"
            " is deleted, and nothing replaced that is newer at the destination.",
        ),
    ] = None
    report_to: Annotated[ResolvedEnd | None, Field(description="Where the report goes, if anywhere.")] = None

    @property
    def ends(self) -> tuple[ResolvedEnd, ...]:
        """Everything that is opened: source, destination, and where the report goes."""
        return (self.source, self.destination, *((self.report_to,) if self.report_to is not None else ()))

    @property
    def identity_names(self) -> tuple[str, ...]:
        """The KerberosIdentities of all ends, each once."""
        return tuple(dict.fromkeys(end.identity.name for end in self.ends))


class TransferRunSpec(Spec):
    """Which task to run. Nothing in it may change afterwards but `cancel`, only to true, and `ttlAfterFinished`."""

    task_ref: TaskRef
    dry_run: Annotated[bool, Field(description="Count what would be done, and write nothing.")] = False
    cancel: Annotated[bool, Field(description="Set to true to end the run; it can't be set back.")] = False
    ttl_after_finished: Annotated[
        Annotated[str, DurationRange("0s", word=NEVER)] | None,
        Field(
            description="How long the run is kept once it has ended, such as 24h; Never keeps it. Left out: as long as "
            "the operator is set to (168h), if no other object owns the run and no tool such as Flux, Argo CD or Helm "
            "tracks it. Whoever applies a run again after it was removed runs it again."
        ),
    ] = None


RUN_RULES: Final[dict[type[Spec], list[dict[str, Any]]]] = {
    TransferRunSpec: [
        {
            "rule": "self.taskRef == oldSelf.taskRef && self.dryRun == oldSelf.dryRun",
            "message": "a run can't be changed but for cancel and ttlAfterFinished; create another",
        },
        {"rule": "self.cancel || !oldSelf.cancel", "message": "a cancelled run can't be revived; create another"},
    ]
}

__all__ = [
    "RUN_RULES",
    "ResolvedEnd",
    "ResolvedIdentity",
    "ResolvedTask",
    "TaskRef",
    "TransferRunSpec",
    "TransferRunStatus",
]
