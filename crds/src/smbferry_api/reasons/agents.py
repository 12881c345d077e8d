"""Agents, their Jobs and the API server."""

from smbferry_api.exit_codes import FailureClass
from smbferry_api.reason import define

_CONFIGURATION = FailureClass.CONFIGURATION
_GUARD = FailureClass.GUARD
_NETWORK = FailureClass.NETWORK

AGENT_STARTING = define("AgentStarting", "The agent's pod is being started.")
AGENT_LOST = define(
    "AgentLost",
    "The agent's pod ended without a report.",
    "Look at the pod's events: kubectl describe pod; eviction and node loss are retried.",
    _NETWORK,
)
RUN_TIMED_OUT = define(
    "RunTimedOut",
    "The run took longer than agent.activeDeadline allows, and was ended.",
    "Raise agent.activeDeadline; what was complete stays, and the next run goes on.",
    _GUARD,
)
AGENT_NOT_SCHEDULED = define(
    "AgentNotScheduled",
    "The agent's pod can't be started.",
    "Look at the pod's events: image, quota, node selector and tolerations.",
    _CONFIGURATION,
)
API_SERVER_UNREACHABLE = define(
    "ApiServerUnreachable",
    "The agent could not reach the Kubernetes API server.",
    "Check that pods may reach the API server (NetworkPolicy), and that it is up.",
    _NETWORK,
)
API_SERVER_REFUSED = define(
    "ApiServerRefused",
    "The Kubernetes API server refused what the agent asked.",
    "Check the agent's Role and the versions of CRDs and agent; smbferry makes the Role itself.",
    _CONFIGURATION,
)
OBJECT_GONE = define(
    "ObjectGone",
    "The object that the agent worked for was deleted.",
    "Nothing is to be done, unless the deletion was not meant.",
    FailureClass.CANCELLED,
)
INTERNAL_ERROR = define(
    "InternalError", "smbferry itself failed: a bug.", "Please report it with the agent's log.", FailureClass.BUG
)
