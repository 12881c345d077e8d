"""Where the container's process begins."""

import gc

from smbferry_agent.hardening import forbid_core_dumps


def start() -> int:
    """Load everything and run the command.

    All that is loaded stays, so nothing of it is looked through for garbage: not while it is loaded, which would take a
    sixth of that time, and not later.
    """
    forbid_core_dumps()
    gc.disable()
    from smbferry_agent.main import main  # noqa: PLC0415 - what is not to be looked through

    gc.freeze()
    gc.enable()
    return main()
