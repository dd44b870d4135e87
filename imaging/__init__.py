"""One image: decoding, cropping and fitting, photos."""
