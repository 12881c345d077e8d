"""Files with several names on real servers: the witness is what the server's own disk says of their inodes."""

from __future__ import annotations

from typing import Any

import pytest
from lab.support.domain.trees import Wanted
from tests.interop.engine.support import MIB, Bench, held
from tests.interop.engine.witness import set_mode

from smbferry_engine import CompareBy, HardLinks, NotCarriedKind, Outcome, SecurityDescriptors, TransferMode

pytestmark = pytest.mark.takes(15)

PRESERVE: dict[str, Any] = {"hard_links": HardLinks.PRESERVE}
NAMES = {"small": ("small", "d/small too", "d/small three"), "large": ("large", "d/large too")}
TREE = (Wanted("small", size=100), Wanted("large", size=5 * MIB), Wanted("single", size=10), Wanted("d", "directory"))


def link(bench: Bench) -> None:
    bench.source.seed(TREE)
    for first, *others in NAMES.values():
        for name in others:
            bench.source.domain.run("ln", f"{bench.source.inside}/{first}", f"{bench.source.inside}/{name}")


def inodes(bench: Bench, first: str) -> set[tuple[str, str]]:
    """Inode and number of links of all names of a file at the destination."""
    paths = [f"{bench.destination.inside}/{name}" for name in NAMES[first]]
    shown = bench.destination.domain.run("stat", "-c", "%i %h", *paths).text
    return {(inode, links) for inode, links in (line.split() for line in shown.splitlines())}


def together(bench: Bench) -> bool:
    return all(
        len(found := inodes(bench, first)) == 1 and {links for _, links in found} == {str(len(names))}
        for first, names in NAMES.items()
    )


def told(bench: Bench) -> list[str]:
    return sorted(item.path for item in bench.watcher.left if item.what is NotCarriedKind.HARD_LINK)


def test_each_name_of_a_file_becomes_a_file_of_its_own_and_is_told(bench: Bench) -> None:
    link(bench)
    assert bench.copy().outcome is Outcome.SUCCEEDED
    bench.same()
    assert [len(inodes(bench, first)) for first in NAMES] == [3, 2]
    assert told(bench) == sorted(f"/{name}" for names in NAMES.values() for name in names)


@pytest.mark.fault(154)
@pytest.mark.parametrize("descriptors", [SecurityDescriptors.NONE, SecurityDescriptors.OWNER_DACL])
def test_preserved_names_are_names_of_one_copy(bench: Bench, descriptors: SecurityDescriptors) -> None:
    link(bench)
    result = bench.copy(**PRESERVE, security_descriptors=descriptors)
    assert result.outcome is Outcome.SUCCEEDED
    bench.same()
    assert together(bench)
    assert told(bench) == []
    assert result.counters.bytes.written == 5 * MIB + 110
    again = bench.copy(**PRESERVE, security_descriptors=descriptors)
    assert (again.outcome, again.counters.files.transferred) == (Outcome.SUCCEEDED, 0)


@pytest.mark.parametrize("attributes", ["-r", "+r"], ids=["plain", "read-only"])
@pytest.mark.parametrize(
    "options",
    [{}, {"compare_by": CompareBy.CHECKSUM}, {"compare_by": CompareBy.METADATA}, {"transfer_mode": TransferMode.ALL}],
    ids=str,
)
def test_a_changed_file_keeps_its_names_together(bench: Bench, attributes: str, options: dict[str, Any]) -> None:
    link(bench)
    set_mode(bench.source, "small", attributes)
    assert bench.copy(**PRESERVE).outcome is Outcome.SUCCEEDED
    bench.source.domain.run("sh", "-c", f"echo changed >> '{bench.source.inside}/small'")
    bench.source.domain.run("sh", "-c", f"echo changed >> '{bench.source.inside}/large'")
    assert bench.copy(**PRESERVE, **options).outcome is Outcome.SUCCEEDED
    bench.same()
    assert together(bench)
    assert told(bench) == []


def test_a_name_that_somebody_holds_is_a_failure_and_its_file_stays(bench: Bench) -> None:
    link(bench)
    assert bench.copy(**PRESERVE).outcome is Outcome.SUCCEEDED
    before = bench.destination.read("d/small too")
    bench.source.domain.run("sh", "-c", f"echo changed >> '{bench.source.inside}/small'")
    with held(bench, "d\\small too", bench.destination):
        assert bench.copy(**PRESERVE).outcome is Outcome.PARTIALLY_SUCCEEDED
    assert {failure.path for failure in bench.watcher.failures} >= {"/d/small too"}
    assert bench.destination.read("d/small too") == before
    assert bench.copy(**PRESERVE).outcome is Outcome.SUCCEEDED
    bench.same()
