"""Tasks of images: folders, zip files and arrays become rows whose text is an image."""

from evals.images.sources import holds_images, is_unlabelled, read_images, unlabelled

__all__ = ["holds_images", "is_unlabelled", "read_images", "unlabelled"]
