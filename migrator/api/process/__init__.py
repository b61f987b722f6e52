"""What one server process keeps in memory between requests, and hands to every handler."""
