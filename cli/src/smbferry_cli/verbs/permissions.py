"""What a user must be allowed to do for each command, in the words of a Role."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from smbferry_api.crd import KERBEROS_IDENTITY, SMB_LOCATION, TRANSFER_RUN, TRANSFER_TASK, Kind
from smbferry_api.names import GROUP

_READS: Final = frozenset({"get", "list", "watch"})
_PROXY: Final = "pods/proxy"


@dataclass(frozen=True, slots=True, order=True)
class Permission:
    """A verb on a resource of an API group."""

    verb: str
    resource: str
    group: str = GROUP

    @property
    def role(self) -> str:
        """The ClusterRole of Kubernetes that includes it; the chart adds smbferry's kinds to these roles."""
        return "view" if self.verb in _READS and self.resource != _PROXY else "edit"


def _all(verbs: str, *kinds: Kind) -> tuple[Permission, ...]:
    return tuple(Permission(verb, kind.plural) for kind in kinds for verb in verbs.split())


_PODS: Final = (Permission("list", "pods", ""), Permission("get", "pods/log", ""))
PERMISSIONS: Final[Mapping[str, tuple[Permission, ...]]] = {
    "get": _all("get list", TRANSFER_TASK, TRANSFER_RUN, KERBEROS_IDENTITY, SMB_LOCATION),
    "trigger": (*_all("get", TRANSFER_TASK), *_all("get create", TRANSFER_RUN)),
    "approve": (*_all("get", TRANSFER_TASK), *_all("get list patch", TRANSFER_RUN)),
    "cancel": (*_all("get", TRANSFER_TASK), *_all("get list patch", TRANSFER_RUN)),
    "suspend": _all("get list patch", TRANSFER_TASK),
    "resume": (*_all("get list patch", TRANSFER_TASK), *_all("get patch", TRANSFER_RUN)),
    "recheck": _all("get list patch", KERBEROS_IDENTITY, SMB_LOCATION),
    "watch": _all("get", TRANSFER_TASK, TRANSFER_RUN),
    "logs": (*_all("get", TRANSFER_TASK, TRANSFER_RUN, KERBEROS_IDENTITY, SMB_LOCATION), *_PODS),
    "debug": (
        *_all("list", TRANSFER_TASK, TRANSFER_RUN, KERBEROS_IDENTITY, SMB_LOCATION),
        *_PODS,
        Permission("list", "jobs", "batch"),
        Permission("list", "events", ""),
        Permission("get", _PROXY, ""),
        Permission("get", "version", ""),
    ),
}
"""All that a command may ask for; `list` only for --all, --task and a list, and to suggest a similar name."""
