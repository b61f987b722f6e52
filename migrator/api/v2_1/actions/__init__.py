"""``POST /servers/{id}/action``: one file for each group of actions, and the table that dispatches them."""
