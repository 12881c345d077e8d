"""The pictures in README, taken by a real browser: `python -m tests.browser.pictures DIRECTORY`."""

from __future__ import annotations

import html
import sys
from pathlib import Path

from lab.support.chromium import Browser, Page, chromium
from tests.browser import reports

from smbferry_cli.html import page

SCHEMES = {"light": "", "dark": "-dark"}
STATUS = Path(__file__).with_name("status.txt")
TERMINAL = """\
<!doctype html><html lang="en"><head><title>status</title><style>
:root{{color-scheme:light dark}}body{{margin:0;padding:16px 20px;background:#fff;color:#1b2733;display:inline-block}}
pre{{margin:0;font:13px/1.45 'DejaVu Sans Mono',monospace}}b{{color:#2563a8}}.g{{color:#1b7f4d}}.r{{color:#b3261e}}
@media(prefers-color-scheme:dark){{body{{background:#12181e;color:#e6ebf0}}b{{color:#7fb4ee}}.g{{color:#5bd397}}
.r{{color:#ff8a80}}}}</style></head><body><pre>{}</pre></body></html>
"""
TONES = {"True": "g", "ChecksPassed": "g", "Succeeded": "g", "False": "r", "KeytabStale": "r", "IdentityNotReady": "r"}
REPORT_WIDTH, REPORT_HEIGHT = 900, 1154


def terminal() -> str:
    """The status table as a terminal shows it; colours are ours, kubectl has none."""
    lines = []
    for line in STATUS.read_text(encoding="utf-8").splitlines():
        shown = html.escape(line, quote=False)
        if line.startswith("$ "):
            shown = f"<b>{shown}</b>"
        elif "smbferry.io/" in line:
            for word, tone in TONES.items():
                shown = shown.replace(f" {word} ", f' <span class="{tone}">{word}</span> ')
        lines.append(shown)
    return TERMINAL.format("\n".join(lines))


def take(browser: Browser, folder: Path) -> None:
    """Writes all of them."""
    for scheme, suffix in SCHEMES.items():
        with Page(browser, terminal(), width=1200, height=400, scheme=scheme) as shown:
            width, height = (
                shown.value(f"Math.ceil(document.body.getBoundingClientRect().{d})") for d in ("width", "height")
            )
            (folder / f"status{suffix}.png").write_bytes(shown.picture(width, height))
        with Page(browser, page(reports.nightly()), width=REPORT_WIDTH, height=REPORT_HEIGHT, scheme=scheme) as shown:
            (folder / f"report{suffix}.png").write_bytes(shown.picture(REPORT_WIDTH, REPORT_HEIGHT))


if __name__ == "__main__":
    with chromium() as (started, _):
        take(started, Path(sys.argv[1]))
