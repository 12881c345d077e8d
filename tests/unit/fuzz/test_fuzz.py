"""A short part of `make fuzz`, the same every time."""

import pytest
from lab.fuzz.targets import TARGETS

ROUNDS = {"decoders": 2_000, "streams": 6_000, "transfers": 2_000, "copies": 300}
BATCHES = 10


@pytest.mark.parametrize("batch", range(BATCHES))
@pytest.mark.parametrize("name", TARGETS)
def test_a_hostile_server_causes_typed_errors_only(name: str, batch: int) -> None:
    share = ROUNDS[name] // BATCHES
    for seed in range(batch * share, (batch + 1) * share):
        TARGETS[name](seed)
