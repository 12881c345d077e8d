"""kopf's decorators: each handler hands what it saw to one function and returns nothing."""
