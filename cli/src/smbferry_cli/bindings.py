"""libkrb5's compiled bindings: asked for before a ticket is, so that a check does not end in its middle."""

import importlib
from typing import Final

BINDINGS: Final = ("gssapi", "krb5")


def need_bindings() -> None:
    """Imports them; the agent would do so only at their first use.

    Raises:
        ImportError: one is not installed, or its library is not.
    """
    for binding in BINDINGS:
        importlib.import_module(binding)
