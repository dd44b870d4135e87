"""What a person touches: the canvas."""
