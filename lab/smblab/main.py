"""first version"""
import sys
from . import daemon, domain, settings
from .errors import LabError
from .progress import Progress

def main() -> int:
    s = settings.current()
    p = Progress(s.cache / "durations.json")
    try:
        d = daemon.ensure(s, p)
        domain.up(s, d, p)
    except LabError as e:
        print("lab:", e, file=sys.stderr)
        return 1
    return 0
