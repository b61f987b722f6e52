"""``/v2.1``: OpenStack's Compute API. ``routes`` is its table of contents."""
