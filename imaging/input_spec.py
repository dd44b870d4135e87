"""InputSpec: what a model expects of an image, measured on its training images and kept in its checkpoint."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from common.errors import InputError
from imaging.fitting import fit_image


@dataclass(frozen=True)
class InputSpec:
    """What a model expects of an image.

    Attributes:
        input_size: pixels per side that the model sees.
        source_shape: pixels (H, W) of the training images.
        cropped: whether the training images were cropped to their ink.
        photos: whether they are characters found in photos (`photo.is_photo`), as further pictures will be.
        transformed: whether they were made by a transform of the user's own, which alone can make others.
        style: size, place and stroke width of the training characters (`photo.measure_style`), or None if unknown.
    """

    input_size: int
    source_shape: tuple[int, int]
    cropped: bool = False
    transformed: bool = False
    style: dict | None = None
    photos: bool = False

    @classmethod
    def from_images(cls, images, input_size: int) -> "InputSpec":
        """Measure training images.

        Args:
            images: a CharDataset.
            input_size: pixels per side that the model sees.
        """
        from imaging.photo import HOUSE_STYLE, SAMPLE, measure_style  # imported here, as it takes 0.25 s

        _, height, width = images.shape
        sample = images.subset(np.linspace(0, len(images) - 1, min(len(images), SAMPLE)))
        is_transformed = images.transform is not None
        style = HOUSE_STYLE if images.photos else measure_style(sample.x)  # as the training images were made
        return cls(input_size, (height, width), images.cropped, is_transformed, style, images.photos)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "InputSpec":
        """Return the InputSpec that `as_dict` made plain values of."""
        height, width = values["source_shape"]
        return cls(**values | {"source_shape": (height, width)})

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, as a checkpoint holds them."""
        return asdict(self) | {"source_shape": list(self.source_shape)}

    def fit(self, image: np.ndarray) -> np.ndarray:
        """Return a grey image uint8 (H, W) of any size, brought to the training images' size as they were.

        Raises:
            InputError: no character is found in a photo.
        """
        if self.photos and image.shape != self.source_shape:
            return self.match_style(image)
        return fit_image(image, *self.source_shape, self.cropped)

    def fit_unseen(self, picture: np.ndarray) -> np.ndarray:
        """Return a further grey picture uint8 (h, w), made nobody knows how, like the training images.

        A photo is recognised by its border (`photo.is_photo`), and brought to their style.

        Raises:
            InputError: no character is found in a photo.
        """
        from imaging.photo import is_photo

        if picture.shape != self.source_shape and self.style is not None and is_photo(picture):
            return self.match_style(picture)
        return self.fit(picture)

    def match_style(self, picture: np.ndarray) -> np.ndarray:
        """Return the character of a photo uint8 (h, w) as an image like the training images (`photo.match_style`).

        Raises:
            InputError: the style of the training images is not known, or no character is found.
        """
        from imaging.photo import match_style

        if self.style is None:
            raise InputError(
                "this checkpoint does not know the style of its training images: fit again, or use predict alone"
            )
        return match_style(picture, self.style, self.source_shape)
