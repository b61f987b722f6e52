"""The agent's process: it asks the server, acts by the handlers, and reports what it found."""
