"""How long an ended run is kept.

A task keeps its own runs by `history`. Runs that a person created are deleted after a time, as Jobs are by
`ttlSecondsAfterFinished`. By default they are not deleted if a tool tracks them: it would create them, and so run them,
again.
"""

from datetime import datetime, timedelta
from typing import Final

from smbferry_api.fields import parse_duration
from smbferry_api.reasons import RUN_EXPIRED
from smbferry_api.run import NEVER
from smbferry_operator.decide.decision import Decision, Event
from smbferry_operator.decide.settings import AgentSettings
from smbferry_operator.decide.text import format_duration
from smbferry_operator.model import Key, Kind, Run

TRACKED_BY: Final = frozenset(
    {
        "app.kubernetes.io/managed-by",
        "app.kubernetes.io/instance",  # Argo CD's default until 3.0
        "applyset.kubernetes.io/part-of",
        "argocd.argoproj.io/instance",
        "argocd.argoproj.io/tracking-id",
        "configmanagement.gke.io/managed",
        "helm.toolkit.fluxcd.io/name",
        "kapp.k14s.io/app",
        "kustomize.toolkit.fluxcd.io/name",
        "meta.helm.sh/release-name",
        "objectset.rio.cattle.io/id",
    }
)
"""Labels and annotations by which tools track what they applied; they apply a missing object again."""


def time_to_live(run: Run, settings: AgentSettings) -> timedelta | None:
    """How long the run is kept after its end, None if it is not deleted by age."""
    wanted = run.spec.ttl_after_finished
    if wanted is not None:
        return None if wanted == NEVER else parse_duration(wanted)
    if run.meta.controller_uid or not TRACKED_BY.isdisjoint({*run.meta.labels, *run.meta.annotations}):
        return None
    return settings.run_ttl


def expire(run: Run, now: datetime, settings: AgentSettings) -> Decision:
    """Deletes an ended run when its time to live is over, and with it what it owns."""
    ttl = time_to_live(run, settings)
    if ttl is None:
        return Decision()
    left = (run.status.completion_time or run.meta.created) + ttl - now
    if left > timedelta(0):
        return Decision(requeue_after=left)
    text = f"Removed the run because it ended {format_duration(ttl)} ago (ttlAfterFinished)."
    key = Key(Kind.RUN, run.meta.namespace, run.meta.name)
    return Decision(delete=(key,), events=(Event("Normal", RUN_EXPIRED, text),))
