"""``/v2.1``: OpenStack's Compute API. Its table of contents stands in ``urls.py``, with those of all surfaces."""
