"""What runs on a host. Its top has the ports (driver, journal, image cache) that the rooms below meet at.

Never imports the server's packages.
"""
