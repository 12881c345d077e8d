"""Checks and runs without an error."""

from smbferry_words.failure_class import FailureClass
from smbferry_words.reason import define

CHECKS_PASSED = define("ChecksPassed", "Every check passed.")
CHECKING = define("Checking", "A check of the latest spec is in progress.")
CHECK_NOT_REACHED = define("CheckNotReached", "Skipped because an earlier check failed.")
RESOLVED = define("Resolved", "The names resolve.")
REACHABLE = define("Reachable", "The server answered.")
CLOCK_IN_SYNC = define("ClockInSync", "The measured clock offset is within the tolerance.")
KEYTAB_USABLE = define("KeytabUsable", "The keytab contains a usable key for the principal.")
KVNO_MATCHES = define("KvnoMatches", "The keytab's newest key version matches the KDC's.")
TICKET_ISSUED = define("TicketIssued", "The KDC issued a ticket.")
SESSION_ENCRYPTED = define("SessionEncrypted", "The session is encrypted with a permitted cipher.")
SHARE_OPENED = define("ShareOpened", "The identity opened the share and the path.")
TASK_READY = define("TaskReady", "Both locations are ready.")
SUSPENDED = define("Suspended", "spec.suspend is true: no new runs start.")
IN_SYNC = define("InSync", "The last run brought the destination in sync with the source.")
NEVER_RAN = define("NeverRan", "No run has finished yet.")
RUN_IN_PROGRESS = define("RunInProgress", "A run is in progress.")
RUN_QUEUED = define("RunQueued", "The run is waiting for another run that writes to the same destination.")
LIMIT_REACHED = define("LimitReached", "The run is waiting because as many runs as permitted are active.")
IDENTITY_CHECK_AWAITED = define(
    "IdentityCheckAwaited", "The run is waiting for a check to test the keys of its identities."
)
WINDOW_CLOSED = define(
    "WindowClosed",
    "The run is waiting for the windows of its task to open.",
    "To run now, set ignoreWindows of the TransferRun to true, or change spec.windows of the task.",
)
SERVED_ELSEWHERE = define(
    "ServedElsewhere", "The run's agents work in the namespace of its SmbLocations, where the run is about to start."
)
APPROVAL_REQUIRED = define(
    "ApprovalRequired",
    "The run has planned what it would do and waits for a person to approve its plan.",
    "Look at the plan with smbferry approve. Approve it, or cancel the run.",
)
APPROVAL_EXPIRED = define(
    "ApprovalExpired",
    "Nobody approved the run's plan within spec.approvalExpiry of its task, so the run changed nothing more.",
    "Start another run, and approve its plan in time.",
    FailureClass.GUARD,
)
RUN_STARTED = define("RunStarted", "The run's agent was launched.")
RUN_EXPIRED = define("RunExpired", "The run was removed because ttlAfterFinished has passed since it finished.")
RUN_SUCCEEDED = define("RunSucceeded", "All files were transferred and verified as requested.")
RUN_PARTIALLY_SUCCEEDED = define(
    "RunPartiallySucceeded",
    "The run finished, but some files failed.",
    "Check status.failures of the TransferRun, fix these files and run the task again.",
)
RUN_FAILED = define(
    "RunFailed",
    "The last run failed.",
    "Check status.failure of the TransferRun for the cause and the remedy.",
)
RUN_SKIPPED = define("RunSkipped", "A run was due while another was in progress, and spec.concurrency is Skip.")
ON_SCHEDULE = define("OnSchedule", "No scheduled run is overdue.")
SCHEDULE_MISSED = define(
    "ScheduleMissed",
    "A scheduled run could not start within spec.schedule.startingDeadline.",
    "Fix what the message names; the next scheduled run then starts. To start a run now, use smbferry trigger.",
)
RUN_RETRIED = define(
    "RunRetried", "A run failed for a reason that may be temporary, and spec.retry starts a further run."
)
RETRYING = define("Retrying", "The run failed for a reason that may be temporary and will be retried.")
