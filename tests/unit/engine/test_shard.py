"""How a tree is cut into shards: all of it, nothing twice, and evenly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab.support.skew import Tree, misplaced, unevenness, zipf

from smbferry_engine.paths import display, from_display
from smbferry_engine.plan.shard import FILE_WORK, MIN_PIECE, MIN_SHARD, Cut, Sketch, key_of, shards_of

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

GIB = 1 << 30

NAMES = st.text(
    st.characters(codec=None, exclude_categories=(), exclude_characters='\\/:*?"<>|' + "".join(map(chr, range(32)))),
    min_size=1,
    max_size=4,
)
PATHS = st.lists(st.one_of(st.sampled_from(["a", "A", "b", "a.b", "a b", "ä"]), NAMES), min_size=1, max_size=4).map(
    "\\".join
)
SIZES = st.one_of(st.integers(0, 1 << 20), st.integers(0, 8 * GIB))
TREES = st.dictionaries(PATHS, SIZES, max_size=30)


def folders(tree: Tree) -> set[str]:
    found = {""}
    for path in tree:
        parts = path.split("\\")
        found |= {"\\".join(parts[:depth]) for depth in range(len(parts))}
    return found


def sketch(tree: Tree, **options: int) -> Sketch:
    made = Sketch(**options)
    for path, size in tree.items():
        made.add(path, size)
    return made


# --- The whole, and nothing twice ------------------------------------------------------------------------------------


@given(TREES, TREES, st.integers(1, 9), st.integers(1, 8))
def test_every_byte_of_every_file_is_in_exactly_one_shard_whatever_became_of_the_tree_since(
    surveyed: Tree, found: Tree, count: int, limit: int
) -> None:
    shards = shards_of(sketch(surveyed, limit=limit).cuts(count))
    assert misplaced(found, shards) == []


def test_what_two_shards_or_none_have_is_seen() -> None:
    one, other = shards_of([Cut("b", 5)])
    tree = {"a": 1, "b": 9, "c": 1}
    assert misplaced(tree, [one, other]) == []
    assert misplaced(tree, [one]) == ["b", "c"]
    assert misplaced(tree, [one, one, other]) == ["a", "b"]


@given(TREES, st.integers(1, 9))
def test_every_folder_belongs_to_one_shard_and_is_walked_by_all_that_have_something_in_it(
    tree: Tree, count: int
) -> None:
    shards = shards_of(sketch(tree).cuts(count))
    for folder in folders(tree):
        assert sum(shard.holds(folder) for shard in shards) == 1
        for shard in shards:
            inside = [p for p, size in tree.items() if p.startswith(f"{folder}\\") and shard.part(p, size) is not None]
            if inside or shard.holds(folder):
                assert shard.meets(folder)


@given(TREES, st.integers(2, 9), st.randoms(use_true_random=False))
def test_the_cuts_do_not_depend_on_the_order_of_the_listing(tree: Tree, count: int, chance: random.Random) -> None:
    unlike = {key_of(path): path for path in tree}
    files = [(path, tree[path]) for path in unlike.values()]
    first = sketch(dict(files)).cuts(count)
    chance.shuffle(files)
    assert sketch(dict(files)).cuts(count) == first


@given(PATHS)
def test_a_path_survives_being_written_down(path: str) -> None:
    cut = Cut(path, 7)
    cut.shown.encode()
    assert Cut.read(cut.shown, 7) == cut
    assert from_display(display(path)) == path


def test_names_that_smb_takes_for_the_same_are_never_parted() -> None:
    shards = shards_of([Cut("Data\\B", 64 << 20)])
    for spelling in ("data\\b", "DATA\\B"):
        assert [shard.part(spelling, 100 << 20) for shard in shards] == [(0, 64 << 20), (64 << 20, 100 << 20)]


def test_a_folder_is_together_though_other_names_sort_between_its_own_and_its_contents() -> None:
    one, other = shards_of([Cut("a")])
    for path in ("a", "a\\b", "a\\b\\c", "a!", "ab"):
        assert other.holds(path)
        assert not one.holds(path)
    assert [one.meets("a"), other.meets("a"), one.meets("A"), one.meets("")] == [False, True, False, True]


@pytest.mark.parametrize("cuts", [[Cut("b"), Cut("a")], [Cut("a"), Cut("A")], [Cut("a", 5), Cut("a", 5)]])
def test_cuts_out_of_order_are_refused(cuts: list[Cut]) -> None:
    with pytest.raises(ValueError, match="in the order"):
        shards_of(cuts)


# --- Evenness --------------------------------------------------------------------------------------------------------


def trees() -> Iterator[tuple[str, Tree]]:
    for seed in range(2):
        tree = zipf(seed)
        yield f"Zipf, nested, seed {seed}", tree
        yield f"Zipf, nested, one of 20 GiB, seed {seed}", tree | {"folder 0250\\disk.vhdx": 20 * GIB}
    yield "Zipf, side by side, steep", zipf(7, exponent=2.0, deep=False)
    yield "one folder", {f"f{i}": 100_000 for i in range(8_000)}
    yield "one file", {"disk.vhdx": 20 * GIB}
    yield "a hundred equal files", {f"d{i}\\f": 100 << 20 for i in range(100)}
    yield "small ones and one in the middle", {f"d{i % 50}\\f{i}": 4096 for i in range(8_000)} | {"d25\\big": 20 * GIB}


@pytest.mark.parametrize(("tree"), [pytest.param(tree, id=name) for name, tree in trees()])
@pytest.mark.parametrize("count", [4, 16])
def test_no_shard_has_much_more_than_the_mean(tree: Tree, count: int) -> None:
    limit = 1.3 if count == 4 else 1.5
    for made in (sketch(tree), sketch(tree, limit=1_000)):
        shards = shards_of(made.cuts(count))
        assert len(shards) == count
        assert unevenness(tree, shards) <= limit


def test_memory_stays_bounded() -> None:
    made = Sketch(limit=100)
    for number in range(10_000):
        made.add(f"d{number % 37}\\f{number}", number)
    assert len(made._points) < 200


@pytest.mark.parametrize(
    ("tree", "shards"),
    [
        ({}, 1),
        ({"a": 5}, 1),
        ({"a": 2 * MIN_SHARD}, 1),  # too small a file to be cut
        ({"a": MIN_SHARD, "b": MIN_SHARD}, 2),
        ({"a": 2 * MIN_PIECE}, 2),
        ({f"f{i}": 0 for i in range(10 * MIN_SHARD // FILE_WORK)}, 4),
    ],
)
def test_little_work_gets_fewer_agents(tree: Tree, shards: int) -> None:
    assert len(sketch(tree).cuts(4)) + 1 == shards


def test_what_must_stay_whole_is_not_cut() -> None:
    made = Sketch()
    made.add("big", 20 * GIB, divisible=False)
    made.add("c", 1 * GIB)
    assert {cut.offset for cut in made.cuts(2)} == {0}
