"""The database: every table, and every statement. SQL is written nowhere else."""
