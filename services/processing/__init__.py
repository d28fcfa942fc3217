"""The stream processor: what a core is, offsets, saved states, delivery."""
