"""The locations that a check carries: checked side by side with the tickets of their identity.

Each has its own verdict, written as soon as it is known, and nobody waits for one that hangs. An object that was
deleted, made anew or given another identity since the check was asked for gets nothing written.
"""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from smbferry_agent.checks import check_location, report_timeout
from smbferry_agent.errors import AgentError
from smbferry_agent.kerberos.scratch import Scratch
from smbferry_agent.logs import about, fields
from smbferry_agent.manifests import location_subject
from smbferry_agent.preflight.identity_probe import TriedIdentity
from smbferry_agent.preflight.location_probe import LocationSubject
from smbferry_agent.report.api_client import TRIES, ApiClient, ObjectKey, ObjectNotFoundError, repeated
from smbferry_agent.report.object_status import ObjectStatus
from smbferry_agent.side_by_side import Ended, side_by_side
from smbferry_api.agent_contract import LOCATION_SECONDS, LOCATIONS_AT_ONCE
from smbferry_api.reasons import INTERNAL_ERROR, by_name

_log = logging.getLogger(__name__)
_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class NamedLocation:
    """A location that the check carries, by name and uid."""

    name: str
    uid: str

    @classmethod
    def parse(cls, text: str) -> "NamedLocation":
        """Parses NAME=UID.

        Raises:
            ValueError: it is something else.
        """
        name, separator, uid = text.partition("=")
        if not (name and separator and uid):
            raise ValueError(f'expected NAME=UID, got "{text}"')
        return cls(name, uid)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the check of one location ended.

    Attributes:
        failure: the first check that failed, or why there is no verdict; None if all passed or the object is gone.
        reported: whether the verdict is in the location's status, or nobody wants it any more.
    """

    name: str
    failure: AgentError | None = None
    reported: bool = True


class LocationChecks:
    """Checks the locations of one identity."""

    def __init__(
        self,
        namespace: str,
        identity: str,
        tried: TriedIdentity,
        client: Callable[[], ApiClient],
        scratch: Path,
    ) -> None:
        """Creates the checks.

        Args:
            client: makes a client; each process needs its own connections.
            scratch: a memory-backed folder, in which each location has one of its own.
        """
        self._namespace = namespace
        self._identity = identity
        self._tried = tried
        self._client = client
        self._scratch = scratch
        self._began = datetime.now(UTC).replace(microsecond=0)

    def run(
        self,
        locations: Sequence[NamedLocation],
        *,
        at_once: int = LOCATIONS_AT_ONCE,
        seconds: float = LOCATION_SECONDS,
    ) -> Iterator[Outcome]:
        """Checks them; yields how each ended."""
        for ended in side_by_side(locations, self.check, at_once=at_once, seconds=seconds):
            with Scratch(self._folder(ended.piece)):  # a process that was killed leaves its tickets there
                pass
            yield self._outcome(ended, seconds)

    def check(self, location: NamedLocation) -> str:
        """Checks one location, in a process of its own; returns how it ended, as text."""
        about(location=location.name)
        try:
            subject, status = self._read(location)
            with self._tried.in_folder(self._folder(location)) as checked:
                failure = check_location(replace(subject, checked=checked), status)
        except ObjectNotFoundError as gone:
            _log.info("nothing was written: %s", gone)
            return _text(None, reported=True)
        except AgentError as error:
            _log.warning("no verdict: %s", error.message, extra=fields(reason=str(error.reason)))
            return _text(error, reported=False)
        except Exception as error:  # noqa: BLE001 (the boundary of a process, as in main)
            _log.exception("unexpected error")
            return _text(AgentError(INTERNAL_ERROR, f"{type(error).__name__} in smbferry-agent."), reported=False)
        return _text(failure, reported=True)

    def _folder(self, location: NamedLocation) -> Path:
        return self._scratch / f"location-{location.uid}"

    def _read(self, location: NamedLocation, *, tries: int = TRIES) -> tuple[LocationSubject, ObjectStatus]:
        """The location as it is now.

        Raises:
            ObjectNotFoundError: it is not the one that was meant.
            AgentError: the API server is unreachable or refuses, or the spec is invalid.
        """
        client, key = self._client(), ObjectKey("SmbLocation", self._namespace, location.name)
        manifest: dict[str, Any] = repeated(lambda: client.get(key), tries=tries)
        if manifest["metadata"]["uid"] != location.uid:
            raise ObjectNotFoundError(f"{key} was deleted; another object has its name.")
        named = manifest["spec"]["identityRef"]["name"]
        if named != self._identity:
            raise ObjectNotFoundError(f"{key} now has the identity {named!r}.")
        return location_subject(manifest, self._tried.subject), ObjectStatus.of(client, key, manifest)

    def _outcome(self, ended: Ended[NamedLocation], seconds: float) -> Outcome:
        name = ended.piece.name
        if ended.result is not None:
            return _outcome_of(name, ended.result)
        if not ended.in_time:
            _log.warning("ended a check that took too long", extra=fields(location=name))
            return self._report_timeout(ended.piece, seconds)
        message = f"The process that checked SmbLocation {name} ended with exit code {ended.exit_code}."
        _log.error(message, extra=fields(location=name))
        return Outcome(name, AgentError(INTERNAL_ERROR, message), reported=False)

    def _report_timeout(self, location: NamedLocation, seconds: float) -> Outcome:
        """Reports it at once or not at all: others must not wait for an API server that does not reply."""
        try:
            subject, status = self._read(location, tries=1)
            written = subject.previous.last_check_time if subject.previous else None
            if written is not None and written >= self._began:  # it hung after its verdict
                return Outcome(location.name)
            return Outcome(location.name, report_timeout(subject, status, datetime.now(UTC), seconds))
        except ObjectNotFoundError:
            return Outcome(location.name)
        except AgentError as error:
            return Outcome(location.name, error, reported=False)


def first_failure_of(outcomes: Sequence[Outcome]) -> AgentError | None:
    """The error that ends the agent, for all locations that failed; None if all passed.

    Those without a verdict come first: for them, only the agent's last words tell what happened.
    """
    failed = sorted((each for each in outcomes if each.failure), key=lambda each: (each.reported, each.name))
    if not failed or failed[0].failure is None:
        return None
    first = failed[0].failure
    shown = ", ".join(f"{each.name} ({each.failure.reason})" for each in failed[:_SHOWN] if each.failure)
    more = f" and {len(failed) - _SHOWN} more" if len(failed) > _SHOWN else ""
    return AgentError(first.reason, f"{len(failed)} of {len(outcomes)} SmbLocations: {shown}{more}. {first.message}")


def _text(failure: AgentError | None, *, reported: bool) -> str:
    return json.dumps([failure.reason.name if failure else "", failure.message if failure else "", reported])


def _outcome_of(name: str, text: str) -> Outcome:
    reason, message, reported = json.loads(text)
    failure = AgentError(by_name(reason) or INTERNAL_ERROR, message) if reason else None
    return Outcome(name, failure, reported=reported)
