"""``/image/v2``: the part of Glance's API that clients and agents need."""
