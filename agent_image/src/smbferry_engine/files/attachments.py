"""Carries the attachments of a file or folder: copies, verifies and prunes its streams and extended attributes.

For a file this happens in its staging file, before its descriptor, its times and its final name. Only a file that is
marked as incomplete (ADR 18), and a folder, get them in place; its times follow.
"""

from dataclasses import dataclass

from smbferry_engine.core.calls import set_extended_attributes_request
from smbferry_engine.errors import FileError, FileReason
from smbferry_engine.files.streams import StreamRefusedError, copy_stream, delete_stream
from smbferry_engine.plan.attachments import (
    NO_ATTACHMENTS,
    Attachments,
    Kinds,
    Lost,
    ea_name,
    eas_to_set,
    extra_streams,
)
from smbferry_engine.run.context import RunContext
from smbferry_engine.share.attachments import read_attachments
from smbferry_engine.share.share import Share
from smbferry_engine.wire.attributes import DIRECTORY, is_data_elsewhere, is_link
from smbferry_engine.wire.create import Access
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_engine.wire.extended_attributes import ExtendedAttribute, encode_extended_attributes
from smbferry_words.options import ExtendedAttributes, Streams
from smbferry_words.run import NotCarriedKind

_NO_STREAMS = "the volume of the destination has no streams"
_NO_EAS = "the volume of the destination has no extended attributes"
_WRITE_EA = int(Access.WRITE_EA | Access.READ_ATTRIBUTES | Access.SYNCHRONIZE)
_SETTING = "setting the extended attributes"
# What one SET_INFO may carry: the most that NTFS keeps of one file.
_MOST_AT_ONCE = 60_000


@dataclass(frozen=True, slots=True)
class Origin:
    """Where attachments come from: a file or folder, and what was found there. ``kinds`` are those of which the target
    keeps nothing else.
    """

    share: Share
    path: str
    found: Attachments
    kinds: Kinds
    open_reparse_point: bool = True


@dataclass(frozen=True, slots=True)
class Target:
    """A file or folder of the destination; ``fresh`` if it is new and so has no attachments."""

    path: str
    fresh: bool


def copied_kinds(run: RunContext, share: Share) -> Kinds:
    """Return the kinds that are copied and that the volume of ``share``, either side, may hold."""
    options, holds = run.policy.options, share.holds
    return Kinds(
        holds.streams and options.streams is Streams.COPY,
        holds.eas and options.extended_attributes is ExtendedAttributes.COPY,
    )


def compared_kinds(run: RunContext) -> tuple[Kinds, Kinds]:
    """Return the kinds of attachments to ask for, of the source's and of the destination's file or folder.

    Where the source's volume can't hold any, what the destination has is no difference.
    """
    ours, theirs = copied_kinds(run, run.source), copied_kinds(run, run.destination)
    return ours, Kinds(ours.streams and theirs.streams, ours.eas and theirs.eas)


def kept_kinds(run: RunContext) -> Kinds:
    """Return the kinds that the destination keeps when one of its files is replaced."""
    options, holds = run.policy.options, run.destination.holds
    return Kinds(
        holds.streams and options.streams is Streams.IGNORE,
        holds.eas and options.extended_attributes is ExtendedAttributes.IGNORE,
    )


async def carry_file(
    run: RunContext,
    path: str,
    found: Attachments,
    destination: DirectoryEntry | None,
    target: Target,
    *,
    open_reparse_point: bool,
) -> tuple[Lost, ...]:
    """Give a staging file the attachments of its source, and those of the file that it replaces which the options leave
    alone. Returns what the destination can't hold.

    Raises:
        FileError: something can't be read, changed or differs when it is read back; what the replaced file has can't be
        kept.
    """
    kinds = copied_kinds(run, run.destination)
    lost = await carry(run, Origin(run.source, path, found, kinds, open_reparse_point), target)
    await _keep(run, path, destination, target)
    return lost


async def _keep(run: RunContext, path: str, destination: DirectoryEntry | None, target: Target) -> None:
    kinds = kept_kinds(run)
    if destination is None or not kinds or destination.attributes & DIRECTORY or is_link(destination):
        return
    reparse = not is_data_elsewhere(destination)
    found = await read_attachments(run.destination, path, kinds, open_reparse_point=reparse)
    lost = await carry(run, Origin(run.destination, path, found, kinds, reparse), target)
    failing = next((one for one in lost if one.fails), None)
    if failing is not None:
        raise FileError(
            FileReason.FILE_FAILED,
            f"replacing the file: expected to keep its own {failing.what} {failing.name!r}, got: {failing.reason}; "
            "the file was not replaced",
        )


async def carry(run: RunContext, origin: Origin, target: Target) -> tuple[Lost, ...]:
    """Make the attachments of ``target`` those of ``origin``; returns what the destination can't hold.

    Raises:
        FileError: something can't be read, changed or differs when it is read back; something that only the destination
        has can't be removed.
    """
    lost = list(origin.found.lost)
    kinds = origin.kinds
    there = NO_ATTACHMENTS
    if kinds and not target.fresh:
        there = await read_attachments(run.destination, target.path, kinds)
    for name in extra_streams(origin.found.streams, there.streams):
        await delete_stream(run.destination, target.path, name)
    lost += await _carry_streams(run, origin, target)
    lost += await _carry_eas(run, origin.found, there, target)
    return tuple(lost)


async def _carry_streams(run: RunContext, origin: Origin, target: Target) -> list[Lost]:
    lost = []
    for entry in origin.found.streams:
        if not run.destination.holds.streams:
            lost.append(Lost(NotCarriedKind.STREAM, entry.name, _NO_STREAMS))
            continue
        try:
            await copy_stream(
                run, origin.share, origin.path, entry, target.path, open_reparse_point=origin.open_reparse_point
            )
        except StreamRefusedError as error:
            lost.append(Lost(NotCarriedKind.STREAM, entry.name, error.message))
    return lost


async def _carry_eas(run: RunContext, found: Attachments, there: Attachments, target: Target) -> list[Lost]:
    wrong, extra = eas_to_set(found.eas, there.eas)
    if wrong and not run.destination.holds.eas:
        return [_lost(one, _NO_EAS) for one in wrong]
    if not wrong and not extra:
        return []
    lost = []
    if not await _set_at_once(run, target.path, [*extra, *wrong]):
        for one in (*extra, *wrong):
            try:
                await _set(run, target.path, [one])
            except FileError as error:
                if not one.value:
                    raise
                lost.append(_lost(one, error.message))
    if not run.policy.verifies_each:
        return lost
    back = await read_attachments(run.destination, target.path, Kinds(eas=True))
    told = {one.name for one in lost}
    missing, _ = eas_to_set((one for one in found.eas if ea_name(one.name) not in told), back.eas)
    return [*lost, *(_lost(one, "the server stored another value") for one in missing)]


async def _set_at_once(run: RunContext, path: str, eas: list[ExtendedAttribute]) -> bool:
    """Return whether the server took all of them in one request."""
    if len(encode_extended_attributes(eas)) > _MOST_AT_ONCE:
        return False
    try:
        await _set(run, path, eas)
    except FileError:
        return False
    return True


async def _set(run: RunContext, path: str, eas: list[ExtendedAttribute]) -> None:
    request = set_extended_attributes_request(encode_extended_attributes(eas))
    await run.destination.change(path, _WRITE_EA, (request,), _SETTING)


def _lost(one: ExtendedAttribute, reason: str) -> Lost:
    return Lost(NotCarriedKind.EXTENDED_ATTRIBUTE, ea_name(one.name), reason)
