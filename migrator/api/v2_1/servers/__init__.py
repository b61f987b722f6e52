"""Servers: created, listed, shown, and what hangs on them."""
