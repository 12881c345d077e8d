"""`smbferry report`: reads what a run left, writes the page."""

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
    try:
        target.write_text(page(facts), encoding="utf-8")
    except OSError as error:
        raise ManifestError(f"{target}: {error.strerror or 'it can not be written'}") from error
    print(safe(str(target)))
    if arguments.open:
        webbrowser.open(target.resolve().as_uri())
    return ExitCode.DONE


def summary_of(document: Any) -> dict[str, Any]:
    """A summary as a report has it, from one or from a TransferRun.

    Raises:
        ManifestError: it is neither.
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
    raise ManifestError("expected the summary of a report, or a TransferRun as JSON")


def _place(end: dict[str, Any]) -> dict[str, str]:
    where = end.get("spec") or {}
    if not where.get("server"):
        return {}
    parts = [part for part in f"{where.get('path', '/')}/{end.get('path', '/')}".split("/") if part]
    return {"server": where["server"], "share": where.get("share", ""), "path": "/" + "/".join(parts)}


def records_of(path: Path) -> Iterator[dict[str, Any]]:
    """The records, one after the other, whatever their number.

    Raises:
        ManifestError: they can't be read, or a line is no record.
    """
    try:
        with gzip.open(path, "rb") as file:
            while line := file.readline(_MAX_LINE):
                record = json.loads(line)
                if not isinstance(record, dict):
                    raise ManifestError(f"{path}: expected a JSON object in each line")
                yield record
    except (OSError, EOFError, zlib.error) as error:
        raise ManifestError(f"{path}: expected records compressed by gzip: {error}") from error
    except ValueError as error:
        raise ManifestError(f"{path}: a line is not JSON: {error}") from error
