"""Which tasks have series of their own: all, or a fair part of each namespace beyond a limit."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from smbferry_operator.model import Key, Kind


@dataclass(frozen=True, slots=True)
class Selection:
    """The tasks that have series of their own."""

    shown: frozenset[Key]
    omitted: int = 0
    """How many tasks have none, although the installation wants series of tasks."""

    @classmethod
    def of(cls, keys: Iterable[Key], most: int) -> "Selection":
        """Chooses among the tasks in `keys`, by name within each namespace, so that the choice is stable.

        Args:
            keys: of all kinds.
            most: how many tasks may have series; 0 for none, on purpose.
        """
        tasks = [key for key in keys if key.kind is Kind.TASK]
        if len(tasks) <= most:
            return cls(frozenset(tasks))
        if most == 0:
            return cls(frozenset())
        by_namespace: dict[str, list[Key]] = {}
        for task in sorted(tasks):
            by_namespace.setdefault(task.namespace, []).append(task)
        shares = fair_shares({namespace: len(own) for namespace, own in by_namespace.items()}, most)
        shown = frozenset(task for namespace, own in by_namespace.items() for task in own[: shares[namespace]])
        return cls(shown, len(tasks) - len(shown))


def fair_shares(wanted: Mapping[str, int], most: int) -> dict[str, int]:
    """Divides `most` among namespaces: none gets less than another unless it wants no more.

    So nobody can take the series of another namespace's tasks by creating many tasks.
    """
    shares: dict[str, int] = {}
    left = most
    for place, (namespace, count) in enumerate(sorted(wanted.items(), key=lambda item: (item[1], item[0]))):
        shares[namespace] = min(count, left // (len(wanted) - place))
        left -= shares[namespace]
    return shares
