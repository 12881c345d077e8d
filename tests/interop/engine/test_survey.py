"""A survey of a real server: what it finds there, that it writes nothing, and that its samples go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lab.support.domain.trees import Wanted, differences

from smbferry_engine import Options, survey_source
from smbferry_words.survey import Basis, Trait

if TYPE_CHECKING:
    from tests.interop.engine.support import Bench

    from smbferry_engine import Survey

pytestmark = pytest.mark.takes(10)

KIB, MIB = 1 << 10, 1 << 20


def survey(bench: Bench, *, copies: bool = False, **options: object) -> Survey:
    chosen = Options(**options)  # type: ignore[arg-type]
    source, destination = bench.ends()
    return survey_source(source, destination if copies else None, chosen, bench.watcher)


def seed(bench: Bench, sizes: list[int]) -> None:
    bench.source.seed(Wanted(f"folder {n // 100}/file {n}.bin", size=size) for n, size in enumerate(sizes))


def test_a_survey_counts_what_the_server_has_and_writes_nothing(bench: Bench) -> None:
    seed(bench, [0, 1, 2_000, 100_000])
    bench.destination.seed([Wanted("there", size=3)])
    before = bench.destination.tree()
    found = survey(bench)
    assert (found.tree.files, found.tree.directories, found.tree.bytes) == (4, 2, 102_001)
    assert found.sampled == 6
    assert found.forecast is not None
    assert found.forecast.basis is Basis.READ
    assert set(bench.watcher.evidence) == {"source"}
    assert differences(before, bench.destination.tree(), times=True) == []


def test_links_collisions_and_hard_links_of_the_server_are_found(bench: Bench) -> None:
    seed(bench, [10])
    inside = bench.source.inside
    bench.source.domain.run("ln", f"{inside}/folder 0/file 0.bin", f"{inside}/second name")
    found = {finding.trait: finding for finding in survey(bench).findings}
    assert found[Trait.HARD_LINK].count == 2
    assert found[Trait.HARD_LINK].at_most is None


def test_samples_that_were_copied_are_deleted_and_the_forecast_is_one_of_copying(bench: Bench) -> None:
    """How near it is to the run that follows is measured in the bench: a busy machine would fail it here."""
    seed(bench, [*[4 * KIB] * 300, *[2 * MIB] * 4])
    found = survey(bench, copies=True)
    assert bench.destination.tree() == {}, "the samples are gone"
    assert found.forecast is not None
    assert found.forecast.basis is Basis.COPY
    assert found.forecast.measured.files > 0
    assert found.forecast.seconds > 0
    assert found.forecast.first > 0
