"""HTTP: who asks, what is asked, and how it is answered. Never decides about an operation: that is the scheduler's."""
