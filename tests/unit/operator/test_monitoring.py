"""What the chart brings for Prometheus and Grafana asks for figures that the operator has."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from smbferry_operator.observe.cache import Cache
from smbferry_operator.telemetry.metrics import Metrics

ROOT = Path(__file__).resolve().parents[3]
FILES = ROOT / "charts" / "smbferry" / "files"
NAME = re.compile(r"\bsmbferry_[a-z_]+")


def exposed() -> set[str]:
    """The names of all series; those of a histogram with their suffixes."""
    text = Metrics(Cache(), lambda: True).exposed({}).decode()
    families = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    names = set(families)
    for family, kind in families.items():
        if kind == "histogram":
            names |= {f"{family}_{suffix}" for suffix in ("bucket", "count", "sum")}
    return names


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FILES / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((FILES / "dashboard.json").read_text(encoding="utf-8"))["panels"]
    return found


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_what_there_is_and_says_what_to_do(rule: dict[str, Any]) -> None:
    asked = set(NAME.findall(rule["expr"]))
    assert asked
    assert asked <= exposed()
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/alerts.md#{rule['alert'].lower()}"


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_has_a_part_of_the_page_that_its_url_names(rule: dict[str, Any]) -> None:
    page = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
    parts = dict(re.findall(r"^## (\w+)\n\n(.+?)(?=\n## |\Z)", page, re.MULTILINE | re.DOTALL))
    assert len(parts[rule["alert"]].split()) > 20
    assert set(parts) == {other["alert"] for other in rules()}


@pytest.mark.fault(237)
@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_the_series_of_its_own_release_only(rule: dict[str, Any]) -> None:
    assert NAME.findall(rule["expr"])
    assert not re.search(r'\bsmbferry_[a-z_]+(?!\{class=""\}|[a-z_])', rule["expr"]), "the chart puts its class in"


@pytest.mark.fault(237)
@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_about_an_aggregate_says_of_which_release_it_is(rule: dict[str, Any]) -> None:
    aggregates = re.search(r"\b(sum|max|min)\b", rule["expr"]) is not None
    assert aggregates is ("class" in rule["labels"]), "an aggregation drops the label of the series"


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_a_panel_asks_for_what_there_is(panel: dict[str, Any]) -> None:
    asked = {name for target in panel["targets"] for name in NAME.findall(target["expr"])}
    assert asked
    assert asked <= exposed()


def test_the_page_lists_every_figure_and_every_alert() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    ours = {name for name in exposed() if name.startswith("smbferry_")}
    families = {name for name in ours if not re.search(r"_(bucket|count|sum)$", name)}
    assert {name for name in families if f"`{name}`" not in page} == set()
    assert {rule["alert"] for rule in rules() if rule["alert"] not in page} == set()
