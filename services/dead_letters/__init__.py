"""Dead letters as an operator sees them: list, show, send back."""
