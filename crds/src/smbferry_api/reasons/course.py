"""The ordinary course of checks and runs."""

from smbferry_api.exit_codes import FailureClass
from smbferry_api.reason import define

CHECKS_PASSED = define("ChecksPassed", "Every check passed.")
CHECKING = define("Checking", "A check of the newest spec is under way.")
CHECK_NOT_REACHED = define("CheckNotReached", "An earlier check failed, so this one was not made.")
RESOLVED = define("Resolved", "The names resolve.")
REACHABLE = define("Reachable", "The server answered.")
CLOCK_IN_SYNC = define("ClockInSync", "The measured clock offset is within the tolerance.")
KEYTAB_USABLE = define("KeytabUsable", "The keytab holds a usable key of the principal.")
KVNO_MATCHES = define("KvnoMatches", "The keytab's newest key version is the one that the KDC uses.")
TICKET_ISSUED = define("TicketIssued", "The KDC issued a ticket.")
SESSION_ENCRYPTED = define("SessionEncrypted", "The session is encrypted with a permitted cipher.")
SHARE_OPENED = define("ShareOpened", "Share and path were opened with the identity.")
TASK_READY = define("TaskReady", "Both locations are ready.")
SUSPENDED = define("Suspended", "spec.suspend is true: no new runs start.")
IN_SYNC = define("InSync", "The last run left the destination as the source was.")
NEVER_RAN = define("NeverRan", "No run has ended yet.")
RUN_IN_PROGRESS = define("RunInProgress", "A run is under way.")
RUN_QUEUED = define("RunQueued", "The run waits for another that writes to the same destination.")
IDENTITY_CHECK_AWAITED = define(
    "IdentityCheckAwaited", "The run waits until a check has tried the keys of its identities."
)
RUN_STARTED = define("RunStarted", "The run's agent was launched.")
RUN_EXPIRED = define("RunExpired", "The run ended as long ago as ttlAfterFinished says, and was removed.")
RUN_SUCCEEDED = define("RunSucceeded", "Every file was transferred and verified as asked.")
RUN_PARTIALLY_SUCCEEDED = define(
    "RunPartiallySucceeded",
    "The run ended, but single files failed.",
    "Look at status.failures of the TransferRun, mend these files and run again.",
)
RUN_FAILED = define(
    "RunFailed",
    "The last run failed.",
    "Look at status.failure of the TransferRun, which names the cause and the remedy.",
)
RUN_CANCELLED = define(
    "RunCancelled", "The run was cancelled.", "Change spec.trigger to start another.", FailureClass.CANCELLED
)
RUN_SKIPPED = define("RunSkipped", "A run was due while another went on, and spec.concurrency is Skip.")
RETRYING = define("Retrying", "The run failed in a way that a retry can mend, and will be tried again.")
