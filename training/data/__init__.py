"""Tables, audio folders, splits and artists."""
