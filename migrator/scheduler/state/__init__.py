"""Rows to the plain values that are decided by, and what a decision writes back."""
