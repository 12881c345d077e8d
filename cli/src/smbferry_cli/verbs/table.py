"""Lays out tables as `kubectl get` does: a line per object, no lines between, cut nowhere. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.cells import cell_len
from rich.text import Text

from smbferry_api.run_status import RunState
from smbferry_cli.text import safe

_GAP: Final = "   "
_STYLES: Final = {
    "READY": {"True": "green", "False": "bold red", "Unknown": "yellow"},
    "IN SYNC": {"True": "green", "False": "bold red", "Unknown": "yellow"},
    "SUSPENDED": {"true": "yellow"},
}
_STATES: Final = {
    RunState.SUCCEEDED.value: "green",
    RunState.PARTIALLY_SUCCEEDED.value: "yellow",
    RunState.FAILED.value: "bold red",
    RunState.CANCELLED.value: "yellow",
}
_STATE_COLUMNS: Final = frozenset({"STATE", "LAST RUN"})


@dataclass(frozen=True, slots=True)
class Shown:
    """What of a table is shown."""

    wide: bool = False
    namespaces: bool = False
    prefix: str = ""
    """Before each name, if several kinds are shown: transfertask.smbferry.io/"""


def lines(pages: Sequence[dict[str, Any]], shown: Shown) -> list[Text]:
    """Returns the title and a line per row of metav1.Tables with the same columns; nothing without rows."""
    found = [row for page in pages for row in page.get("rows") or ()]
    if not found:
        return []
    columns = pages[0].get("columnDefinitions") or ()
    chosen = [i for i, column in enumerate(columns) if shown.wide or not column.get("priority")]
    titles = [str(columns[i]["name"]).upper() for i in chosen]
    rows = [[_cell(row["cells"][i]) for i in chosen] for row in found]
    if shown.prefix:
        rows = [[f"{shown.prefix}{name}", *others] for name, *others in rows]
    if shown.namespaces:
        titles = ["NAMESPACE", *titles]
        rows = [[_cell(row["object"]["metadata"]["namespace"]), *cells] for row, cells in zip(found, rows, strict=True)]
    return list(_laid_out(titles, rows))


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else safe(str(value))


def _laid_out(titles: list[str], rows: list[list[str]]) -> Iterable[Text]:
    widths = [max(map(cell_len, column)) for column in zip(titles, *rows, strict=True)]
    yield _line(titles, widths, [""] * len(titles))
    for row in rows:
        yield _line(row, widths, [_style(title, cell) for title, cell in zip(titles, row, strict=True)])


def _line(cells: list[str], widths: list[int], styles: list[str]) -> Text:
    line = Text()
    for number, (cell, width, style) in enumerate(zip(cells, widths, styles, strict=True)):
        line.append(cell, style)
        if number < len(cells) - 1:
            line.append(" " * (width - cell_len(cell)) + _GAP)
    line.rstrip()
    return line


def _style(title: str, cell: str) -> str:
    return _STATES.get(cell, "") if title in _STATE_COLUMNS else _STYLES.get(title, {}).get(cell, "")
