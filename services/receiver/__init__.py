"""The receiver: listens to stations, and writes what they send as chunks of audio."""
