"""Streams and extended attributes on a real server, seen where it stores them: in the files' own xattrs.

Of the two servers only the member server has streams (vfs_streams_xattr); both have extended attributes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from lab.support.domain.trees import Wanted
from tests.interop.engine.support import MIB, Bench

from smbferry_engine import CompareBy, ExtendedAttributes, Outcome, Streams, VerifyMode

if TYPE_CHECKING:
    from lab.support.domain.domain import Domain
    from lab.support.domain.machine import Directory
    from lab.support.domain.member import Member
    from tests.interop.engine.tickets import Tickets

STREAM = re.compile(r"user\.DosStream\.(.+):\$DATA")
OWN = frozenset({"user.DOSATTRIB", "user.SAMBA_PAI"})
ZONE = b"[ZoneTransfer]\r\nZoneId=3\r\n"
TREE = (
    Wanted("small", size=100),
    Wanted("empty"),
    Wanted("large", size=3 * MIB),
    Wanted("plain", size=10),
    Wanted("d", "directory"),
    Wanted("d/f", size=20),
)
# Path ("" is the root of the transfer) → names of streams and extended attributes with their content.
STREAMS = {
    "": {"root": b"1"},
    "small": {"Zone.Identifier": ZONE, "AFP_AfpInfo": b"AFP\0" * 15},
    "empty": {"only": b"\0\1\2"},
    "large": {"Zone.Identifier": ZONE},
    "d": {"of a folder": b"folder"},
}
EAS = {
    "": {"ROOT": b"r"},
    "small": {"PROJECT": b"blue", "BYTES": bytes(range(256))},
    "large": {"PROJECT": b"red"},
    "d": {"OWNER": b"us"},
    "d/f": {"OWNER": b"them"},
}
Attached = dict[str, dict[str, bytes]]
IGNORE: dict[str, Any] = {"streams": Streams.IGNORE, "extended_attributes": ExtendedAttributes.IGNORE}


def attach(directory: Directory, streams: Attached, eas: Attached) -> None:
    """Give files and folders streams and extended attributes on the server's disk; a stream ends with a byte more."""
    named = [
        (path, f"user.DosStream.{name}:$DATA", one + b"\0")
        for path, all_ in streams.items()
        for name, one in all_.items()
    ]
    named += [(path, f"user.{name}", one) for path, all_ in eas.items() for name, one in all_.items()]
    for path, name, content in named:
        target = f"{directory.inside}/{path}".rstrip("/")
        directory.domain.run("setfattr", "-n", name, "-v", f"0x{content.hex()}", target)


def attached(directory: Directory) -> tuple[Attached, Attached]:
    """What getfattr sees on the server's disk: streams and extended attributes by path, but for Samba's own."""
    shown = directory.domain.run(
        "getfattr", "-R", "-d", "-m", r"^user\.", "-e", "hex", "--absolute-names", directory.inside
    ).text
    streams: Attached = {}
    eas: Attached = {}
    path = ""
    for line in shown.splitlines():
        if line.startswith("# file: "):
            path = line.removeprefix(f"# file: {directory.inside}").lstrip("/")
            continue
        name, _, value = line.partition("=0x")
        name = name.replace("\\040", " ")
        content = bytes.fromhex(value)
        stream = STREAM.fullmatch(name)
        if stream:
            streams.setdefault(path, {})[stream[1]] = content[:-1]
        elif name and name not in OWN:
            eas.setdefault(path, {})[name.removeprefix("user.")] = content
    return streams, eas


def expected(host: str, streams: Attached, eas: Attached) -> tuple[Attached, Attached]:
    return (streams if host == "fs1" else {}), eas


def test_streams_and_extended_attributes_travel_with_files_and_folders(bench: Bench, host: str) -> None:
    bench.source.seed(TREE)
    attach(bench.source, STREAMS if host == "fs1" else {}, EAS)
    result = bench.copy()
    assert (result.outcome, bench.watcher.failures, bench.watcher.left) == (Outcome.SUCCEEDED, [], [])
    assert attached(bench.destination) == attached(bench.source) == expected(host, STREAMS, EAS)
    bench.same()
    again = bench.copy(verify_mode=VerifyMode.POINT_IN_TIME_CONSISTENT)
    assert bench.watcher.failures == []
    assert (again.counters.files.transferred, again.counters.directories.transferred) == (0, 0)
    # Behind our back, and at the source: what is compared by content follows, folders in any run.
    attach(
        bench.source,
        {"small": {"Zone.Identifier": b"other"}} if host == "fs1" else {},
        {"small": {"PROJECT": b"green"}},
    )
    attach(bench.source, {"d": {"of a folder": b"FOLDER"}} if host == "fs1" else {}, {"d": {"OWNER": b"them"}})
    bench.copy(compare_by=CompareBy.CHECKSUM)
    assert bench.watcher.failures == []
    assert attached(bench.destination) == attached(bench.source)
    bench.same()


def test_ignored_streams_and_extended_attributes_of_the_destination_stay(bench: Bench, host: str) -> None:
    bench.source.seed(TREE)
    attach(bench.source, STREAMS if host == "fs1" else {}, EAS)
    bench.copy(**IGNORE)
    assert bench.watcher.failures == []
    assert attached(bench.destination) == ({}, {})
    theirs = {"small": {"tag": b"theirs"}, "large": {"tag": b"theirs"}}
    attach(bench.destination, theirs if host == "fs1" else {}, theirs)
    bench.source.seed([Wanted("small", size=200, version=1), Wanted("large", size=3 * MIB + 1, version=1)])
    result = bench.copy(**IGNORE)
    assert (result.counters.files.transferred, bench.watcher.failures) == (2, [])
    assert attached(bench.destination) == expected(host, theirs, theirs)
    bench.same()


@pytest.mark.fault(150)
def test_smbclient_sees_the_same_streams_and_extended_attributes_on_both_sides(
    member: Member, tickets: Tickets
) -> None:
    """A client that is not ours, between the member server's shares."""
    with member.directory("acl-src") as source, member.directory("acl-dst") as destination:
        made = Bench(tickets, source, destination, ())
        source.seed(TREE)
        attach(source, STREAMS, EAS)
        made.copy(expected=None)
        assert made.watcher.failures == []
        for name in ("small", "large", "d"):
            shown = [
                member.smbclient(
                    "Administrator", it.share, f'allinfo "{it.name}/{name}"', f'geteas "{it.name}/{name}"'
                ).text
                for it in (source, destination)
            ]
            ours, theirs = (
                sorted(line.strip() for line in text.splitlines() if "stream:" in line or ") =" in line)
                for text in shown
            )
            assert ours == theirs
            assert any("stream:" in line for line in ours), shown


@pytest.mark.fault(151)
def test_streams_that_the_other_server_cannot_hold_are_named_and_mended_where_it_can(
    domain: Domain, member: Member, tickets: Tickets
) -> None:
    """From the member server, which has streams, to the domain controller, which has none."""
    with member.directory("acl-src") as source, domain.directory("dst") as destination:
        made = Bench(tickets, source, destination, ())
        source.seed(TREE)
        attach(source, STREAMS, EAS)
        for _ in range(2):
            result = made.copy(expected=None)
            assert result.outcome is Outcome.PARTIALLY_SUCCEEDED
            assert {one.path for one in made.watcher.left} == {
                f"/{path}:{name}" for path, named in STREAMS.items() for name in named
            }
            assert set(made.watcher.reasons.values()) == {"StreamNotCarried"}
            assert attached(destination) == ({}, EAS)
        result = made.copy(expected=None, **IGNORE)
        assert (result.outcome, made.watcher.failures) == (Outcome.SUCCEEDED, [])
        made.same()
