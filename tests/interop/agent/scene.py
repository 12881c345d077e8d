"""Two folders on the real shares, an identity for each, and a task between them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from smbferry_agent.report.run_report import RunReport
from smbferry_agent.run import run_transfer
from smbferry_agent.run_environment import Identities, RunEnvironment
from smbferry_api.agent_contract import Side
from smbferry_api.run import ResolvedTask
from smbferry_engine import Control

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lab.support.domain.machine import Directory
    from tests.interop.agent.support import Identity

    from smbferry_api.exit_codes import ExitCode


@dataclasses.dataclass
class Scene:
    """Two folders, an identity for each, and a task between them; `servers` names others than the folders' own."""

    source: Directory
    destination: Directory
    identities: dict[Side, Identity]
    folder: Path
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    snapshot: str = "None"
    servers: dict[Side, str] = dataclasses.field(default_factory=dict)
    report: RunReport = dataclasses.field(default_factory=RunReport)

    def run(self, cancelled: Callable[[], bool] = lambda: False, *, dry_run: bool = False) -> ExitCode:
        identities = Identities(
            mounts={side: identity.subject().mount for side, identity in self.identities.items()},
            scratch=self.folder / "tickets",
            address_rule=self.identities[Side.SOURCE].address_rule,
            statuses={side.value: identity.identity_status() for side, identity in self.identities.items()},
        )
        return run_transfer(self.task(), RunEnvironment(identities, Control(cancelled)), self.report, dry_run=dry_run)

    def task(self) -> ResolvedTask:
        ends = {
            side.value: self._end(side, directory)
            for side, directory in ((Side.SOURCE, self.source), (Side.DESTINATION, self.destination))
        }
        task = {"name": "task", "options": self.options, "sourceSnapshot": self.snapshot}
        return ResolvedTask.model_validate({**task, **ends})

    def _end(self, side: Side, directory: Directory) -> dict[str, Any]:
        domain, identity = directory.domain, self.identities[side]
        return {
            "location": side.value,
            "path": directory.path,
            "spec": {
                "server": self.servers.get(side, domain.server),
                "share": directory.share,
                "identityRef": {"name": side.value},
                "nameservers": [domain.address],
            },
            "identity": {
                "name": side.value,
                "generation": identity.generation,
                "spec": identity.subject().spec.model_dump(by_alias=True),
            },
        }

    def status(self) -> dict[str, Any]:
        return self.report.status().model_dump(mode="json", by_alias=True, exclude_none=True)
