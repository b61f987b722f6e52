"""The server's process: the application, its sockets, and what it does beside requests."""
