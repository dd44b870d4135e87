"""What a person touches: parameters and options, live curves, the canvas, predictions for files."""
