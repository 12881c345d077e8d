"""A run that surveys its source: what a migration will meet, and how long it will take."""

from collections.abc import Sequence

from smbferry_agent.report.survey_report import SurveyReport
from smbferry_agent.run import engine_options, exit_code, with_sides
from smbferry_agent.run_environment import RunEnvironment
from smbferry_api.agent_contract import Side
from smbferry_api.exit_codes import ExitCode
from smbferry_api.run import ResolvedTask
from smbferry_engine import Endpoint, SidMap, survey_source


def run_source_survey(
    task: ResolvedTask, environment: RunEnvironment, report: SurveyReport, *, measure_destination: bool
) -> ExitCode:
    """Surveys the source. The destination is not even reached, unless a sample is to be copied to it.

    Raises:
        AgentError: the survey failed or was cancelled; the report contains the failure, too.
    """
    sides = (Side.SOURCE, Side.DESTINATION) if measure_destination else (Side.SOURCE,)

    def work(ends: Sequence[Endpoint], sid_map: SidMap) -> None:
        survey = survey_source(
            ends[0],
            ends[1] if measure_destination else None,
            engine_options(task, sid_map, dry_run=False, started=environment.started),
            report,
            control=environment.control,
            base=task.destination.place.path,
        )
        report.surveyed(survey)

    with_sides(task, environment, report, sides, work, records=environment.run_name)
    return exit_code(report)
