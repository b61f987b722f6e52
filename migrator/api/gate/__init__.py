"""What is refused by a request's head alone, before anything of it is read or parsed, and what each refusal costs."""
