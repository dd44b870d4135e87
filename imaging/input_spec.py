"""InputSpec: what a model expects of an image, measured on its training images and kept in its checkpoint."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from common.errors import InputError
from imaging.channels import count_channels, with_channels
from imaging.fitting import fit_image


@dataclass(frozen=True)
class InputSpec:
    """What a model expects of an image.

    Attributes:
        input_size: pixels per side that the model sees.
        source_shape: that of the training images, (H, W), or (H, W, 3) in colour.
        cropped: whether the training images were cropped to their ink.
        photos: whether they are characters found in photos (`photo.is_photo`), as further pictures will be.
        transformed: whether they were made by a transform of the user's own, which alone can make others.
        style: size, place and stroke width of the training characters (`photo.measure_style`), or None if unknown, or
            in colour.
    """

    input_size: int
    source_shape: tuple[int, ...]
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

        shape = images.shape[1:]
        is_transformed = images.transform is not None
        if count_channels(shape) == 3:
            return cls(input_size, shape, images.cropped, is_transformed)
        sample = images.subset(np.linspace(0, len(images) - 1, min(len(images), SAMPLE)))
        style = HOUSE_STYLE if images.photos else measure_style(sample.x)  # as the training images were made
        return cls(input_size, shape, images.cropped, is_transformed, style, images.photos)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "InputSpec":
        """Return the InputSpec that `as_dict` made plain values of."""
        return cls(**values | {"source_shape": tuple(values["source_shape"])})

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, as a checkpoint holds them."""
        return asdict(self) | {"source_shape": list(self.source_shape)}

    @property
    def channels(self) -> int:
        """1, or 3 if the model sees colours."""
        return count_channels(self.source_shape)

    def fit(self, image: np.ndarray) -> np.ndarray:
        """Return an image uint8 (h, w) or (h, w, 3) of any size, brought to the training images' shape as they were.

        Raises:
            InputError: no character is found in a photo.
        """
        image = with_channels(image, self.channels)
        if self.photos and image.shape != self.source_shape:
            return self.match_style(image)
        height, width = self.source_shape[:2]
        return fit_image(image, height, width, self.cropped)

    def fit_unseen(self, picture: np.ndarray) -> np.ndarray:
        """Return a further picture uint8 (h, w) or (h, w, 3), made nobody knows how, like the training images.

        If these are grey, a photo is recognised by its border (`photo.is_photo`), and brought to their style.

        Raises:
            InputError: no character is found in a photo.
        """
        from imaging.photo import is_photo

        picture = with_channels(picture, self.channels)
        if picture.shape != self.source_shape and self.style is not None and is_photo(picture):
            return self.match_style(picture)
        return self.fit(picture)

    def match_style(self, picture: np.ndarray) -> np.ndarray:
        """Return the character of a photo uint8 (h, w) as an image like the training images (`photo.match_style`).

        In colour, where there is no ink to tell from paper, the picture is only fitted.

        Raises:
            InputError: the style of the training images is not known, or no character is found.
        """
        from imaging.photo import match_style
        from imaging.pictures import as_images

        if self.channels == 3:
            return self.fit(as_images(picture, 3)[0])
        if self.style is None:
            raise InputError(
                "this checkpoint does not know the style of its training images: fit again, or use predict alone"
            )
        height, width = self.source_shape
        return match_style(picture, self.style, (height, width))
