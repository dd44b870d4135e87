"""One training run: trainer, loader, augmentation, optimizer, backend. It knows no file."""
