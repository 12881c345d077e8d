"""What a decision looks at, read from the cache. No request is made here."""
