"""Who calls, and what they may do: authentication strategies, and the policy."""
