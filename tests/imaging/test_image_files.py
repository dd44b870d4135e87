"""Files come out in order, whoever decodes them."""

import io

import numpy as np
from PIL import Image

from imaging.files import CHUNK, fit_files
from imaging.input_spec import InputSpec


def test_images_and_reasons_come_in_order():
    files = []
    for i in range(10 * CHUNK):
        content = io.BytesIO()
        Image.new("L", (8, 8), 255 - i % 200).save(content, "PNG")
        files.append((str(i), content.getvalue() if i % 7 else "gone"))
    spec, read = InputSpec(32, (8, 8)), []
    fitted = list(fit_files((read.append(file[0]) or file for file in files), spec, 2))
    assert [name for name, _ in fitted] == read == [name for name, _ in files]
    for i, (_, image) in enumerate(fitted):
        assert image == "gone" if not i % 7 else (image == 255 - i % 200).all()
    for (_, one), (_, other) in zip(fit_files(files, spec), fitted, strict=True):
        np.testing.assert_array_equal(one, other)
