"""The smbferry.io/v1alpha1 API: the four kinds, their conditions and reasons, and the agent's exit codes.

All other packages use these names. This package does no IO and depends on neither the Kubernetes client nor SMB, so the
operator, the agent and the command line can all import it.
"""

from smbferry_api.names import API_VERSION, GROUP, VERSION

__all__ = ["API_VERSION", "GROUP", "VERSION"]
