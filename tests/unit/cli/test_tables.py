"""Verdicts and summaries as they look, at fixed widths; and that no text from outside can move the cursor."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.cli import samples
from tests.unit.cli.samples import ended, identity, location, rendered

from smbferry_api.reasons import KEYTAB_STALE
from smbferry_api.run_status import FileFailure, RunFailure, RunState, SourceSnapshotStatus
from smbferry_cli import tables
from smbferry_cli.text import safe


def test_verdicts_in_a_wide_terminal() -> None:
    lines = rendered(tables.verdicts_view([identity(samples.AHEAD), location(samples.LOCATION_IS_WELL)], 140), 140)
    rule = set(lines.pop(1))
    assert rule == {"─"}
    table = [line.split(maxsplit=4) for line in lines]
    assert table[0] == ["OBJECT", "CHECK", "VERDICT", "REASON", "MESSAGE"]
    assert lines[1].startswith("KerberosIdentity/svc-src   DnsReady          ok            Resolved           A dc1")
    assert lines[5].split()[:4] == ["KvnoMismatch", "warning", "KeytabAhead", "Ahead."]
    assert any(line.startswith("SmbLocation/source         DnsReady") for line in lines)


def test_verdicts_in_a_narrow_terminal() -> None:
    lines = rendered(tables.verdicts_view([location(samples.NO_SHARE)], 80), 80)
    assert lines[:4] == [
        "SmbLocation/source",
        "CHECK             VERDICT       REASON AND MESSAGE",
        "─" * max(map(len, lines)),
        "DnsReady          ok            Resolved",
    ]
    assert "ShareAccessible   failed        ShareNotFound" in lines
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("width", [40, 80, 119, 120, 200])
def test_nothing_is_lost_at_any_width(width: int) -> None:
    said = "".join("".join(rendered(tables.verdicts_view([identity(samples.STALE)], width), width)).split())
    for word in ("KerberosIdentity/svc-src", "KeytabStale", "TicketAcquired", "failed", "Keyversion3."):
        assert word in said
    if width < tables.WIDE:
        assert "".join(f"Refused. {KEYTAB_STALE.remedy}".split()) in said.replace("KvnoMismatch", "")


def test_the_summary_of_a_run() -> None:
    assert rendered(tables.summary("nightly", ended(), dry_run=False), 80) == [
        "nightly: Succeeded in 10.0s",
        "",
        "          LISTED   TO COPY   COPIED   SKIPPED   VERIFIED   DELETED   FAILED",
        "─" * 75,
        "files      2,003     2,003    2,003         0      2,000         0        0",
        "folders       12        12       12         0          0         0        0",
        "512.0 MiB of 512.0 MiB transferred, 51.2 MiB/s on average",
        "",
        "              SOURCE         DESTINATION",
        "─" * 41,
        "principal     svc-src@CORP   svc-dst@CORP",
        "key version   3              3",
        "ticket        aes256         aes256",
        "dialect       3.1.1          3.1.1",
        "cipher        AES-256-GCM    AES-256-GCM",
        "signing       GMAC           GMAC",
    ]


def test_the_summary_says_which_version_of_the_source_was_read() -> None:
    read = SourceSnapshotStatus(time=datetime(2026, 11, 21, 12, tzinfo=UTC), age="3h20m", message="The newest of 2.")
    as_it_is = SourceSnapshotStatus(message="The files are read as they are: none\x1b[2J.")
    for told, line in (
        (read, "Source as of 2026-11-21T12:00:00Z, 3h20m old. The newest of 2."),
        (as_it_is, "The files are read as they are: none\\x1b[2J."),
    ):
        status = ended().model_copy(update={"source_snapshot": told})
        assert rendered(tables.summary("nightly", status, dry_run=False), 80)[1] == line


def test_the_summary_counts_what_lacks_some_of_its_metadata() -> None:
    status = ended(RunState.PARTIALLY_SUCCEEDED)
    assert status.counters is not None
    files = status.counters.files.model_copy(update={"failed": 2, "incomplete": 2})
    counters = status.counters.model_copy(update={"files": files})
    lines = rendered(tables.summary("nightly", status.model_copy(update={"counters": counters}), dry_run=False), 90)
    assert lines[2].split()[-2:] == ["FAILED", "INCOMPLETE"]
    assert [line.split()[-2:] for line in lines[4:6]] == [["2", "2"], ["0", "0"]]


def test_the_summary_of_a_dry_run_says_what_would_be_done() -> None:
    lines = rendered(tables.summary("nightly", ended(), dry_run=True, to_delete=7), 80)
    assert lines[0] == "nightly: Succeeded in 10.0s (dry run: nothing was written)"
    assert lines[2] == "          LISTED   TO COPY   SKIPPED   FAILED"
    assert "512.0 MiB to transfer; files and folders to delete: 7" in lines


def test_the_summary_of_a_failure_gives_reason_and_remedy() -> None:
    failure = RunFailure(class_="Identity", reason="KeytabStale", message="Source: refused.", remedy="Export it anew.")
    status = ended(RunState.FAILED).model_copy(update={"counters": None, "security": None, "failure": failure})
    assert rendered(tables.summary("nightly", status, dry_run=False), 80) == [
        "nightly: Failed in 10.0s",
        "",
        "KeytabStale: Source: refused.",
        "Export it anew.",
    ]


def test_failures_beyond_the_listed_ones_are_counted() -> None:
    lines = rendered(
        tables.summary("t", ended(RunState.PARTIALLY_SUCCEEDED, failed=1025, listed=20), dry_run=False), 80
    )
    assert "1,005 more failures are not listed." in lines


def test_a_cancelled_run_says_what_stays() -> None:
    status = ended(RunState.CANCELLED)
    assert rendered(tables.summary("t", status, dry_run=False), 100)[-1].startswith("Cancelled. Complete files stay")
    early = status.model_copy(update={"counters": None})
    assert rendered(tables.summary("t", early, dry_run=False), 100)[-1] == "Cancelled before any data moved."


HOSTILE = "\x1b]0;title\x07[bold]x[/bold]\u202etxt.exe\nnext"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("größe 日本語 👩‍🚀", "größe 日本語 👩‍🚀"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb\r\t\x7f\x9b", "a\\x0ab\\x0d\\x09\\x7f\\x9b"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("\ud800", "\\ud800"),
        ("\u2028", "\\u2028"),
    ],
)
def test_text_from_outside_is_made_fit_for_a_terminal(text: str, shown: str) -> None:
    assert safe(text) == shown


@given(st.text(st.characters(exclude_categories=())))
def test_nothing_unprintable_is_left(text: str) -> None:
    assert {unicodedata.category(c) for c in safe(text)}.isdisjoint({"Cc", "Cs", "Zl", "Zp"})


def test_a_hostile_path_is_shown_as_it_is_and_does_nothing() -> None:
    line = tables.failure_line(FileFailure(path=HOSTILE, phase="Transfer", reason="FileLocked", message=HOSTILE))
    (said,) = rendered(line, 400)
    assert said.startswith("failed \\x1b]0;title\\x07[bold]x[/bold]\\u202etxt.exe\\x0anext: FileLocked: ")
    assert "\x1b" not in said
