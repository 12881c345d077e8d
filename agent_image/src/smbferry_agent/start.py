"""Where the container's process begins."""

import gc


def start() -> int:
    """Load everything and run the command.

    All that is loaded stays, so nothing of it is looked through for garbage: not while it is loaded, which would take a
    sixth of that time, and not later.
    """
    gc.disable()
    from smbferry_agent.main import entry_point  # noqa: PLC0415 - what is not to be looked through

    gc.freeze()
    gc.enable()
    return entry_point()
