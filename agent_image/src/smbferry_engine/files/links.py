"""Links at the destination: created under a staging name, read back and renamed, or changed in place by one request.

A server may refuse to make a new file a link. So the file gets its final name only when it is one: there is never an
empty file or folder of that name.
"""

from typing import NamedTuple

from smbferry_engine.core.calls import Reply, close_request, delete_request, open_request, rename_request
from smbferry_engine.errors import EngineError, FileError, FileReason
from smbferry_engine.paths import join, split, staging_names
from smbferry_engine.plan.decide import version_of
from smbferry_engine.run.context import RunContext
from smbferry_engine.run.housekeeping import StagingEvent
from smbferry_engine.share.access import DELETE_ACCESS, SET_ACCESS
from smbferry_engine.share.links import FoundLink, check_set, get_request, kind_option, read_link, set_request
from smbferry_engine.share.metadata import Metadata, basic_requests, judge_security, metadata_of, security_requests
from smbferry_engine.share.replies import check
from smbferry_engine.times import settable
from smbferry_engine.wire.attributes import DIRECTORY
from smbferry_engine.wire.create import Disposition, decode_create
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.reparse import Link, decode_get_reparse_point
from smbferry_engine.wire.security import only_for
from smbferry_engine.wire.status import NtStatus
from smbferry_words.options import VerifyMode


class LinkCopy(NamedTuple):
    """A link to create or change at ``path``; ``found`` is what the source has."""

    path: str
    source: DirectoryEntry
    found: FoundLink


async def create_link(run: RunContext, copy: LinkCopy, *, replaces: bool = False) -> FileError | None:
    """Create a link; returns the error for metadata that could not be set. ``replaces``: a link of another kind goes.

    Raises:
        LinkNotCarriedError: the server or the account can't create it. FileError: any other refusal. Nothing is left of
        it then.
    """
    share, policy, kind = run.destination, run.policy.metadata, kind_option(copy.source.attributes)
    folder, name = split(copy.path)
    staging = join(folder, staging_names(name, version_of(copy.source))[0])
    private = only_for(await share.ownership.own(copy.path)) if policy.security_parts else None
    create = open_request(
        share.wire_path(staging),
        access=SET_ACCESS | DELETE_ACCESS | policy.write_access,
        disposition=Disposition.CREATE,
        options=kind,
        descriptor=private,
    )
    for again in (False, True):
        making = share.session.call(create, set_request(copy.found.link), get_request())
        run.housekeeping.note(copy.path, staging, StagingEvent.OPENED, making)
        opened, *made = await making
        if opened.status != NtStatus.OBJECT_NAME_COLLISION or again:
            break
        # An attempt before this one was interrupted.
        await share.delete(staging, directory=is_folder(copy), readonly=True)
    try:
        file_id = decode_create(check(opened, "creating the link").message).file_id
    except FileError:
        run.housekeeping.note(copy.path, staging, StagingEvent.GONE)
        raise
    try:
        _check_made(run, made, copy.found.link)
        incomplete = await _set_and_name(run, copy, file_id, replaces=replaces)
    except FileError:
        await share.session.call(delete_request(file_id), close_request(file_id))
        run.housekeeping.note(copy.path, staging, StagingEvent.GONE)
        raise
    share.session.call(close_request(file_id))
    run.housekeeping.note(copy.path, staging, StagingEvent.GONE)
    return incomplete


def _check_made(run: RunContext, made: list[Reply], link: Link) -> None:
    setting, getting = made
    check_set(setting, link)
    if run.policy.options.verify_mode is not VerifyMode.NONE:
        _check_back(getting, link)


def _check_back(reply: Reply, link: Link) -> None:
    try:
        back: Link | str = decode_get_reparse_point(check(reply, "reading the link back").message)
    except WireError as error:
        back = str(error)
    if back != link:
        raise FileError(FileReason.HASH_MISMATCH, f"expected the link as it was set, {link}, got {back}")


async def _set_and_name(run: RunContext, copy: LinkCopy, file_id: bytes, *, replaces: bool) -> FileError | None:
    """Set the metadata of a link and give it its final name."""
    share = run.destination
    incomplete, metadata = await _set_security(run, copy, file_id)
    if replaces:
        # A rename can't replace a folder, and no request changes the tag of a link.
        await run.policy.permission_to_replace(run.scheduler)
        await share.delete(copy.path, directory=is_folder(copy), readonly=True)
    *setting, renamed = await share.session.call(
        *basic_requests(metadata, file_id),
        rename_request(share.wire_path(copy.path), replace=False, file_id=file_id),
    )
    for reply in setting:
        check(reply, "setting times and attributes")
    if renamed.status == NtStatus.OBJECT_NAME_COLLISION and await _is_there(run, copy):
        await share.session.call(delete_request(file_id))
        return incomplete
    check(renamed, "giving the link its name")
    return incomplete


async def _is_there(run: RunContext, copy: LinkCopy) -> bool:
    """Return whether an attempt whose answer was lost has created the link."""
    try:
        there = await read_link(run.destination, copy.path, copy.source.attributes)
    except FileError:
        return False
    return there.link == copy.found.link


async def _set_security(run: RunContext, copy: LinkCopy, file_id: bytes) -> tuple[FileError | None, Metadata]:
    policy = run.policy.metadata
    metadata = metadata_of(policy, copy.source, copy.found.descriptor)
    security = security_requests(policy, metadata, file_id)
    if not security:
        return None, metadata
    incomplete = judge_security(*await run.destination.session.call(*security)) or policy.audit_refusal
    return incomplete, metadata if incomplete is None else metadata.marked()


async def change_link(run: RunContext, copy: LinkCopy, *, target_differs: bool, was_marked: bool) -> FileError | None:
    """Change where an existing link with the same tag leads, and set its metadata.

    ``was_marked``: an earlier run left it incomplete. Returns the error for metadata that could not be set. Raises as
    :func:`create_link`.
    """
    share, policy = run.destination, run.policy.metadata
    await run.policy.permission_to_replace(run.scheduler)
    opened, *changed = await share.session.call(
        open_request(
            share.wire_path(copy.path),
            access=SET_ACCESS | policy.write_access,
            options=kind_option(copy.source.attributes),
        ),
        *([set_request(copy.found.link), get_request()] if target_differs else []),
    )
    file_id = decode_create(check(opened, "opening the link to change it").message).file_id
    try:
        if changed:
            _check_made(run, changed, copy.found.link)
        incomplete, metadata = await _set_security(run, copy, file_id)
        if was_marked and incomplete is None:
            # If times are not copied, the source's replaces the mark.
            metadata = metadata._replace(write_time=settable(copy.source.write_time))
        for reply in await share.session.call(*basic_requests(metadata, file_id), close_request(file_id)):
            check(reply, "setting times and attributes")
    except (FileError, EngineError):
        share.session.call(close_request(file_id))
        raise
    return incomplete


def is_folder(copy: LinkCopy) -> bool:
    """Return whether the link is a folder for a program that does not follow it."""
    return bool(copy.source.attributes & DIRECTORY)
