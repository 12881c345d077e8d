"""Operations on one share, as coroutines: list, open, read, set metadata."""
