"""Runs as reports tell of them, for pages to be made from."""

from __future__ import annotations

import math
from typing import Any

from smbferry_cli.html import Facts

SIDE = {
    "principal": "svc-src@CORP.EXAMPLE.COM",
    "kvno": 4,
    "ticketEnctype": "aes256-cts-hmac-sha1-96",
    "dialect": "3.1.1",
    "cipher": "AES-128-GCM",
    "signing": "AES-GMAC (required by the server)",
}
# Bytes per second: it begins with small files, comes to large ones, and waits for the server now and then.
RATES = [(110 + 2.4 * min(n, 30) + 22 * math.sin(n / 3) + 14 * math.sin(1.7 * n)) * 1e6 for n in range(40)]
LONG = "/2026/" + "a very long name of a folder that nobody should have made/" * 5 + "unbreakable" * 20 + ".xlsx"


def nightly() -> Facts:
    """A run with everything that a page can show: most files copied, three failed."""
    facts = Facts(
        {
            "schema": "smbferry.io/report/v1",
            "run": "finance-k7w2m9ab",
            "task": "finance",
            "state": "PartiallySucceeded",
            "startTime": "2026-11-21T22:00:04Z",
            "completionTime": "2026-11-21T22:03:24Z",
            "source": {"server": "files1.corp.example.com", "share": "finance", "path": "/2026"},
            "destination": {"server": "files2.corp.example.com", "share": "archive", "path": "/finance"},
            "counters": {
                "files": {"transferred": 20_181, "verified": 20_181, "skipped": 4_310, "deleted": 12, "failed": 3},
                "bytes": {"transferred": 34_210_000_000},
                "bytesPerSecond": 171_050_000,
            },
            "phases": {
                name: {"state": "Succeeded", "duration": took}
                for name, took in (
                    ("preflight", "1.4s"), ("prepare", "41.0s"), ("transfer", "3m12s"), ("verify", "3m12s"),
                    ("delete", "0.8s"),
                )
            },
            "security": {"source": SIDE, "destination": {**SIDE, "principal": "svc-dst@CORP.EXAMPLE.COM", "kvno": 2}},
            "throughput": [[5 * n, 5 * sum(RATES[:n]), 500 * n] for n in range(len(RATES) + 1)],
            "records": {"path": "/reports/finance-k7w2m9ab.files.jsonl.gz", "sha256": "ab" * 32, "lines": 24_500},
        }
    )  # fmt: skip
    for size, count in ((0, 120), (700, 2_100), (40_000, 9_400), (800_000, 6_900), (9 << 20, 1_500), (200 << 20, 161)):
        _take(facts, count, kind="File", action="Transferred", size=size)
    _take(facts, 4_310, kind="File", action="Skipped", size=40_000)
    _take(facts, 12, kind="File", action="Deleted")
    _take(facts, 902, kind="Directory", action="Transferred")
    for path, reason, message in (
        ("/2026/budget/plan.xlsx", "SharingViolation", "Somebody holds the file open for writing."),
        ("/2026/payroll/november.accdb", "AccessDenied", "The account svc-src may not read it."),
        (LONG, "NameNotRepresentable", "The destination can't hold a name of this length."),
    ):
        facts.take({"kind": "Failure", "path": path, "phase": "Transfer", "reason": reason, "message": message})
    return facts


def failed() -> Facts:
    """A run that did not get as far as data."""
    remedy = "Export a new keytab for the account and update the Secret. smbferry repeats the check automatically."
    failure = {
        "class": "Identity",
        "reason": "KeytabStale",
        "message": "The KDC refused key version 3.",
        "remedy": remedy,
    }
    return Facts({"run": "nightly-0", "task": "nightly", "state": "Failed", "failure": failure})


def hostile() -> Facts:
    """Names that would be code, or turn lines around."""
    facts = Facts({"run": "<script>console.error(1)</script>", "state": '"><img src=x onerror=console.error(2)>'})
    facts.take({"kind": "Failure", "path": "/\u202egnp.exe\x1b[31m<svg onload=console.error(3)>", "reason": "X"})
    return facts


def _take(facts: Facts, count: int, **record: Any) -> None:
    for _ in range(count):
        facts.take(record)
