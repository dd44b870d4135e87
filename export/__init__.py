"""Models out: an ONNX file with the preparation inside, the weights alone, a model card and a web page."""
