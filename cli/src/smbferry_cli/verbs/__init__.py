"""Commands for objects in a cluster: get, trigger, cancel, suspend, resume, recheck and logs."""
