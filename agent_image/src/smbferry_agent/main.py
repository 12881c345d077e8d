"""The container's command: runs a check or a transfer, and leaves an exit code and a termination message."""

import argparse
import logging
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Final

from smbferry_agent import logs
from smbferry_agent.cluster import cluster_check, expect_identities, transfer
from smbferry_agent.errors import AgentError, Paused, Terminated
from smbferry_agent.location_checks import NamedLocation
from smbferry_agent.manifests import recorded_task
from smbferry_agent.report.api_client import ApiClient, ObjectNotFoundError
from smbferry_api.agent_contract import (
    COMPLETION_INDEX,
    LOCATION_OPTION,
    NAME_OPTION,
    NAMESPACE_OPTION,
    ONLY_LOCATIONS_OPTION,
    STAGE_OPTION,
    TERMINATION_MESSAGE_PATH,
    AgentCommand,
    Stage,
    TerminationMessage,
)
from smbferry_api.exit_codes import ExitCode
from smbferry_api.reasons import (
    AGENT_LOST,
    APPROVAL_REQUIRED,
    CHECKS_PASSED,
    INTERNAL_ERROR,
    OBJECT_GONE,
    RUN_PARTIALLY_SUCCEEDED,
    RUN_SUCCEEDED,
    WINDOW_CLOSED,
    Reason,
)

_log = logging.getLogger(__name__)
WITHOUT_ERROR: Final = frozenset(
    {ExitCode.DONE, ExitCode.DONE_WITH_FAILURES, ExitCode.PAUSED, ExitCode.AWAITS_APPROVAL}
)
REASON_OF: Final = {ExitCode.DONE: RUN_SUCCEEDED, ExitCode.AWAITS_APPROVAL: APPROVAL_REQUIRED}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code of the process."""
    arguments = _parse(argv)
    logs.set_up()
    message_path = Path(os.environ.get("SMBFERRY_TERMINATION_LOG", TERMINATION_MESSAGE_PATH))
    try:
        code, message = _run(arguments)
    except AgentError as error:
        code, message = error.exit_code, _termination_message(error.reason, error.message)
    except ObjectNotFoundError as error:
        code, message = ExitCode.CANCELLED, _termination_message(OBJECT_GONE, str(error))
    except Paused as closed:
        code, message = ExitCode.PAUSED, _termination_message(WINDOW_CLOSED, str(closed))
    except Terminated as signalled:
        code, message = ExitCode.TERMINATED, _termination_message(AGENT_LOST, str(signalled))
    except Exception as error:  # noqa: BLE001 (the boundary: any other exception is a bug, and is reported as one)
        _log.exception("unexpected error")
        code, message = ExitCode.BUG, _termination_message(INTERNAL_ERROR, f"{type(error).__name__} in smbferry-agent.")
    level = logging.INFO if code in WITHOUT_ERROR else logging.ERROR
    _log.log(level, message.message, extra=logs.fields(reason=message.reason, exit_code=int(code)))
    _write_termination_message(message, message_path)
    return int(code)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="smbferry-agent", description="Checks and transfers, run by smbferry.")
    parser.add_argument("command", type=AgentCommand, choices=list(AgentCommand))
    parser.add_argument(NAMESPACE_OPTION, required=True)
    parser.add_argument(NAME_OPTION, required=True)
    parser.add_argument(STAGE_OPTION, type=Stage, choices=list(Stage), default=Stage.WHOLE)
    parser.add_argument(LOCATION_OPTION, type=NamedLocation.parse, action="append", default=[], metavar="NAME=UID")
    parser.add_argument(ONLY_LOCATIONS_OPTION, action="store_true")
    return parser.parse_args(argv)


def _run(arguments: argparse.Namespace) -> tuple[ExitCode, TerminationMessage]:
    client = ApiClient.in_cluster()
    signal.signal(signal.SIGTERM, _terminate)  # a transfer replaces this handler, to end cleanly
    if arguments.command is AgentCommand.TRANSFER:
        index = os.environ.get(COMPLETION_INDEX)
        task = recorded_task(os.environ)
        expect_identities(client, arguments.namespace, task)
        shard = int(index) if index else None
        code = transfer(client, arguments.namespace, arguments.name, task, stage=arguments.stage, index=shard)
        reason = REASON_OF.get(code, RUN_PARTIALLY_SUCCEEDED)
        return code, _termination_message(reason, reason.when)
    failure = cluster_check(
        client, arguments.namespace, arguments.name, arguments.location, only_locations=arguments.only_locations
    )
    if failure is not None:
        raise failure
    return ExitCode.DONE, _termination_message(CHECKS_PASSED, CHECKS_PASSED.when)


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise Terminated("SIGTERM ended the agent before it started work, or during a check.")


def _termination_message(reason: Reason, message: str) -> TerminationMessage:
    return TerminationMessage(
        reason=reason.name,
        message=message[:2048],
        remedy=reason.remedy[:1024],
        failure_class=reason.failure.value if reason.failure else "",
    )


def _write_termination_message(message: TerminationMessage, path: Path) -> None:
    """Writes the termination message. Outside a pod its file does not exist, and nobody reads it."""
    try:
        with path.open("w") as file:
            file.write(message.model_dump_json(by_alias=True))
    except OSError as error:
        _log.warning("could not write the termination message: %s", error.strerror)
