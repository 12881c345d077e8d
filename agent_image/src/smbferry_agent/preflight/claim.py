"""Whether the destination is still the folder that the operator reserved for the run. Pure."""

from smbferry_agent.errors import AgentError
from smbferry_api.location import DfsTarget
from smbferry_api.reasons import DFS_TARGET_CHANGED
from smbferry_engine import Endpoint


def check_claim(place: DfsTarget, found: Endpoint) -> None:
    """Checks that the run writes where no other run does.

    Args:
        place: the reserved folder.
        found: the folder that DFS leads to now.

    Raises:
        AgentError: DfsTargetChanged, they differ.
    """
    if _key(place) != _key(found):
        claimed, reached = (f"//{side.server}:{side.port}/{side.share}{side.path}" for side in (place, found))
        message = f"Destination: expected {claimed}, got {reached}: the DFS path leads there now."
        raise AgentError(DFS_TARGET_CHANGED, message)


def _key(side: DfsTarget | Endpoint) -> tuple[str, int, str, list[str]]:
    parts = [part.casefold() for part in side.path.split("/") if part]
    return side.server.rstrip(".").casefold(), side.port, side.share.casefold(), parts
