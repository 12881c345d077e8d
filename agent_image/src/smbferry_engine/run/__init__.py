"""What the coroutines of one run share: policy, scope, tally, housekeeping."""
