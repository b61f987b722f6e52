"""``/v1``: what operators ask for and the Compute API has no word for."""
