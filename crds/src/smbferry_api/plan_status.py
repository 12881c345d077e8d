"""The plan of a run whose task asks for approval, in the status of the run (ADR 53)."""

import base64
import hashlib
import json
from typing import Annotated, Final

from pydantic import Field

from smbferry_api.fields import Status, Time

MAX_PLAN_PATHS: Final = 20
MAX_PLAN_PATH: Final = 1024
DIGEST_LENGTH: Final = 32
"""Characters of a plan's digest: 160 bits."""


class PlannedItems(Status):
    """Files and folders to which a run would do the same."""

    files: Annotated[int, Field(description="Number of files.")] = 0
    directories: Annotated[int, Field(description="Number of folders. New folders are not counted.")] = 0
    bytes: Annotated[int, Field(description="Bytes of the content of these files at the source.")] = 0
    paths: Annotated[
        tuple[Annotated[str, Field(max_length=MAX_PLAN_PATH)], ...],
        Field(max_length=MAX_PLAN_PATHS, description="First names, relative to the root of the transfer."),
    ] = ()

    @property
    def count(self) -> int:
        """Files and folders."""
        return self.files + self.directories


class PlanStatus(Status):
    """What a run would do, as listings of both sides show it."""

    digest: Annotated[
        str, Field(description="Identifies this plan. To approve it, set spec.approvedPlan to this value.")
    ] = ""
    planned_at: Annotated[Time | None, Field(description="Time at which the plan was made.")] = None
    needs_approval: Annotated[bool, Field(description="Whether the run waits until a person approves the plan.")] = True
    first_run: Annotated[
        bool, Field(description="Whether no run of the task has copied to this destination to its end before.")
    ] = False
    source: Annotated[
        str, Field(max_length=4096, description="Folder that is copied, as //server:port/share/path.")
    ] = ""
    destination: Annotated[str, Field(max_length=4096, description="Folder that is copied to, in the same form.")] = ""
    source_id: Annotated[
        str, Field(max_length=32, description="The server's identifier of the source folder, if it reports one.")
    ] = ""
    destination_id: Annotated[
        str, Field(max_length=32, description="The server's identifier of the destination folder, if it reports one.")
    ] = ""
    existing: Annotated[
        int, Field(description="Files and folders at the destination, except for those that filters leave out.")
    ] = 0
    to_create: Annotated[PlannedItems, Field(description="New files.")] = PlannedItems()
    to_replace: Annotated[PlannedItems, Field(description="Files whose content is replaced.")] = PlannedItems()
    newer: Annotated[
        PlannedItems,
        Field(description="Files to replace, or to compare by content, that are newer at the destination."),
    ] = PlannedItems()
    to_delete: Annotated[
        PlannedItems,
        Field(
            description="Files and folders to delete at the destination, including those of another kind than at the "
            "source."
        ),
    ] = PlannedItems()
    to_correct: Annotated[int, Field(description="Files of which only metadata is set, as far as listings show.")] = 0
    to_compare: Annotated[
        int, Field(description="Files that are compared by content, and replaced if they differ (compareBy: Checksum).")
    ] = 0
    failed: Annotated[int, Field(description="Files and folders that could not be planned because of an error.")] = 0
    changes: Annotated[
        tuple[Annotated[str, Field(max_length=256)], ...],
        Field(max_length=8, description="What has changed since the plan before, if this is not the first."),
    ] = ()
    nonce: Annotated[
        str, Field(max_length=64, description="Random, so that nobody knows the digest of a plan before it is made.")
    ] = ""
    deletions: Annotated[
        str, Field(max_length=64, description="Identifies the set of all names in toDelete, whatever their number.")
    ] = ""


def plan_digest(plan: PlanStatus) -> str:
    """The digest of all that a plan says. It is computed wherever it matters; `digest` in the status is for people.

    Fields with their default are left out, so that a field that a later version adds changes no older digest.
    """
    said = plan.model_dump(mode="json", by_alias=True, exclude={"digest"}, exclude_defaults=True)
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return base64.b32encode(hashlib.sha256(text.encode()).digest()).decode().lower()[:DIGEST_LENGTH]


def plan_summary(plan: PlanStatus) -> str:
    """What a plan would do, in one sentence for conditions and commands."""
    parts = [f"copy {plan.to_create.files:,} new files", f"replace {plan.to_replace.files:,}"]
    if plan.to_compare:
        parts.append(f"compare {plan.to_compare:,} by content")
    parts.append(f"delete {plan.to_delete.count:,} files and folders at {plan.destination}")
    text = f"The run would {', '.join(parts[:-1])} and {parts[-1]}."
    if plan.newer.files:
        text += f" {plan.newer.files:,} of the existing files are newer at the destination."
    if plan.first_run:
        found = f"has {plan.existing:,} files and folders" if plan.existing else "is empty"
        text += f" It is the first to this destination, which {found}."
    return text


def plan_changes(before: PlanStatus, now: PlanStatus) -> tuple[str, ...]:
    """What keeps a plan from being within the one before, in words; nothing if it is within.

    What is deleted must be the same names, and both folders the same. Files that are replaced may be others, since a
    source changes all the time, but not more; whoever makes a plan again does not count files whose source has changed.
    """
    found: list[str] = []
    for side, was, is_ in (
        ("source", before.source_id, now.source_id),
        ("destination", before.destination_id, now.destination_id),
    ):
        if was and is_ and was != is_:
            found.append(f"the {side} is another folder")
    if before.deletions != now.deletions:
        others = " others" if before.to_delete.count == now.to_delete.count else ""
        was = f"{before.to_delete.count:,}{others}"
        found.append(f"it would delete {now.to_delete.count:,} files and folders instead of {was}")
    for what, one, other in (
        ("files whose source has not changed", before.to_replace.files, now.to_replace.files),
        ("files that are newer at the destination", before.newer.files, now.newer.files),
    ):
        if other > one:
            found.append(f"it would replace {other:,} {what} instead of at most {one:,}")
    return tuple(found)
