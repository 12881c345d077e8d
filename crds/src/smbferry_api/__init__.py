"""The smbferry.io/v1alpha1 API: the four kinds, their conditions and reasons, and the agent's exit codes.

Everything else in smbferry speaks in these words. The package does no IO and knows neither Kubernetes' client
nor SMB: it can be imported by the operator, by the agent and by the command line alike.
"""

from smbferry_api.names import API_VERSION, GROUP, VERSION

__all__ = ["API_VERSION", "GROUP", "VERSION"]
