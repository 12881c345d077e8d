"""How a run ended: from its Job, its pods and the agent's report."""

from dataclasses import dataclass
from typing import Final

from smbferry_api.exit_codes import EXIT_CODE_OF, ExitCode
from smbferry_api.reasons import (
    AGENT_LOST,
    INTERNAL_ERROR,
    RUN_CANCELLED,
    RUN_FAILED,
    RUN_PARTIALLY_SUCCEEDED,
    RUN_SUCCEEDED,
    RUN_TIMED_OUT,
    Reason,
    by_name,
)
from smbferry_api.run_status import ROUNDED_TIMES, Counters, NotCarried, RunFailure, RunState
from smbferry_api.survey_status import SurveyStatus
from smbferry_operator.decide.agent_end import exit_code, last_ended, lost_message, termination
from smbferry_operator.decide.observation import RunObservation
from smbferry_operator.decide.text import sentence, with_remedy
from smbferry_operator.model import Job
from smbferry_words.failure_class import FailureClass
from smbferry_words.run import COUNTED_SEPARATELY
from smbferry_words.survey import Basis

GIVEN_UP: Final = frozenset({"BackoffLimitExceeded", "MaxFailedIndexesExceeded", "FailedIndexes"})
STOPPED: Final = (
    "The agent was stopped although nobody cancelled the run. Its pod was deleted, or its node was drained."
)
CLASS_OF: Final = {code: failure for failure, code in EXIT_CODE_OF.items()}


@dataclass(frozen=True, slots=True)
class End:
    """The end of a run."""

    state: RunState
    reason: Reason
    message: str
    failure: RunFailure | None = None
    """Set if the agent could not report it."""
    failure_class: str = ""


def end_of(seen: RunObservation, job: Job) -> End:
    """How a run with a finished Job ended."""
    code = exit_code(job, seen.pods)
    counters = seen.run.status.counters
    if code == ExitCode.DONE:
        return End(RunState.SUCCEEDED, RUN_SUCCEEDED, _said(seen))
    if code == ExitCode.DONE_WITH_FAILURES:
        count = counters.files.failed if counters else 0
        text = f"{count} files failed." if count else RUN_PARTIALLY_SUCCEEDED.when
        return End(RunState.PARTIALLY_SUCCEEDED, RUN_PARTIALLY_SUCCEEDED, with_remedy(text, RUN_PARTIALLY_SUCCEEDED))
    if seen.run.spec.cancel:
        return End(RunState.CANCELLED, RUN_CANCELLED, "The run was cancelled while it was under way.")
    if _was_stopped(seen, job, code):
        return failed(AGENT_LOST, _after(STOPPED, _tries(job)))
    return _failed(seen, job, code)


def _was_stopped(seen: RunObservation, job: Job, code: int | None) -> bool:
    """Whether the agent was told to stop, and tells of nothing else."""
    told = seen.run.status.failure or termination(last_ended(job, seen.pods))
    return code == ExitCode.CANCELLED if told is None else told.reason == RUN_CANCELLED.name


def _tries(job: Job) -> str:
    return f" after {job.failed} attempts" if job.failure_reason in GIVEN_UP and job.failed > 1 else ""


def _said(seen: RunObservation) -> str:
    spec, status = seen.run.spec, seen.run.status
    if spec.survey:
        return _surveyed(status.survey)
    return _dry(status.counters) if spec.dry_run else _counted(status.counters) + _lacking(status.not_carried)


def _surveyed(survey: SurveyStatus | None) -> str:
    if survey is None:
        return "Survey: nothing was copied."
    text = f"Survey: {survey.files} files in {survey.directories} folders ({survey.bytes} bytes)."
    if survey.forecast is None:
        return f"{text} No file could be read, so there is no forecast."
    what = "first copy" if survey.forecast.basis is Basis.COPY else "reading for the first copy"
    return f"{text} The {what} takes about {survey.forecast.first_copy}."


def _counted(counters: Counters | None) -> str:
    if counters is None:
        return RUN_SUCCEEDED.when
    files, verified = counters.files.transferred, counters.files.verified
    text = f"{files} files transferred, {verified} verified, {counters.files.skipped} unchanged."
    links = counters.files.links + counters.directories.links
    if links:
        text += f" {links} links were left out."
    if counters.directories.system:
        text += f" {counters.directories.system} system folders of the server were left out."
    if counters.files.rounded_times:
        text += (
            f" {counters.files.rounded_times} files were copied again only because of rounded times. {ROUNDED_TIMES}"
        )
    return text


def _lacking(not_carried: tuple[NotCarried, ...]) -> str:
    """What the destination did not get, except for what the counters say already."""
    sums = [f"{sum_.what} ({sum_.count})" for sum_ in not_carried if sum_.what not in COUNTED_SEPARATELY]
    return f" Not carried: {', '.join(sums)}; see status.notCarried." if sums else ""


def _dry(counters: Counters | None) -> str:
    if counters is None:
        return "Dry run: nothing was written."
    files, size = counters.files.to_transfer, counters.bytes.to_transfer
    return (
        f"Dry run: nothing was written; {files} of {counters.files.listed} files ({size} bytes) would be transferred."
    )


def _failed(seen: RunObservation, job: Job, code: int | None) -> End:
    if job.failure_reason == "DeadlineExceeded":
        return failed(RUN_TIMED_OUT, RUN_TIMED_OUT.when)
    tries = _tries(job)
    reported = seen.run.status.failure
    if reported is not None:
        reason = by_name(reported.reason) or RUN_FAILED
        text = f"{sentence(reported.message)} {reported.remedy}".strip()
        return End(RunState.FAILED, reason, _after(text, tries), failure_class=reported.class_)
    left = termination(last_ended(job, seen.pods))
    if left is not None:
        reason = by_name(left.reason) or RUN_FAILED
        failure_class = left.failure_class or CLASS_OF.get(_known(code), FailureClass.BUG).value
        return failed(reason, _after(left.message, tries), failure_class=failure_class, remedy=left.remedy)
    if code == ExitCode.BUG:
        return failed(INTERNAL_ERROR, f"{INTERNAL_ERROR.when} The agent ended with exit code {code}.")
    if code in CLASS_OF:
        failure_class = CLASS_OF[_known(code)]
        text = f"The agent ended with exit code {code} ({failure_class}) and its report was lost{tries}."
        return failed(RUN_FAILED, text, failure_class=failure_class.value, remedy="Look at the agent's log.")
    return failed(AGENT_LOST, lost_message(job, seen.pods))


def _known(code: int | None) -> ExitCode:
    return ExitCode(code) if code in CLASS_OF else ExitCode.BUG


def _after(text: str, tries: str) -> str:
    return f"{sentence(text)} Given up{tries}." if tries else text


def failed(reason: Reason, message: str, *, failure_class: str = "", remedy: str = "") -> End:
    """The end of a run whose agent could not report the failure."""
    class_ = failure_class or (reason.failure or FailureClass.BUG).value
    remedy = remedy or reason.remedy
    plain = sentence(message or reason.when).removesuffix(remedy).rstrip()
    return End(
        RunState.FAILED,
        reason,
        f"{plain} {remedy}".strip(),
        RunFailure(class_=class_, reason=reason.name, message=plain, remedy=remedy),
        class_,
    )
