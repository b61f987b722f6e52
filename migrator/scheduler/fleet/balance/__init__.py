"""Who should move so that hosts are used evenly, or fewer of them: pure functions of what is measured."""
