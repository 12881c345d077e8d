"""`smbferry approve`: what is shown, what is approved, and what is refused in words."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from tests.unit.cli.fake_api import FakeApi, called, plan_of_a_run, planned, run, task

from smbferry_api.exit_codes import ExitCode
from smbferry_api.plan_status import PlanStatus
from smbferry_cli.exits import ClusterError
from smbferry_cli.html import Facts, page

PLAN = plan_of_a_run()
OTHER = "abcd2345" * 4
FERRY = (task("nightly"), task("weekly"), planned("nightly-2", PLAN), run("nightly-1", "Succeeded"))


class Terminal(io.StringIO):
    """A terminal at which somebody types."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Any:
    def types(answer: str) -> Terminal:
        shown = Terminal()
        monkeypatch.setattr("sys.stdin", Terminal(f"{answer}\n"))
        monkeypatch.setattr("sys.stdout", shown)
        return shown

    return types


def written(api: FakeApi) -> list[tuple[str, Any]]:
    return [(r.name, r.body) for r in api.requests if r.verb == "patch"]


APPROVED = [("nightly-2", {"spec": {"approvedPlan": PLAN.digest}})]


@pytest.mark.parametrize("words", ["approve nightly", "approve run/nightly-2"])
@pytest.mark.parametrize(("answer", "code", "changes"), [("y", 0, APPROVED), ("", 40, []), ("n", 40, [])])
def test_a_person_sees_the_plan_and_is_asked(words: str, answer: str, code: int, changes: Any, typed: Any) -> None:
    api, shown = FakeApi(*FERRY), typed(answer)
    assert called(api, words) == code
    assert written(api) == changes
    for said in (
        PLAN.digest,
        "//files2:445/archive",
        "4 files, 1 folders",
        "/old/x",
        "the first 2 of 5",
        "Approve this plan?",
    ):
        assert said in shown.getvalue()


def test_a_script_names_the_plan_that_a_person_has_seen(capsys: pytest.CaptureFixture[str]) -> None:
    api = FakeApi(*FERRY)
    assert called(api, f"approve nightly --plan {PLAN.digest}") == ExitCode.DONE
    assert written(api) == APPROVED
    assert capsys.readouterr().out == f"transferrun.smbferry.io/nightly-2 approved: plan {PLAN.digest}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            f"approve nightly --plan {OTHER}",
            f'the plan "{OTHER}", but its plan is "{PLAN.digest}"; nothing was approved',
        ),
        ("approve nightly", f"expected a terminal to ask for approval, got none.*--plan {PLAN.digest}"),
        ("approve weekly", 'expected one run of TransferTask "weekly" that waits for approval, got none'),
        ("approve run/nightly-1", "got run/nightly-1, which has already ended: Succeeded"),
        ("approve run/nightly-22", 'TransferRun "nightly-22" not found'),
    ],
)
@pytest.mark.fault(232)
def test_what_is_not_approved(words: str, said: str) -> None:
    api = FakeApi(*FERRY)
    with pytest.raises(ClusterError, match=said):
        called(api, words)
    assert written(api) == []


def test_of_several_runs_that_wait_one_is_named() -> None:
    api = FakeApi(*FERRY, planned("nightly-3", PLAN))
    with pytest.raises(ClusterError, match="got 2: name one of run/nightly-2, run/nightly-3"):
        called(api, f"approve nightly --plan {PLAN.digest}")


def test_a_run_that_works_has_nothing_to_approve() -> None:
    api = FakeApi(task(), run("nightly-4", "Transferring", plan=PLAN.model_dump(mode="json", by_alias=True)))
    with pytest.raises(ClusterError, match="is Transferring and has no plan to approve"):
        called(api, f"approve run/nightly-4 --plan {PLAN.digest}")


@pytest.mark.fault(232)
def test_the_digest_is_that_of_what_is_shown_whatever_the_status_says_it_is() -> None:
    forged = PLAN.model_copy(update={"to_delete": PLAN.to_delete.model_copy(update={"files": 1})})
    api = FakeApi(task(), planned("nightly-2", forged))
    with pytest.raises(ClusterError, match="nothing was approved"):
        called(api, f"approve nightly --plan {PLAN.digest}")
    assert written(api) == []


def test_the_plan_can_only_be_shown(capsys: pytest.CaptureFixture[str]) -> None:
    api = FakeApi(*FERRY)
    assert called(api, "approve nightly --show -o json") == ExitCode.DONE
    assert PlanStatus.model_validate(json.loads(capsys.readouterr().out)) == PLAN
    assert written(api) == []


def test_names_of_files_cannot_change_what_the_terminal_shows(typed: Any) -> None:
    hostile = PLAN.model_copy(update={"to_delete": PLAN.to_delete.model_copy(update={"paths": ("/a\x1b[2K\u202eb",)})})
    shown = typed("n")
    called(FakeApi(task(), planned("nightly-2", hostile)), "approve nightly")
    assert "\x1b[2K" not in shown.getvalue()
    assert "\u202e" not in shown.getvalue()


def test_the_effect_of_a_sid_map_is_part_of_what_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    sids = {"applied": [{"from": "S-1-5-21-1", "to": "S-1-5-21-2", "descriptors": 7}]}
    api = FakeApi(task(), planned("nightly-2", PLAN, sids=sids))
    called(api, "approve nightly --show")
    assert "S-1-5-21-1 becomes S-1-5-21-2 in 7 descriptors" in capsys.readouterr().out


def test_the_page_of_a_report_shows_the_plan() -> None:
    shown = page(Facts({"run": "r", "state": "Queued", "plan": PLAN.model_dump(mode="json", by_alias=True)}))
    for said in ("<h2>Plan</h2>", PLAN.digest, "4 files, 1 folders", "<li>/old/x</li>", "Its approval was required."):
        assert said in shown
    assert "<h2>Plan</h2>" not in page(Facts({"run": "r", "plan": {"existing": "many"}}))
