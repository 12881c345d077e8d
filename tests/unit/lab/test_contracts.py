"""The check that no module imports itself through others."""

from itertools import pairwise
from pathlib import Path

import grimp
import pytest
from importlinter import ContractCheck
from lab.contracts import NoCycle, cycle


def checked(folder: Path, monkeypatch: pytest.MonkeyPatch, **modules: str) -> ContractCheck:
    """The contract on a package of these modules: name → source."""
    package = folder / "cycles_of_a_test"
    package.mkdir()
    for name, source in {"__init__": "", **modules}.items():
        (package / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(str(folder))
    graph = grimp.build_graph(package.name, cache_dir=None)
    return NoCycle("no cycle", {}, {}).check(graph, verbose=False)


def test_a_cycle_through_a_packages_own_init_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modules = {"__init__": "from cycles_of_a_test.a import x", "a": "from cycles_of_a_test import y"}
    check = checked(tmp_path, monkeypatch, **modules)
    assert not check.kept
    assert sorted(set(check.metadata["cycle"])) == ["cycles_of_a_test", "cycles_of_a_test.a"]


def test_an_import_for_types_alone_closes_a_cycle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for_types = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import cycles_of_a_test.a"
    check = checked(tmp_path, monkeypatch, a="import cycles_of_a_test.b", b=for_types)
    assert not check.kept


def test_modules_in_layers_are_no_cycle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modules = {"a": "import cycles_of_a_test.b, cycles_of_a_test.c", "b": "import cycles_of_a_test.c", "c": ""}
    assert checked(tmp_path, monkeypatch, **modules).kept


def test_a_cycle_is_told_from_importer_to_imported() -> None:
    found = cycle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})
    assert found[0] == found[-1]
    assert set(pairwise(found)) == {("a", "b"), ("b", "c"), ("c", "a")}
