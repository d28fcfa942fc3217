"""What the commands of services and training share of a terminal and a machine."""
