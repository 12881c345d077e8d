"""`smbferry debug bundle`: one file with what helps to understand a problem, and nothing secret."""

import argparse
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Final

from smbferry_api.exit_codes import ExitCode
from smbferry_cli.bundle.archive import Contents, packed
from smbferry_cli.bundle.collect import Collector, Wanted
from smbferry_cli.cluster import Cluster
from smbferry_cli.exits import ClusterError
from smbferry_cli.text import safe
from smbferry_cli.verbs.waiting import Clock

_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL


def debug(
    chosen: argparse.Namespace,
    cluster: Cluster,
    _clock: Clock,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> ExitCode:
    """Writes the bundle.

    Raises:
        ClusterError: no object may be read, or the file cannot be written.
    """
    moment = now()
    name = f"smbferry-debug-{moment:%Y%m%dT%H%M%SZ}"
    file: Path = chosen.output or Path(f"{name}.tar.gz")
    wanted = Wanted(chosen.all_namespaces, chosen.operator_namespace, chosen.tail)
    contents = Collector(cluster, wanted).collect(_version())
    about = {
        "created": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
        "namespace": "all" if chosen.all_namespaces else cluster.namespace,
        "operatorNamespace": chosen.operator_namespace,
    }
    _write(file, packed(name, contents, about))
    _tell(file, contents)
    return ExitCode.DONE


def _write(file: Path, content: bytes) -> None:
    """Writes a new file that only the user can read."""
    try:
        with os.fdopen(os.open(file, _NEW_FILE, 0o600), "wb") as out:
            out.write(content)
    except OSError as error:
        said = f'cannot write "{file}": {error.strerror}; choose another file with -o'
        raise ClusterError(said, ExitCode.CONFIGURATION) from error


def _tell(file: Path, contents: Contents) -> None:
    print(safe(str(file)))
    print(f"smbferry: {len(contents.files)} files. Look through them before you pass them on.", file=sys.stderr)
    for entry in contents.missing:
        print(f"smbferry: without {safe(entry['what'])}: {entry['why']}", file=sys.stderr)


def _version() -> str:
    try:
        return metadata.version("smbferry")
    except metadata.PackageNotFoundError:
        return "source"
