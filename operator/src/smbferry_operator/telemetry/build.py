"""The operator's own version."""

import importlib.metadata
from typing import Final

DISTRIBUTION: Final = "smbferry"
FROM_SOURCE: Final = "source"
"""The version of an operator that runs from a checkout."""


def product_version() -> str:
    """The version of the installed package."""
    try:
        return importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return FROM_SOURCE
