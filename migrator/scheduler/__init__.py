"""What the server decides and records. ``reconciler`` advances operations, ``agents`` hears the hosts.

Knows no HTTP.
"""
