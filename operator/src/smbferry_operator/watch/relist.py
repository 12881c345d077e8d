"""Lists again: everything at long intervals, and at short ones what a watch should have delivered."""

import asyncio
import logging
from datetime import timedelta
from typing import Final

from smbferry_operator.cluster.errors import ClusterError
from smbferry_operator.model import Kind
from smbferry_operator.watch.lists import Lister

logger = logging.getLogger(__name__)

ECHO_CHECK: Final = 15.0


async def relist_forever(lister: Lister, interval: timedelta) -> None:
    """Lists every kind at this interval."""
    while True:
        await asyncio.sleep(interval.total_seconds())
        try:
            await lister.all(Kind)
        except ClusterError as error:
            logger.warning("the full list failed; retrying later: %s", error)


async def relist_overdue_forever(lister: Lister) -> None:
    """Lists each kind whose watch has not delivered what it should have."""
    while True:
        await asyncio.sleep(ECHO_CHECK)
        await lister.overdue()
