"""What a run leaves on disk: record, checkpoint, resume state, and the comparison of runs."""
