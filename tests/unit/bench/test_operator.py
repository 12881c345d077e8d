"""What the operator's bench works out by itself."""

from __future__ import annotations

import pytest
from lab.bench_operator.__main__ import PAGE, Figure, metrics, page
from lab.bench_operator.kwok import EXITS, node
from lab.bench_operator.scene import checked, task
from lab.support.cluster.api import lines
from lab.support.verdicts import IDENTITY_IS_WELL

from smbferry_api.identity import KerberosIdentityStatus
from smbferry_api.task import TransferTaskSpec

FIGURES = [Figure("restart", "s", 60, 12.5), Figure("memory", "MiB", 300, 301)]


def test_a_watch_is_read_line_by_line_however_it_is_cut() -> None:
    assert list(lines([b'{"a"', b":1}\n{", b'"b":2}\n', b"", b"{}"])) == [b'{"a":1}', b'{"b":2}']


def test_series_of_a_metric_are_summed() -> None:
    text = "# TYPE smbferry_ready gauge\n" + "".join(f'smbferry_ready{{name="{n}"}} {n % 2}\n' for n in range(5))
    assert metrics(text) == {"smbferry_ready": 2.0}


def test_a_figure_is_reached_at_most_at_what_is_wanted() -> None:
    assert [figure.reached for figure in FIGURES] == [True, False]


def test_the_page_gets_the_figures_between_its_markers_and_keeps_the_rest() -> None:
    once = page(PAGE.read_text(), FIGURES, 5000)
    assert "| restart | at most 60 s | 12.5 s |" in once
    assert page(once, FIGURES, 5000) == once
    assert once.split("<!-- bench-operator: begin")[0] == PAGE.read_text().split("<!-- bench-operator: begin")[0]


def test_a_page_without_markers_is_left_alone() -> None:
    with pytest.raises(ValueError, match="not found"):
        page("no markers", FIGURES, 1)


def test_the_scene_is_made_of_objects_that_smbferry_understands() -> None:
    TransferTaskSpec.model_validate(task("t", 7, folder="new", exit_code=13)["spec"])
    status = KerberosIdentityStatus.model_validate(checked(IDENTITY_IS_WELL))
    assert {condition.type for condition in status.conditions} == set(IDENTITY_IS_WELL)


def test_agents_that_end_otherwise_find_a_node() -> None:
    asked = {task("t", 1, exit_code=code)["spec"]["agent"]["nodeSelector"]["exit"] for code in (3, 13)}
    assert asked == {node(number)["metadata"]["labels"].get("exit") for number in EXITS}
