"""Which instance goes where, by which way and when. Pure: no SQL, no clock."""
