"""The settings of the installation, read once from the environment."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

from pydantic import ValidationError

from smbferry_api.agent_contract import UserIds
from smbferry_api.class_name import CLASS_NAME_PATTERN, MAX_CLASS_NAME
from smbferry_api.explain import explain
from smbferry_api.fields import parse_duration
from smbferry_api.pod_settings import PodSettings
from smbferry_api.run import NEVER
from smbferry_operator.decide.limits import RunLimits
from smbferry_operator.decide.manifests.pods import merged
from smbferry_operator.decide.settings import AgentSettings, NetworkRules
from smbferry_operator.model import Manifest

PREFIX: Final = "SMBFERRY_"
NO_LIMIT: Final = "none"
MAX_TASKS: Final = 1000
"""Tasks that have metrics of their own, unless the installation sets another number."""
PULL_POLICIES: Final = ("Always", "IfNotPresent", "Never")
V = TypeVar("V")


EVENTS_FOLDER: Final = "/var/run/smbferry/events"
EVENTS_SOURCE: Final = "/smbferry"


class SettingsError(ValueError):
    """An environment variable is missing or invalid; the message names it and what was expected."""


@dataclass(frozen=True, slots=True)
class SinkSettings:
    """Where events go, and how they are signed."""

    url: str
    folder: Path
    """Where the Secret with the keys is mounted."""
    source: str = EVENTS_SOURCE
    """The attribute `source` of the events."""

    @property
    def host(self) -> str:
        """The sink's host, for the log: a URL may contain more than everybody should read."""
        return urlsplit(self.url).hostname or ""


@dataclass(frozen=True)
class Settings:
    """All settings of the operator."""

    agent: AgentSettings
    namespaces: tuple[str, ...] = ()
    """The namespaces to watch; all if empty."""
    workers: int = 16
    """How many objects are reconciled concurrently."""
    health_port: int = 8080
    metrics_port: int = 8081
    metrics_tls: Path | None = None
    """The folder with the certificate of the metrics, which only those may read then whom the API server allows."""
    resync: timedelta = timedelta(minutes=10)
    """How often everything is listed again, to find what a watch has missed."""
    instance: str = "smbferry-operator"
    """The pod's name, for Events and the lease."""
    lease_namespace: str = ""
    lease_name: str = "smbferry-operator"
    log_format: str = "text"
    log_level: str = "info"
    watch_secrets: bool = False
    """Watch the metadata of Secrets and ConfigMaps, so that a changed one is checked at once."""
    standalone: bool = False
    """Elect no leader: no other operator runs."""
    tasks_with_series: int = MAX_TASKS
    """How many tasks have metrics of their own; 0 for none."""
    sink: SinkSettings | None = None
    """Where CloudEvents go; None for nowhere."""

    @classmethod
    def read(cls, environ: Mapping[str, str], *, standalone: bool = False) -> "Settings":
        """Reads SMBFERRY_… variables.

        Raises:
            SettingsError: a variable is missing or invalid.
        """
        source = _Source(environ)
        defaults = AgentSettings(image="")
        agent = AgentSettings(
            image=source.required("AGENT_IMAGE", "the image that agents run"),
            image_pull_policy=source.read("AGENT_IMAGE_PULL_POLICY", "IfNotPresent", _one_of(*PULL_POLICIES)),
            pod=source.read("AGENT_POD", defaults.pod, _pod),
            check_resources=source.read("CHECK_RESOURCES", defaults.check_resources, _object),
            start_deadline=source.read("AGENT_START_DEADLINE", defaults.start_deadline, parse_duration),
            user_ids=UserIds(source.read("AGENT_USER_IDS", UserIds.FIXED.value, _one_of(*UserIds))),
            run_ttl=source.read("RUN_TTL", defaults.run_ttl, _duration_or_never),
            max_concurrent_checks=source.read("MAX_CONCURRENT_CHECKS", defaults.max_concurrent_checks, _positive),
            network=source.read("AGENT_NETWORK_POLICY", None, _network),
            class_name=source.read("CLASS_NAME", defaults.class_name, _class_name),
            limits=RunLimits(
                source.read("RUNS_PER_SERVER", defaults.limits.per_server, _limit),
                source.read("RUNS_PER_NAMESPACE", defaults.limits.per_namespace, _limit),
                source.read("RUNS", defaults.limits.total, _limit),
            ),
        )
        return cls(
            agent=agent,
            namespaces=source.read("WATCH_NAMESPACES", (), _names),
            workers=source.read("WORKERS", cls.workers, _positive),
            health_port=source.read("HEALTH_PORT", cls.health_port, _positive),
            metrics_port=source.read("METRICS_PORT", cls.metrics_port, _positive),
            metrics_tls=source.read("METRICS_TLS", None, Path),
            resync=source.read("RESYNC", cls.resync, parse_duration),
            instance=source.read("POD_NAME", environ.get("HOSTNAME") or cls.instance, str),
            lease_namespace="" if standalone else source.required("LEASE_NAMESPACE", _LEASE),
            lease_name=source.read("LEASE_NAME", cls.lease_name, str),
            log_format=source.read("LOG_FORMAT", cls.log_format, _one_of("json", "text")),
            log_level=source.read("LOG_LEVEL", cls.log_level, _one_of("debug", "info", "warning")),
            watch_secrets=source.read("WATCH_SECRETS", cls.watch_secrets, _yes_or_no),
            standalone=standalone,
            sink=_sink(source),
            tasks_with_series=source.read("TASKS_WITH_SERIES", cls.tasks_with_series, _count),
        )


_LEASE: Final = "the namespace of the Lease by which operators elect a leader (or the option --standalone)"


class _Source:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def required(self, name: str, what: str) -> str:
        value = self._environ.get(PREFIX + name, "").strip()
        if not value:
            raise SettingsError(f"{PREFIX}{name} is not set; expected {what}")
        return value

    def read(self, name: str, default: V, parse: Callable[[str], V]) -> V:
        text = self._environ.get(PREFIX + name, "").strip()
        if not text:
            return default
        try:
            return parse(text)
        except ValueError as error:
            # JSON may contain a variable of the agents with a proxy's password, and so may a URL.
            given = "" if text.startswith("{") or "://" in text else f"={text!r}"
            raise SettingsError(f"{PREFIX}{name}{given}: {error}") from error


def _sink(source: _Source) -> SinkSettings | None:
    url = source.read("EVENTS_SINK", "", _http_url)
    folder = Path(source.read("EVENTS_FOLDER", EVENTS_FOLDER, str))
    return SinkSettings(url, folder, source.read("EVENTS_SOURCE", EVENTS_SOURCE, str)) if url else None


def _http_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None or parts.fragment:
        raise ValueError("expected an http or https URL with a host, without a user and without a fragment")
    return text


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for part in text.split(",") if (name := part.strip()))


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError("expected a number of at least 1")
    return number


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise ValueError("expected a number of at least 0")
    return int(text)


def _limit(text: str) -> int | None:
    if text == NO_LIMIT:
        return None
    try:
        return _positive(text)
    except ValueError as error:
        raise ValueError(f"expected a number of at least 1, or {NO_LIMIT} for no limit") from error


def _duration_or_never(text: str) -> timedelta | None:
    return None if text == NEVER else parse_duration(text)


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"expected one of {', '.join(words)}")
        return text

    return parse


def _yes_or_no(text: str) -> bool:
    return _one_of("true", "false")(text) == "true"


def _class_name(text: str) -> str:
    if len(text) > MAX_CLASS_NAME or not re.fullmatch(CLASS_NAME_PATTERN, text):
        raise ValueError(
            f"expected at most {MAX_CLASS_NAME} lower-case letters, digits and hyphens, as in spec.className"
        )
    return text


def _network(text: str) -> NetworkRules | None:
    """Ports by name, such as {"kdcPorts": [88]}; a missing name keeps its default."""
    given = _object(text)
    unknown = sorted(set(given) - set(_PORTS))
    if unknown:
        raise ValueError(f"expected {', '.join(_PORTS)}; got {', '.join(unknown)}")
    for name, ports in given.items():
        if not isinstance(ports, list) or not ports or not all(type(p) is int and 0 < p < 1 << 16 for p in ports):
            raise ValueError(f"{name}: expected a list of port numbers from 1 to 65535")
    return NetworkRules(**{_PORTS[name]: tuple(ports) for name, ports in given.items()})


_PORTS: Final = {"kdcPorts": "kdc_ports", "apiServerPorts": "api_server_ports", "dnsPorts": "dns_ports"}


def _pod(text: str) -> PodSettings:
    """What is not set, such as resources, keeps its default."""
    try:
        return merged(AgentSettings(image="").pod, PodSettings.model_validate(_object(text)))
    except ValidationError as error:
        raise ValueError(explain(error, "agent", PodSettings)) from error


def _object(text: str) -> Manifest:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise SettingsError("expected a JSON object such as a container's resources")
    return value
