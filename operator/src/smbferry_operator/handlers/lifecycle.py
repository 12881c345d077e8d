"""Start and stop of the operator."""

import kopf

from smbferry_operator.service import Service


def register(service: Service) -> None:
    """Registers the operator's own life with kopf."""

    @kopf.on.startup()
    async def start(**_: object) -> None:
        await service.start()

    @kopf.on.cleanup()
    async def stop(**_: object) -> None:
        await service.stop()
