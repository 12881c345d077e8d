"""The result of a survey in the status of its run, and in its report."""

from typing import Annotated, Final

from pydantic import Field

from smbferry_api.fields import Status
from smbferry_words.survey import Basis, Trait

MAX_STATUS_PATHS: Final = 3
"""Paths per finding in a run's status; the report has up to 100."""
MAX_STATUS_ROWS: Final = 16
"""Reparse tags and domains in a run's status; the report has up to 64."""
MAX_PATH: Final = 1024


class SurveyInterval(Status):
    """Files of an interval of sizes or ages, up to the next interval."""

    at_least: Annotated[int, Field(description="Least size in bytes, or least age in days since the last write.")]
    files: Annotated[int, Field(description="Number of files.")] = 0
    bytes: Annotated[int, Field(description="Bytes of their content.")] = 0


class SurveyDay(Status):
    """Files that were last written, or last changed in any way, on one of the last days."""

    days_ago: Annotated[int, Field(description="0: the last 24 hours before the survey.")]
    written_files: Annotated[int, Field(description="Files whose content was last written then.")] = 0
    written_bytes: Annotated[int, Field(description="Bytes of these files.")] = 0
    changed_files: Annotated[
        int, Field(description="Files that last changed then, including new names, permissions and attributes.")
    ] = 0


class SurveyFinding(Status):
    """Files and folders with a property that a migration must deal with."""

    trait: Annotated[Trait, Field(description="Property of the files and folders.")]
    count: Annotated[int, Field(description="Number of files and folders.")]
    at_most: Annotated[
        int | None,
        Field(
            description="Set if the count is an estimate from the sample: upper bound with 95 % confidence. Absent if "
            "the count is exact."
        ),
    ] = None
    paths: Annotated[
        tuple[Annotated[str, Field(max_length=MAX_PATH)], ...], Field(max_length=100, description="Some of them.")
    ] = ()


class SurveyTag(Status):
    """Reparse points by tag."""

    tag: Annotated[str, Field(description="Reparse tag, such as 0xA000000C.")]
    name: Annotated[str, Field(description="Kind of reparse point, if known.")] = ""
    count: Annotated[int, Field(description="Number of reparse points.")] = 0


class SurveyDomain(Status):
    """Accounts of one domain, or of one server's own accounts, in owners and access lists of the sample."""

    domain: Annotated[str, Field(description="SID of the domain, S-1-5-21-a-b-c.")]
    sid: Annotated[str, Field(description="SID of one of the accounts.")] = ""
    count: Annotated[int, Field(description="Files and folders of the sample that name such an account.")] = 0


class SurveyFile(Status):
    """A large file."""

    path: Annotated[str, Field(max_length=MAX_PATH, description="Path relative to the root of the transfer.")]
    bytes: Annotated[int, Field(description="Size in bytes.")] = 0


class SurveyForecast(Status):
    """Forecast of the time that runs will take."""

    basis: Annotated[
        Basis,
        Field(
            description="Copy: files of a sample were copied to the destination. Read: they were only read, so a run "
            "takes longer than the forecast."
        ),
    ]
    first_copy: Annotated[str, Field(description="Duration of the first copy, such as 3h20m.")]
    first_copy_seconds: Annotated[int, Field(description="The same in seconds.")]
    daily: Annotated[
        str, Field(description="Duration of a run that copies what is written on an average day of the last week.")
    ]
    daily_seconds: Annotated[int, Field(description="The same in seconds.")]
    unchanged: Annotated[str, Field(description="Duration of a run that finds nothing to copy.")]
    unchanged_seconds: Annotated[int, Field(description="The same in seconds.")]
    measured_files: Annotated[int, Field(description="Files of the sample that was timed.")] = 0
    measured_bytes: Annotated[int, Field(description="Bytes of the sample that was timed.")] = 0


class SurveyContents(Status):
    """Histograms and findings of a survey."""

    sizes: Annotated[tuple[SurveyInterval, ...], Field(max_length=16, description="Files by size.")] = ()
    ages: Annotated[tuple[SurveyInterval, ...], Field(max_length=16, description="Files by age.")] = ()
    days: Annotated[tuple[SurveyDay, ...], Field(max_length=14, description="The last days.")] = ()
    findings: Annotated[tuple[SurveyFinding, ...], Field(max_length=32, description="Properties that were found.")] = ()
    reparse_points: Annotated[
        tuple[SurveyTag, ...], Field(max_length=64, description="Reparse points by tag, the most frequent first.")
    ] = ()
    domains: Annotated[
        tuple[SurveyDomain, ...],
        Field(max_length=64, description="Domains of the accounts in owners and access lists of the sample."),
    ] = ()
    largest: Annotated[tuple[SurveyFile, ...], Field(max_length=10, description="The largest files.")] = ()


class SurveyStatus(Status):
    """What a migration of the source will meet. Counts are those after filters."""

    files: Annotated[int, Field(description="Number of files.")] = 0
    directories: Annotated[int, Field(description="Number of folders.")] = 0
    bytes: Annotated[int, Field(description="Bytes of all files.")] = 0
    depth: Annotated[int, Field(description="Levels of folders below the root.")] = 0
    sampled: Annotated[
        int, Field(description="Files and folders that were opened, to estimate what a listing does not show.")
    ] = 0
    listed_in: Annotated[str, Field(description="How long listing all folders took.")] = ""
    forecast: Annotated[
        SurveyForecast | None, Field(description="Absent if no file of the source could be read or copied.")
    ] = None
    contents: Annotated[SurveyContents | None, Field(description="What the source consists of.")] = None
