"""``migrator agent --check``: what a host lacks to take part, each with the command that mends it. Changes nothing."""
