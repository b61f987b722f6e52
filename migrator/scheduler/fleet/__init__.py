"""Many moves as one object: a plan that can be seen first, budgets while it runs, and what became of it."""
