"""Planted bugs: small changes to the deciding code, each of which some test must notice. ``script/mutate`` runs them.

Owns the list and the runner, and never changes this tree: each mutant lives in a copy of it.
"""
