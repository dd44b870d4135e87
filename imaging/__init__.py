"""One image: decoding, cropping and fitting, photos, and what a model expects of its input."""
