"""The operations of the engine, one module each."""
