"""Commands as they are typed, on machines of many kinds."""
