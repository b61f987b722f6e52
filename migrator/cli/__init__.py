"""The command ``migrator``: verbs, tables and sentences. Speaks HTTP to a server; starts server and agent."""
