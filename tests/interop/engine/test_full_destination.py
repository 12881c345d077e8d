"""A real destination without enough room."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from lab.support.domain.trees import Wanted, differences, small
from tests.interop.engine.support import MIB

from smbferry_engine import (
    EngineError,
    Outcome,
)
from smbferry_engine.paths import STAGING_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.interop.engine.support import Bench


pytestmark = pytest.mark.takes(10)


@contextlib.contextmanager
def little_space(bench: Bench, size: str) -> Iterator[None]:
    domain = bench.destination.domain
    domain.run("mount", "-t", "tmpfs", "-o", f"size={size},mode=0777", "tmpfs", bench.destination.inside)
    try:
        yield
    finally:
        domain.run("umount", bench.destination.inside)


def test_a_file_larger_than_what_is_free_is_named_and_the_others_are_copied(bench: Bench) -> None:
    bench.source.seed([Wanted("large", size=30 * MIB), *small(200)])
    with little_space(bench, "12m"):
        bench.destination.write("large", b"old")
        result = bench.copy()
        assert result.outcome is Outcome.PARTIALLY_SUCCEEDED
        assert bench.watcher.reasons == {"/large": "DestinationFull"}
        assert bench.destination.read("large") == b"old"
        assert len(differences(bench.source.tree(), bench.destination.tree())) == 1


@pytest.mark.fault(28, 83)
def test_a_full_destination_is_named_and_keeps_only_whole_files(bench: Bench) -> None:
    bench.source.seed([Wanted("large", size=30 * MIB), *small(160, size=160 * 1024)])
    with little_space(bench, "12m"):
        bench.destination.write("large", b"old")
        with pytest.raises(EngineError) as caught:
            bench.copy()
        assert caught.value.reason == "DestinationFull"
        assert "/many/group 0/folder 0/file " in caught.value.message
        there, ours = bench.destination.tree(), bench.source.tree()
        assert bench.destination.read("large") == b"old"
        assert not [path for path in there if STAGING_PREFIX in path]
        for path, entry in there.items():
            assert path == "large" or entry.sha256 == ours[path].sha256
