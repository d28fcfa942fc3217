"""Metrics, traces, logs, health and the HTTP port of a worker."""
