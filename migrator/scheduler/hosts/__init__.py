"""Hosts as operators and records see them: approved, audited, removed; which machine speaks for a name."""
