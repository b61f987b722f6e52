"""Self-fencing: the lease that a host's guests run by, and what ends them when it lapses."""
