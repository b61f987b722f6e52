"""Migrations as the Compute API lists them, of all instances and of one."""
