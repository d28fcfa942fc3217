"""Feature sets that a network computes."""
