"""What the commands of ``genrestream`` do once their arguments are read."""
