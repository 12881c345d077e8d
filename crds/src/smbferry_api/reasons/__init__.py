"""Every reason that a condition, an event or a failed run can carry: one vocabulary, in chapters.

A reason is one CamelCase word. `when` says when it is present, in words for a person; `remedy` says what to do and
ends the message of an unhealthy condition; `failure` is the class that decides the agent's exit code and so whether
a retry can help. docs/runbook/ has a page per reason that has a remedy.
"""

# ruff: noqa: F403 (each chapter defines reasons and nothing else; who uses one need not know the chapter)
from smbferry_api.reason import Reason, all_reasons, by_name
from smbferry_api.reasons.agents import *
from smbferry_api.reasons.configuration import *
from smbferry_api.reasons.course import *
from smbferry_api.reasons.identity import *
from smbferry_api.reasons.kdc import *
from smbferry_api.reasons.server import *
from smbferry_api.reasons.transfer import *

__all__ = ["Reason", "all_reasons", "by_name"]  # beside the reasons themselves
