"""Every reason that a condition, an event or a failed run can carry, grouped by topic.

A reason is one CamelCase word. `when` explains it to a person; `remedy` says what to do and ends the message of an
unhealthy condition; `failure` is the class that determines the agent's exit code and whether a retry can help.
docs/runbook/ has a page for each reason with a remedy.
"""

# ruff: noqa: F403 (each module defines only reasons; callers need not know which module)
from smbferry_api.reasons.agents import *
from smbferry_api.reasons.configuration import *
from smbferry_api.reasons.course import *
from smbferry_api.reasons.identity import *
from smbferry_api.reasons.kdc import *
from smbferry_api.reasons.reports import *
from smbferry_words.reason import Reason, all_reasons, by_name
from smbferry_words.reasons.end import *
from smbferry_words.reasons.kerberos import *
from smbferry_words.reasons.server import *
from smbferry_words.reasons.transfer import *

__all__ = ["Reason", "all_reasons", "by_name"]  # in addition to the reasons
