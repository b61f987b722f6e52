"""The checks before a move: what a host or a guest must have. Pure: no SQL, no clock."""
