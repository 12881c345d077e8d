"""Agents, their Jobs and the API server."""

from smbferry_words.failure_class import FailureClass
from smbferry_words.reason import define

_CONFIGURATION = FailureClass.CONFIGURATION
_GUARD = FailureClass.GUARD
_NETWORK = FailureClass.NETWORK

AGENT_STARTING = define("AgentStarting", "The agent's pod is starting.")
AGENT_LOST = define(
    "AgentLost",
    "The agent's pod ended without a report.",
    "Check the pod's events with kubectl describe pod. smbferry retries after an eviction or a lost node.",
    _NETWORK,
)
RUN_TIMED_OUT = define(
    "RunTimedOut",
    "The run exceeded agent.activeDeadline and was stopped.",
    "Raise agent.activeDeadline. Completed files stay; the next run resumes.",
    _GUARD,
)
AGENT_NOT_SCHEDULED = define(
    "AgentNotScheduled",
    "The agent's pod cannot start.",
    "Check the pod's events for problems with the image, quota, node selector or tolerations.",
    _CONFIGURATION,
)
AGENT_SUSPENDED = define(
    "AgentSuspended",
    "The agent's Job is suspended: a queue such as Kueue, or a person, holds it back.",
    "It starts when its queue has room. If a person suspended it, set the Job's spec.suspend to false.",
)
API_SERVER_UNREACHABLE = define(
    "ApiServerUnreachable",
    "The agent could not reach the Kubernetes API server.",
    "Check that the API server is running and that the NetworkPolicy lets pods reach it.",
    _NETWORK,
)
API_SERVER_REFUSED = define(
    "ApiServerRefused",
    "The Kubernetes API server refused a request from the agent.",
    "Check the agent's Role, which smbferry creates, and that CRDs and agent have the same version.",
    _CONFIGURATION,
)
OBJECT_GONE = define(
    "ObjectGone",
    "The object that the agent was working on was deleted.",
    "No action is needed unless the deletion was a mistake.",
    FailureClass.CANCELLED,
)
