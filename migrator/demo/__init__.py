"""The demo: the project's story told on real hosts of one machine, or on simulated ones."""
