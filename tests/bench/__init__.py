"""Benchmarks: ratios taken in one run, never a verdict of a test. Run by ``script/bench``."""
