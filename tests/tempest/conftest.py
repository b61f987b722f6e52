"""What is discovered is tempest's own: its Python runs it (``run.py``)."""

collect_ignore = ["discovered"]
