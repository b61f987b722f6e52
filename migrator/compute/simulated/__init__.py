"""A simulated hypervisor: the driver's protocol in front of a cluster that exists in memory, for tests and the demo."""
