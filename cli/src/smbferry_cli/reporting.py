"""`smbferry report`: reads a run's report and writes the page."""

import argparse
import gzip
import json
import re
import webbrowser
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from smbferry_api.exit_codes import ExitCode
from smbferry_api.run import ResolvedTask
from smbferry_cli.html import Facts, page
from smbferry_cli.manifests import ManifestError, read_json
from smbferry_cli.text import safe

_MAX_LINE: Final = 1 << 20


def report_command(arguments: argparse.Namespace) -> ExitCode:
    """`smbferry report`."""
    facts = Facts(summary_of(read_json(arguments.file, "a summary or a TransferRun")))
    if arguments.records is not None:
        for record in records_of(arguments.records):
            facts.take(record)
    run = re.sub(r"[^-.\w]", "_", str(facts.summary.get("run") or "run"))
    target: Path = arguments.output or Path(f"{run}.html")
    write_page(target, facts)
    print(safe(str(target)))
    if arguments.open:
        webbrowser.open(target.resolve().as_uri())
    return ExitCode.DONE


def write_page(target: Path, facts: Facts) -> None:
    """Writes the page.

    Raises:
        ManifestError: the file cannot be written.
    """
    try:
        target.write_text(page(facts), encoding="utf-8")
    except OSError as error:
        raise ManifestError(f"{target}: {error.strerror or 'cannot be written'}") from error


def places_of(task: ResolvedTask) -> dict[str, dict[str, str]]:
    """Returns source and destination of a task as a summary has them."""
    ends = {"source": task.source, "destination": task.destination}
    return {
        side: {"server": end.spec.server, "share": end.spec.share, "path": end.full_path} for side, end in ends.items()
    }


def summary_of(document: Any) -> dict[str, Any]:
    """Returns the summary of a report or of a TransferRun.

    Raises:
        ManifestError: the document is neither.
    """
    if isinstance(document, dict) and str(document.get("schema", "")).startswith("smbferry.io/report/"):
        return document
    if isinstance(document, dict) and document.get("kind") == "TransferRun":
        status, spec = document.get("status") or {}, document.get("spec") or {}
        task = spec.get("task") or status.get("task") or {}
        ends = {side: _place(task.get(side) or {}) for side in ("source", "destination")}
        return {
            "run": (document.get("metadata") or {}).get("name"),
            "task": (spec.get("taskRef") or {}).get("name"),
            **{side: place for side, place in ends.items() if place},
            **status,
        }
    raise ManifestError("expected the summary of a report or a TransferRun as JSON")


def _place(end: dict[str, Any]) -> dict[str, str]:
    where = end.get("spec") or {}
    if not where.get("server"):
        return {}
    parts = [part for part in f"{where.get('path', '/')}/{end.get('path', '/')}".split("/") if part]
    return {"server": where["server"], "share": where.get("share", ""), "path": "/" + "/".join(parts)}


def records_of(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the records one by one.

    Raises:
        ManifestError: the file cannot be read or a line is not a record.
    """
    try:
        with gzip.open(path, "rb") as file:
            while line := file.readline(_MAX_LINE):
                record = json.loads(line)
                if not isinstance(record, dict):
                    raise ManifestError(f"{path}: expected a JSON object in each line")
                yield record
    except (OSError, EOFError, zlib.error) as error:
        raise ManifestError(f"{path}: expected records compressed with gzip: {error}") from error
    except ValueError as error:
        raise ManifestError(f"{path}: a line is not JSON: {error}") from error
