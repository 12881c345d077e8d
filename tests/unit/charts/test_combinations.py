"""The values files with which the chart is checked leave no option out."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.charts.combinations import FILES

VALUES = Path(__file__).parents[3] / "charts" / "smbferry" / "values.yaml"
# Their fields are Kubernetes' own: the option is all of it.
WHOLE = {"resources", "agent.resources", "agent.checkResources", "metrics.dashboard.labels"}


def load(file: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(file.read_text(encoding="utf-8")))


def options(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        path = f"{prefix}{name}"
        if isinstance(value, dict) and value and path not in WHOLE:
            yield from options(value, f"{path}.")
        else:
            yield path, value


def at(values: dict[str, Any], path: str) -> Any:
    found: Any = values
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


@pytest.mark.parametrize(
    ("path", "default"), list(options(load(VALUES))), ids=lambda v: v if isinstance(v, str) else ""
)
def test_every_option_has_another_value_in_some_combination(path: str, default: Any) -> None:
    assert any(at(load(file), path) not in (None, default) for file in FILES)


def test_each_combination_says_what_it_is_for() -> None:
    assert [file.name for file in FILES if not file.read_text(encoding="utf-8").startswith("# ")] == []
