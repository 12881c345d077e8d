"""Reasons that the engine can raise, grouped by topic. `smbferry_api.reasons` adds the others."""

# ruff: noqa: F403 (each module defines only reasons; callers need not know which module)
from smbferry_words.reasons.end import *
from smbferry_words.reasons.kerberos import *
from smbferry_words.reasons.server import *
from smbferry_words.reasons.transfer import *
