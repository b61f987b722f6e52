"""``/agent/v1``: how the hosts' agents speak to the server."""
