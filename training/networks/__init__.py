"""The published networks, made again from their checkpoints."""
