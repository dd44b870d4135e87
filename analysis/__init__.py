"""What data and models are worth."""
