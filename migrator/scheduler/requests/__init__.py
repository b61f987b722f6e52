"""How operations begin, and what may be asked of one that is under way."""
