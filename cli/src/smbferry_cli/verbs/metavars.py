"""What help and completion call the arguments that name something in a cluster."""

from typing import Final

KIND: Final = "KIND"
TASK: Final = "TASK"
RUN: Final = "RUN"
NAMES: Final = "OBJECT"
"""Of the kinds that were typed before."""
TASK_OR_RUN: Final = "TASK|run/RUN"
CHECKED: Final = "identity/NAME|location/NAME"
LOGGED: Final = "RUN|task/TASK|identity/NAME|location/NAME"
NAMESPACE: Final = "NAMESPACE"
CONTEXT: Final = "CONTEXT"
COMPLETED: Final = frozenset({KIND, TASK, RUN, NAMES, TASK_OR_RUN, CHECKED, LOGGED, NAMESPACE, CONTEXT})
"""Those that `names` completes from the cluster."""
