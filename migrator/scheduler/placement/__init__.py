"""Which host takes an instance, and what a move would be told beforehand."""
