"""What the commands share: terminal output, files to chunks, the stack on one machine."""
