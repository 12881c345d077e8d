"""A check that a location wants: what its identity's decision needs to know to carry it in a Job. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from smbferry_api.pod_settings import PodSettings
from smbferry_operator.model import Carried

OWN_GROUP: Final = ""
"""The group of the locations whose checks may share the pod of their identity's check."""


@dataclass(frozen=True, slots=True)
class Group:
    """Locations of one identity whose checks may share a pod."""

    id: str
    nameservers: tuple[str, ...] = ()
    """Of the pod."""
    settings: PodSettings | None = None
    """Of the pod, in addition to the identity's."""


@dataclass(frozen=True, slots=True)
class WantedCheck:
    """The next check of a location."""

    identity: str
    carried: Carried
    group: Group
    due_at: datetime
    joins_from: datetime
    """From when it is made along with others: so locations fall into step with their identity and stay there."""
    since: datetime | None = None
    """When something happened that makes it due at once, if it did: others may become due by that, too."""
    failing: bool = False
    """It has failed. Such locations are checked last: they are the ones that may take long."""
