"""Which files the filters choose, what a mirror deletes then, and what is not even listed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lab.support.domain.trees import Wanted
from tests.interop.engine.test_options import HOUR_AGO, NOBODY_BUT_ADMINISTRATORS, REMOVE_ALL
from tests.interop.engine.witness import set_mode, set_ntacl

from smbferry_engine import (
    FileAttribute,
    Outcome,
    Selection,
)

if TYPE_CHECKING:
    from tests.interop.engine.support import Bench


pytestmark = pytest.mark.takes(15)


TREE = [
    "projects/a/plan.txt", "projects/a/~$plan.txt", "projects/b/draft.TMP", "projects/b/deep/er/notes.txt",
    "projectsX/f.txt", "other/plan.txt", "other/cache/x.bin", "top.tmp", "top.txt",
]  # fmt: skip


@pytest.mark.parametrize(
    ("include", "exclude", "chosen"),
    [
        (("/projects",), (), TREE[:4]),
        (("/projects/",), ("*/~$*", "*.tmp"), [TREE[0], TREE[3]]),
        (("/PROJECTS/b",), (), TREE[2:4]),
        (("/projects*",), (), TREE[:5]),
        (("/projects/a", "/other/cache"), (), [*TREE[:2], TREE[6]]),
        ((), ("*/cache", "/projects/b/"), [TREE[0], TREE[1], TREE[4], TREE[5], TREE[7], TREE[8]]),
        ((), ("*.tmp", "/projects"), [TREE[4], TREE[5], TREE[6], TREE[8]]),
        (("/projects",), ("*/projects",), []),
    ],
)
def test_filters_choose_what_is_copied_and_what_is_deleted(
    bench: Bench, include: tuple[str, ...], exclude: tuple[str, ...], chosen: list[str]
) -> None:
    bench.source.seed([Wanted(path, size=20) for path in TREE])
    bench.destination.seed([Wanted(f"{path}.old", size=3) for path in TREE])
    others = {path for path, entry in bench.destination.tree().items() if entry.kind == "file"}
    counters = bench.copy(include=include, exclude=exclude).counters
    assert bench.watcher.failures == []
    files = {path for path, entry in bench.destination.tree().items() if entry.kind == "file"}
    assert files == set(chosen) | others
    assert (counters.files.listed, counters.files.transferred) == (len(chosen), len(chosen))
    bench.copy(include=include, exclude=exclude, **REMOVE_ALL)
    left = {path for path, entry in bench.destination.tree().items() if entry.kind == "file"} - set(chosen)
    assert left == {path for path in others if not selected(path, include, exclude)}


@pytest.mark.parametrize(
    ("selection", "left_out"),
    [
        (Selection(min_size=1000), {"small"}),
        (Selection(max_size=1000), {"large"}),
        (Selection(written_until=HOUR_AGO), {"young"}),
        (Selection(written_from=HOUR_AGO), {"small", "large", "hidden", "plain"}),
        (Selection(without=(FileAttribute.HIDDEN,)), {"hidden"}),
    ],
    ids=["minSize", "maxSize", "minAge", "maxAge", "excludeAttributes"],
)
def test_files_are_chosen_by_size_age_and_attribute_and_a_mirror_spares_the_others(
    bench: Bench, selection: Selection, left_out: set[str]
) -> None:
    sizes = {"small": 10, "large": 70_000, "young": 1000, "hidden": 1000, "plain": 1000}
    for side, folder in ((bench.source, "both"), (bench.destination, "only")):
        side.seed([Wanted(f"{folder}/{name}", size=size) for name, size in sizes.items()])
        for name in sizes:
            when = "now" if name == "young" else "2 days ago"
            side.domain.run("touch", "-d", when, f"{side.inside}/{folder}/{name}")
        set_mode(side, f"{folder}/hidden", "+h")
    result = bench.copy(selection=selection)
    assert bench.watcher.failures == []
    chosen = set(sizes) - left_out
    only = {f"only/{name}" for name in sizes}
    files = {path for path, entry in bench.destination.tree().items() if entry.kind == "file"}
    assert files == {f"both/{name}" for name in chosen} | only
    assert result.counters.files.listed == result.counters.files.transferred == len(chosen)
    bench.copy(selection=selection, **REMOVE_ALL)
    assert bench.watcher.failures == []
    files = {path for path, entry in bench.destination.tree().items() if entry.kind == "file"}
    assert files == {f"both/{name}" for name in chosen} | {f"only/{name}" for name in left_out}


def selected(path: str, include: tuple[str, ...], exclude: tuple[str, ...]) -> bool:
    """The patterns of the test above, by the plainest means: by hand for the forms that it uses."""
    text = f"/{path}".lower()
    parts = ["/".join(text.split("/")[: n + 1]) for n in range(1, len(text.split("/")))]

    def matches(pattern: str) -> bool:
        plain = pattern.lower().rstrip("/")
        if plain.startswith("*"):
            rest = plain[1:].rstrip("*")
            return any(rest in part if plain.endswith("*") else part.endswith(rest) for part in parts)
        return any(part.startswith(plain[:-1]) if plain.endswith("*") else part == plain for part in parts)

    return (not include or any(map(matches, include))) and not any(map(matches, exclude))


def test_an_excluded_folder_is_not_even_listed(bench: Bench) -> None:
    bench.source.seed([Wanted("f", size=1), Wanted("dark/g", size=1)])
    set_ntacl(bench.source, "dark", NOBODY_BUT_ADMINISTRATORS)
    result = bench.copy(exclude=("/dark",), **REMOVE_ALL)
    assert result.outcome is Outcome.SUCCEEDED
    assert set(bench.destination.tree()) == {"f"}
