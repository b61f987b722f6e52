"""What a host knows of its network: addresses, link speed, whether a port answers."""
