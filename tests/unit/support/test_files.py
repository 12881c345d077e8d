"""What files of the tests' trees hold: a mixture of two versions must never look like either."""

from __future__ import annotations

from lab.support.domain.files import BLOCK, blocks

SIZE = 3 * BLOCK + 5


def test_the_same_file_has_the_same_content() -> None:
    assert list(blocks("a", SIZE, 1)) == list(blocks("a", SIZE, 1))


def test_no_block_of_another_version_or_another_file_is_alike() -> None:
    found = [block for path, version in (("a", 1), ("a", 2), ("b", 1)) for block in blocks(path, SIZE, version)]
    assert len(set(found)) == len(found) == 12
    assert sum(map(len, found)) == 3 * SIZE
