"""Audio chunks to feature vectors."""
