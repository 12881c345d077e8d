"""Fuzzing for a while: `python -m lab.fuzz [--seconds N] [--seed N]`.

Hypothesis and seeded rounds take turns until the time is up. Anything but a typed error ends it with the seed, and so
does memory that grows.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, settings
from lab.fuzz import properties
from lab.fuzz.targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Callable

PROPERTIES: list[Callable[[], None]] = [
    properties.no_bytes_make_a_decoder_fail_in_any_other_way,
    properties.no_changed_byte_makes_a_decoder_fail_in_any_other_way,
    properties.names_survive_to_the_code_unit,
    properties.no_stream_of_bytes_makes_the_reader_fail_in_any_other_way,
    properties.no_decrypted_message_makes_the_lane_fail_in_any_other_way,
]
_EXAMPLES = 500
_ROUNDS = 200
_GROWTH_LIMIT = 4 << 20


def resident() -> int:
    """Bytes of memory that this process holds now, without the holes that glibc keeps for what comes next (malloc(3)).

    They are half of all, and come and go with how the rounds' buffers happen to lie.
    """
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def main() -> int:
    """Fuzz until the time is up; 1 when something was found."""
    parser = argparse.ArgumentParser(prog="lab.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**9, help="the first round's seed")
    chosen = parser.parse_args()
    thorough = settings(max_examples=_EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    properties = [thorough(check) for check in PROPERTIES]
    until = time.monotonic() + chosen.seconds
    seed = chosen.seed
    memory: list[int] = []
    while time.monotonic() < until:
        for check in properties:
            check()
        for _ in range(_ROUNDS):
            one_round(seed)
            seed += 1
        memory.append(resident())
    grown = growth(memory)
    sys.stdout.write(
        f"{seed - chosen.seed} rounds of {', '.join(TARGETS)} from seed {chosen.seed}; "
        f"{len(memory) * len(properties) * _EXAMPLES} examples by hypothesis; "
        f"memory {min(memory) >> 20} to {max(memory) >> 20} MiB, grown by {grown / 2**20:.1f} MiB\n"
    )
    return int(grown > _GROWTH_LIMIT)


def growth(memory: list[int]) -> int:
    """Bytes by which the least that the second half of the turns held exceeds the least of the first half.

    Single values go up and down a little; what leaks lifts the floor.
    """
    half = (len(memory) + 1) // 2
    return min(memory[half:], default=memory[0]) - min(memory[:half])


def one_round(seed: int) -> None:
    """Each target once; what it raises is told with its seed."""
    for name, target in TARGETS.items():
        try:
            target(seed)
        except BaseException:
            sys.stderr.write(f"found by {name} with seed {seed}\n")
            raise


if __name__ == "__main__":
    sys.exit(main())
