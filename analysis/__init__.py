"""What data, models and results are worth: audit, label issues, cross-validation, interpretation."""
