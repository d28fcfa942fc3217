"""Feature vectors to genre predictions."""
