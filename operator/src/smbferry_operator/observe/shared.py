"""Tasks whose locations are in another namespace, and the runs that serve theirs."""

from collections.abc import Sequence

from smbferry_api.run import ResolvedTask
from smbferry_operator.decide.grants import Grant
from smbferry_operator.decide.observation import Ends, RequestObservation
from smbferry_operator.decide.sharing import as_asked, as_served, grant, other_namespace, serving_name
from smbferry_operator.model import Key, Kind, Refusal, Run, Task
from smbferry_operator.observe.reader import Reader
from smbferry_operator.parse import parse_run


class Shared:
    """Reads what crosses namespaces; nothing else in the operator does."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def grant_of(self, task: Task) -> Grant | None:
        """What the locations of a task's other namespace allow it; None if they are in its own."""
        namespace = other_namespace(task)
        if namespace is None:
            return None
        names = task.spec.location_names
        return self._grant(namespace, names, self._reader.ends(namespace, *names), task.meta.namespace)

    def ends_of(self, task: Task, given: Grant | None) -> Ends:
        """The task's locations with their identities; none of them if one does not allow the task's namespace."""
        if given is None:
            return self._reader.ends_of_task(task)
        return Ends() if given.refused else self._reader.ends(given.namespace, *task.spec.location_names)

    def task_of(self, run: Run) -> Task | None:
        """The task of a run, as its agents' namespace sees it."""
        asked = run.spec.on_behalf_of
        task = self._reader.task_named(asked.namespace if asked else run.meta.namespace, run.spec.task_ref.name)
        if asked is None or task is None:
            return task
        return as_served(task, run.meta.namespace) if other_namespace(task) == run.meta.namespace else None

    def as_asked(self, run: Run, work: ResolvedTask | None) -> Run:
        """A run with the spec by which it is decided: that of the run that it serves, if any.

        Args:
            work: the snapshot in its Jobs.
        """
        asked = run.spec.on_behalf_of
        if asked is None:
            return run
        asking = self._asking(run)
        task = self.task_of(run)
        names = [end.location for end in work.ends] if work is not None else task.spec.location_names if task else ()
        ends = self._reader.ends(run.meta.namespace, *names) if names else Ends()
        given = self._grant(run.meta.namespace, names, ends, asked.namespace)
        return as_asked(run, asking, allowed=bool(names) and not given.refused)

    def _asking(self, serving: Run) -> Run | None:
        """The run that this one serves, if that has asked for it."""
        asked = serving.spec.on_behalf_of
        if asked is None:
            return None
        run = self._reader.readable(Key(Kind.RUN, asked.namespace, asked.name), parse_run)
        if run is None or run.meta.uid != asked.uid or serving.meta.name != serving_name(run.meta):
            return None
        return run if self._serving_namespace(run) == serving.meta.namespace else None

    def _serving_namespace(self, run: Run) -> str | None:
        """Where another run does the work of this one; None if it works by itself.

        One that has agents does: the token of an agent may write what its run's status says.
        """
        if run.spec.on_behalf_of is not None:
            return None
        if run.status.served_by is not None:
            namespace: str | None = run.status.served_by.namespace
        else:
            task = self._reader.task_named(run.meta.namespace, run.spec.task_ref.name)
            namespace = other_namespace(task) if task is not None else None
        key = Key(Kind.RUN, run.meta.namespace, run.meta.name)
        return None if namespace is not None and any(self._reader.agents(key, run.meta)) else namespace

    def is_served(self, run: Run) -> bool:
        """Whether another run does the work of this one."""
        return self._serving_namespace(run) is not None

    def request(self, run: Run, refusal: Refusal | None = None) -> RequestObservation | None:
        """A run that another one serves; None if it works by itself."""
        namespace = self._serving_namespace(run)
        if namespace is None:
            return None
        task = self._reader.task_named(run.meta.namespace, run.spec.task_ref.name)
        given = self.grant_of(task) if task is not None else None
        if given is None or given.namespace != namespace:  # the task is gone, or has moved on: nothing is told
            given = Grant(namespace)
        return RequestObservation(run, given, task, self.serving(run, namespace), refusal)

    def serving(self, run: Run, namespace: str) -> Run | None:
        """The run that does the work of this one in another namespace, if it exists."""
        found = self._reader.readable(Key(Kind.RUN, namespace, serving_name(run.meta)), parse_run)
        asked = found.spec.on_behalf_of if found is not None else None
        return found if asked is not None and asked.uid == run.meta.uid else None

    def _grant(self, namespace: str, names: Sequence[str], ends: Ends, user: str) -> Grant:
        return grant(namespace, names, ends, user, self._labels(user))

    def _labels(self, namespace: str) -> dict[str, str] | None:
        """The labels of a namespace, None if they are unknown."""
        body = self._reader.cache.get(Key(Kind.NAMESPACE, "", namespace))
        return body["metadata"].get("labels") or {} if body is not None else None
