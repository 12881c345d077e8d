"""For all unit tests: hypothesis looks for wrong answers, not for slow ones, which a busy machine gives, too."""

from hypothesis import settings

settings.register_profile("any-machine", deadline=None)
settings.load_profile("any-machine")
