"""A node whose clock is wrong, by faketime: the offset is measured and named, whatever libkrb5 hides."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.interop.agent.support import Checked, default_config

if TYPE_CHECKING:
    from tests.interop.agent.support import Identity
    from tests.support.domain import Domain

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = Path(__file__).with_name("check_once.py")


def check_at(identity: Identity, offset: str) -> Checked:
    faketime = shutil.which("faketime")
    assert faketime, "faketime is not installed"
    paths = os.pathsep.join(str(ROOT / part) for part in ("crds/src", "agent_image/src"))
    spec = identity.subject().spec.model_dump_json(by_alias=True)
    done = subprocess.run(
        [faketime, "-f", offset, sys.executable, SCRIPT, identity.folder, spec],
        env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return Checked(None, json.loads(done.stdout))


@pytest.mark.parametrize("setting", ["", "kdc_timesync = 1", "kdc_timesync = 0"])
@pytest.mark.parametrize("minutes", [6, -6, 60])
def test_a_clock_beyond_the_tolerance_is_named_with_its_signed_offset(
    identity: Identity, domain: Domain, minutes: int, setting: str
) -> None:
    identity.config(default_config(domain).replace("[realms]", f"    {setting}\n[realms]"))
    checked = check_at(identity, f"{minutes:+d}m")
    assert checked.reason("TimeInSync") == "ClockSkew"
    assert f"clock is {'ahead of' if minutes > 0 else 'behind'} the KDC's" in checked.message("TimeInSync")
    assert abs(float(checked.status["kdc"]["clockOffset"].split("s")[0]) + minutes * 60) < 2
    assert checked.statuses()["KeytabValid"] == "True"


def test_a_clock_within_the_tolerance_is_fine(identity: Identity) -> None:
    checked = check_at(identity, "+2m")
    assert checked.reason("TimeInSync") == "ClockInSync"
    assert checked.statuses()["TicketAcquired"] == "True"


def test_skew_does_not_make_a_good_keytab_stale(identity: Identity) -> None:
    checked = check_at(identity, "+6m")
    assert checked.reason("KvnoMismatch") == "KvnoMatches"
