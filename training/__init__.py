"""One training run, without any file."""
