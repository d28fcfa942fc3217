"""The models that ship, and their cards."""
