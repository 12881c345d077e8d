"""Pieces of HTML: escaped text, tables and figures. Pure."""

import html
from collections.abc import Iterable, Mapping, Sequence

from smbferry_cli.text import safe


def text(value: object) -> str:
    """Returns a value as text that is safe in HTML."""
    return html.escape(safe(str(value)))


def figures(shown: Mapping[str, str]) -> str:
    """Returns terms and their values as cards."""
    pairs = "".join(f"<div><dt>{text(term)}</dt><dd>{text(value)}</dd></div>" for term, value in shown.items())
    return f"<dl>{pairs}</dl>"


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    numbers: frozenset[int] | set[int] = frozenset(),
) -> str:
    """Returns a table; ``numbers`` are the indexes of right-aligned columns."""

    def cell(index: int, content: str, *, heads: bool) -> str:
        tag = "th" if heads and content else "td"  # an empty header has no meaning for a screen reader
        scope = ' scope="col"' if tag == "th" else ""
        mark = ' class="n"' if index in numbers else ""
        return f"<{tag}{scope}{mark}>{text(content)}</{tag}>"

    def cells(row: Sequence[str], *, heads: bool = False) -> str:
        return "".join(cell(index, content, heads=heads) for index, content in enumerate(row))

    lines = "".join(f"<tr>{cells(row)}</tr>" for row in rows)
    content = f"<thead><tr>{cells(head, heads=True)}</tr></thead><tbody>{lines}</tbody>"
    return f'<div class="wide"><table>{content}</table></div>'
