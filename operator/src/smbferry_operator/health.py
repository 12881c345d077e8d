"""What the probes answer."""

from collections.abc import Callable

from smbferry_operator.background import Background
from smbferry_operator.reconcile.control_loop import ControlLoop
from smbferry_operator.telemetry.serve import Verdict
from smbferry_operator.watch.echo import Echo


class Health:
    """The health of this process, from its parts."""

    def __init__(
        self, background: Background, control_loop: ControlLoop, echo: Echo, leading: Callable[[], bool]
    ) -> None:
        self._background = background
        self._control_loop = control_loop
        self._echo = echo
        self._leading = leading
        self.warm = False
        """Everything was listed, and the operator is not stopping."""

    def alive(self) -> Verdict:
        """Good while the process is healthy and a restart would not help."""
        workers = self._control_loop.workers
        problem = self._background.problem() or (workers.problem() if self.warm else None)
        problem = problem or self._echo.problem()
        return Verdict(problem is None, {"problem": problem, **workers.figures})

    def ready(self) -> Verdict:
        """Good if it could lead at once."""
        return Verdict(self.warm, {"leading": self._leading(), "objects": self._control_loop.known})
