"""What every room may use: errors and files."""
