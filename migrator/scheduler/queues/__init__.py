"""Who waits to leave a host, and who waits to come in."""
