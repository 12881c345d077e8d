"""The bench's cases: their trees, their sizes, the parts that slow clients get."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab.bench import cases
from lab.bench.inside import PARTS, PER_FOLDER, content, path_of
from lab.bench.job import Job, Side


def by_name(scale: float = 1.0) -> dict[str, cases.Case]:
    return {case.name: case for case in cases.cases(scale)}


@given(st.integers(min_value=1, max_value=1 << 30))
def test_log_normal_sizes_add_up_and_none_is_empty(total: int) -> None:
    sizes = cases.log_normal_sizes(total, median=1 << 20)
    assert sum(sizes) == total
    assert min(sizes) > 0
    assert max(sizes) <= cases.LARGEST


def test_log_normal_sizes_are_log_normal() -> None:
    sizes = cases.log_normal_sizes(2 * cases.GIB)
    logarithms = [math.log(size) for size in sizes]
    assert statistics.median(sizes) == pytest.approx(cases.MEDIAN_SIZE, rel=0.1)
    assert statistics.stdev(logarithms) == pytest.approx(cases.SIGMA, rel=0.05)
    assert sizes == cases.log_normal_sizes(2 * cases.GIB)


def test_the_real_cases_are_those_that_were_promised() -> None:
    found = by_name()
    assert (found["copy"].tree.files, found["copy"].tree.bytes) == (1, cases.GIB)
    small = found["small"].tree
    assert (small.files, set(small.sizes)) == (10_000, {4096})
    assert len({path_of(number).rpartition("/")[0] for number in range(small.files)}) == 100
    assert found["small-acl"].tree.protected
    assert found["mixed"].tree.bytes == 2 * cases.GIB
    assert found["rescan"].tree.files == 100_000
    assert found["million"].tree.files == 1_000_000
    for name in ("rescan-acl", "rescan-ace"):
        assert (found[name].tree.files, found[name].tree.protected) == (100_000, True)
        assert found[name].work in cases.IN_PLACE & cases.BY_DESCRIPTOR
    for name in ("read", "write", "copy", "small", "small-acl", "mixed", "rescan", "rescan-acl"):
        assert found[f"{name}-10ms"].round_trip == 0.010
        assert found[name].round_trip == 0.0


def test_every_tree_has_a_name_of_its_own_per_content() -> None:
    trees = {case.tree.name: case.tree for case in cases.cases(0.01)}
    assert all(trees[case.tree.name] == case.tree for case in cases.cases(0.01))


@pytest.mark.parametrize("count", [1, 99, 250, 2_000, 10_000])
def test_a_part_is_the_first_of_ten(count: int) -> None:
    tree = cases.Tree("small", tuple(range(count)))
    part = tree.part()
    inside = [number for number in range(count) if path_of(number).startswith("part-0/")]
    assert part.name == "small/part-0"
    assert list(part.sizes) == inside
    if count % (PARTS * PER_FOLDER) == 0:
        assert part.files == count // PARTS


def test_content_is_the_same_for_the_same_seed_only() -> None:
    one = b"".join(content((1 << 20) + 5, 7))
    assert len(one) == (1 << 20) + 5
    assert one == b"".join(content((1 << 20) + 5, 7))
    assert one != b"".join(content((1 << 20) + 5, 8))


def test_a_job_survives_its_way_to_a_worker() -> None:
    side = Side("share", "a/b", "user@REALM", "FILE:/c")
    job = Job(cases.Work.TREE, "server", "10.0.0.1", 445, "/krb5", side, side, "", 0, "", "/s", verify=True)
    assert Job.from_json(job.to_json()) == job
