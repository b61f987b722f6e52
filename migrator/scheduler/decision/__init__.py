"""``decide`` and all that it follows from: a snapshot in, a plan out. Pure: no SQL, no clock."""
