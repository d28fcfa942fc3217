"""Audio formats: recognised by their first bytes, decoded to samples."""
