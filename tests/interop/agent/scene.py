"""Two folders on the real shares, an identity for each, and a task between them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from smbferry_agent.report.run_report import RunReport
from smbferry_agent.run import Surroundings, run_transfer
from smbferry_api.agent_contract import Side
from smbferry_api.run import ResolvedTask

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.interop.agent.support import Identity
    from tests.support.domain import Directory

    from smbferry_api.exit_codes import ExitCode


@dataclasses.dataclass
class Scene:
    """Two folders, an identity for each, and a task between them; `servers` names others than the folders' own."""

    source: Directory
    destination: Directory
    identities: dict[Side, Identity]
    folder: Path
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    servers: dict[Side, str] = dataclasses.field(default_factory=dict)
    report: RunReport = dataclasses.field(default_factory=RunReport)

    def run(self, cancelled: Callable[[], bool] = lambda: False, *, dry_run: bool = False) -> ExitCode:
        around = Surroundings(
            mounts={side: identity.subject().mount for side, identity in self.identities.items()},
            scratch=self.folder / "tickets",
            cancelled=cancelled,
            address_rule=self.identities[Side.SOURCE].address_rule,
            standing={side.value: identity.standing() for side, identity in self.identities.items()},
        )
        return run_transfer(self.task(), around, self.report, dry_run=dry_run)

    def task(self) -> ResolvedTask:
        ends = {
            side.value: self._end(side, directory)
            for side, directory in ((Side.SOURCE, self.source), (Side.DESTINATION, self.destination))
        }
        return ResolvedTask.model_validate({"name": "task", "options": self.options, **ends})

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
