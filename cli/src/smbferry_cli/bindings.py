"""Imports libkrb5's compiled bindings early, so that a check does not fail halfway."""

import importlib
from typing import Final

BINDINGS: Final = ("gssapi", "krb5")


def need_bindings() -> None:
    """Imports the bindings before the agent's first use of them.

    Raises:
        ImportError: a binding or its library is not installed.
    """
    for binding in BINDINGS:
        importlib.import_module(binding)
