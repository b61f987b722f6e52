"""The dashboard: a page for operators, served to browsers at ``/``. What it shows it asks of ``/v1`` and ``/v2.1``."""
