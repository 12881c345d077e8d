"""The result of a survey. Sizes in bytes, durations in seconds, paths from the transfer's root as people read them."""

from dataclasses import dataclass
from typing import NamedTuple

from smbferry_words.survey import Basis, Trait


class Amount(NamedTuple):
    """Files, and the bytes of their content."""

    files: int
    bytes: int


class Interval(NamedTuple):
    """One bar of a histogram: files from ``least`` (bytes, or days) to before the next bar's."""

    least: int
    amount: Amount


@dataclass(frozen=True, slots=True)
class Finding:
    """How many files and folders have a trait, and the first or some of them.

    ``at_most`` is set for an estimate from the sample: the upper bound with 95 % confidence.
    """

    trait: Trait
    count: int
    at_most: int | None
    paths: tuple[str, ...]


class TagCount(NamedTuple):
    """How many reparse points have a tag (MS-FSCC 2.1.2.1); 0 if the server does not report it."""

    tag: int
    number: int


class DomainCount(NamedTuple):
    """How many files and folders of the sample name accounts of a domain, or of a server's own accounts."""

    domain: str
    number: int
    sid: str


class Named(NamedTuple):
    """A path and its size in bytes."""

    path: str
    bytes: int


class Day(NamedTuple):
    """What was last written, or last changed in any way, on one of the last days; 0 is the last 24 hours."""

    ago: int
    written: Amount
    changed: Amount


@dataclass(frozen=True, slots=True)
class Forecast:
    """How long runs will take, in seconds.

    ``unchanged``: a run that finds nothing to do. ``daily``: a run that copies what is written on an average day of the
    last week. ``measured`` is the sample that was read or copied, ``seconds`` how long that took.
    """

    basis: Basis
    first: float
    unchanged: float
    daily: float
    measured: Amount
    seconds: float


@dataclass(frozen=True, slots=True)
class Tree:
    """Counts of a source after filters; ``depth`` is that of the deepest folder, 0 for the root."""

    files: int
    directories: int
    bytes: int
    depth: int
    sizes: tuple[Interval, ...]
    ages: tuple[Interval, ...]
    days: tuple[Day, ...]
    largest: tuple[Named, ...]


@dataclass(frozen=True, slots=True)
class Survey:
    """What a migration of a source will meet.

    ``sampled`` of the files and folders were opened, to estimate what a listing does not show. ``forecast`` is None if
    nothing could be measured.
    """

    tree: Tree
    findings: tuple[Finding, ...]
    tags: tuple[TagCount, ...]
    domains: tuple[DomainCount, ...]
    sampled: int
    listed_seconds: float
    forecast: Forecast | None
