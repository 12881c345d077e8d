"""One folder of the destination has no room, and the others have."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from lab.support.domain.trees import Wanted
from tests.interop.engine.support import MIB

from smbferry_engine import Outcome, VerifyMode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.interop.engine.support import Bench

pytestmark = pytest.mark.takes(20)


@contextlib.contextmanager
def narrow(bench: Bench, folder: str, size: str) -> Iterator[None]:
    """A folder of the destination that is a small file system of its own."""
    domain, inside = bench.destination.domain, f"{bench.destination.inside}/{folder}"
    domain.run("mkdir", "-p", inside)
    domain.run("mount", "-t", "tmpfs", "-o", f"size={size},mode=0777", "tmpfs", inside)
    try:
        yield
    finally:
        domain.run("umount", inside)


@pytest.mark.fault(82)
@pytest.mark.parametrize("verify", [VerifyMode.ONLY_FILES_TRANSFERRED, VerifyMode.NONE])
def test_one_full_folder_fails_its_own_files_and_the_others_are_copied(bench: Bench, verify: VerifyMode) -> None:
    names = [f"f{index:02}" for index in range(63)]
    bench.source.seed(
        [Wanted(f"{folder}/{name}", size=100_000) for folder in ("narrow", "wide") for name in names]
        + [Wanted(f"{folder}/large", size=9 * MIB) for folder in ("narrow", "wide")]
    )
    with narrow(bench, "narrow", "3m"):
        result = bench.copy(verify_mode=verify)
        there, ours = bench.destination.tree(), bench.source.tree()
        assert result.outcome is Outcome.PARTIALLY_SUCCEEDED
        failed = set(bench.watcher.reasons)
        assert set(bench.watcher.reasons.values()) == {"DestinationFull"}
        assert all(path.startswith("/narrow/") for path in failed)
        assert {f"/{path}" for path in ours} - {f"/{path}" for path in there} == failed
        assert all(entry.sha256 == ours[path].sha256 for path, entry in there.items())
        assert 64 - 31 <= len(failed) <= 64 - 20
        assert result.counters.files.failed == len(failed)
        assert result.counters.files.transferred == 128 - len(failed)
