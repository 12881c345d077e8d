"""No core file of an agent: it would hold keys and tickets."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import ctypes, json, os, resource, signal
from smbferry_agent.hardening import forbid_core_dumps
PR_GET_DUMPABLE = 3
dumpable = lambda: ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0)
before = dumpable()
forbid_core_dumps()
print(json.dumps([before, dumpable(), *resource.getrlimit(resource.RLIMIT_CORE)]), flush=True)
os.kill(os.getpid(), signal.SIGABRT)
"""


def test_an_agent_that_crashes_leaves_no_core(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        before, after, soft, hard = json.loads(child.stdout.readline())
        _, status = os.waitpid(child.pid, 0)
        child.returncode = -os.WTERMSIG(status)
    assert (before, after) == (1, 0)
    assert (soft, hard) == (0, 0)
    assert os.WTERMSIG(status) == signal.SIGABRT
    assert not os.WCOREDUMP(status)
    assert list(tmp_path.iterdir()) == []
