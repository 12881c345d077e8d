"""What a run is asked to do, derived once from its options."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from smbferry_engine.model import Options
from smbferry_engine.plan.filters import Filters
from smbferry_engine.runtime.tasks import Scheduler
from smbferry_engine.share.metadata import MetadataPolicy
from smbferry_words.options import DeletedFiles, Durability, OverwriteMode, VerifyMode

_ASKED_AGAIN = 1.0  # seconds


@dataclass(slots=True)
class Policy:
    """What is copied, and how it is verified and made durable.

    ``verifies_each``: each copied file is read back. ``verifies_trees``: both trees are compared at the end.
    ``flushes_each``: small files are flushed to the server's disk before they count as copied. ``repairs``: the next
    run replaces whatever differs, and so repairs a file that a server crash tore, which may look newer than its source.
    ``removes``: what only the destination has is deleted. ``may_replace`` is asked before anything at the destination
    is deleted or replaced; what is new is copied meanwhile.
    """

    options: Options
    filters: Filters
    metadata: MetadataPolicy
    verifies_each: bool
    verifies_trees: bool
    flushes_each: bool
    repairs: bool
    removes: bool
    may_replace: Callable[[], bool] = lambda: True

    @classmethod
    def of(cls, options: Options, filters: Filters, may_replace: Callable[[], bool] = lambda: True) -> Self:
        """Derive the policy from the options."""
        return cls(
            options=options,
            filters=filters,
            metadata=MetadataPolicy.of(options),
            verifies_each=options.verify_mode is VerifyMode.ONLY_FILES_TRANSFERRED and not options.dry_run,
            verifies_trees=options.verify_mode is VerifyMode.POINT_IN_TIME_CONSISTENT and not options.dry_run,
            flushes_each=options.durability is Durability.FLUSHED,
            repairs=options.overwrite_mode is OverwriteMode.ALWAYS,
            removes=options.deleted_files is DeletedFiles.REMOVE,
            may_replace=may_replace,
        )

    async def permission_to_replace(self, scheduler: Scheduler) -> None:
        """Wait until something at the destination may be deleted or replaced."""
        while not self.may_replace():
            await scheduler.sleep(_ASKED_AGAIN)
