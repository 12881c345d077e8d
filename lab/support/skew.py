"""Trees whose folders differ as much as real ones do, and how exactly and evenly shards part them."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import TYPE_CHECKING

from smbferry_engine.plan.shard import FILE_WORK, Shard

if TYPE_CHECKING:
    from collections.abc import Sequence

Tree = dict[str, int]
"""Sizes in bytes by path."""


def zipf(seed: int, *, files: int = 8_000, top: int = 500, exponent: float = 1.1, deep: bool = True) -> Tree:
    """Folders whose numbers of files follow Zipf's law, nested by chance; file sizes with a long tail."""
    chance = random.Random(seed)
    weights = [1 / rank**exponent for rank in range(1, top + 1)]
    chance.shuffle(weights)
    paths: list[str] = []
    for number in range(top):
        parent = chance.choice(paths) + "\\" if deep and paths and chance.random() < 0.7 else ""
        paths.append(f"{parent}folder {number:04}")
    homes = chance.choices(paths, weights, k=files)
    return {f"{home}\\file {i}": int(chance.lognormvariate(11, 2)) for i, home in enumerate(homes)}


def _work(tree: Tree, shard: Shard) -> int:
    """What a shard costs: its bytes, and the fixed cost of each file that it touches."""
    parts = [part for path, size in tree.items() if (part := shard.part(path, size)) is not None]
    return sum(high - low + FILE_WORK for low, high in parts)


def unevenness(tree: Tree, shards: Sequence[Shard]) -> float:
    """The greatest shard's work over the mean."""
    works = [_work(tree, shard) for shard in shards]
    return max(works) / (sum(works) / len(works))


def misplaced(tree: Tree, shards: Sequence[Shard]) -> list[str]:
    """The paths that are not of exactly one shard, or have a byte that is not in exactly one."""
    return [path for path, size in tree.items() if not _placed(path, size, shards)]


def _placed(path: str, size: int, shards: Sequence[Shard]) -> bool:
    parts = sorted(part for shard in shards if (part := shard.part(path, size)) is not None)
    ends = (parts[0][0], parts[-1][1]) if parts else None
    together = all(one[1] == other[0] for one, other in pairwise(parts))
    return ends == (0, size) and together and sum(shard.holds(path) for shard in shards) == 1
