"""The examples of the page on approvals are specs that are accepted."""

from __future__ import annotations

import yaml
from tests.documented.commands import ROOT, blocks

from smbferry_api.plan_status import DIGEST_LENGTH
from smbferry_api.task import Approval, TransferTaskSpec

PAGE = "docs/how-to/plan-and-approve.md"
ENDS = {"source": {"locationRef": {"name": "src"}}, "destination": {"locationRef": {"name": "dst"}}}


def test_the_specs_of_the_page_ask_for_approval() -> None:
    found = [
        yaml.safe_load("\n".join(lines)) for kind, lines in blocks(PAGE, (ROOT / PAGE).read_text()) if kind == "yaml"
    ]
    specs = [TransferTaskSpec.model_validate({**ENDS, **one["spec"]}) for one in found if "spec" in one]

    assert [spec.approval for spec in specs] == [Approval.REQUIRED] * 2
    assert len(specs[1].approved_plan) == DIGEST_LENGTH
