"""One function for each ``Ensure``: a bounded attempt to make it true, repeated until it is."""
