"""What import-linter's own contracts do not check (pyproject.toml): cycles that pass through a package's `__init__`."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from importlinter import Contract, ContractCheck, output

if TYPE_CHECKING:
    from grimp import ImportGraph


class NoCycle(Contract):
    """No module imports itself through others; imports for types count as any other."""

    type_name = "no_cycle"

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: FBT001 - import-linter's signature
        """Broken if there is a cycle; the metadata have the first, as names from importer to imported."""
        del verbose
        found = cycle({module: graph.find_modules_directly_imported_by(module) for module in graph.modules})
        return ContractCheck(kept=not found, metadata={"cycle": found})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Prints the cycle."""
        output.print_error(" -> ".join(check.metadata["cycle"]))


def cycle(imports: dict[str, set[str]]) -> list[str]:
    """The first cycle of modules, each with those that it imports; the first name is repeated last. Empty if none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        names: list[Any] = error.args[1]
        return [str(name) for name in reversed(names)]
    return []
