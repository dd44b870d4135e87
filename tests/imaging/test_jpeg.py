"""What libjpeg holds of a file is known before it is decoded."""

import io

import pytest
from PIL import Image

from imaging import decoding
from imaging.decoding import decode
from imaging.jpeg import coefficient_bytes


def jpeg(**options) -> bytes:
    file = io.BytesIO()
    Image.new(options.pop("mode", "RGB"), (64, 48), "white").save(file, "JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("options", "per_pixel"),
    [({}, 0), ({"mode": "L"}, 0), ({"progressive": True, "mode": "L"}, 2), ({"progressive": True}, 3),
     ({"progressive": True, "subsampling": 0}, 6),
     ({"progressive": True, "subsampling": 1, "comment": b"\xff\xda"}, 4)],
    ids=["baseline", "grey", "progressive grey", "4:2:0", "4:4:4", "4:2:2 with a comment"],
)  # fmt: skip
def test_a_progressive_file_is_held_as_a_whole(options, per_pixel):
    assert coefficient_bytes(jpeg(**options)) == 64 * 48 * per_pixel


def test_so_is_one_with_a_scan_per_component():
    data = jpeg()
    scan = data.index(b"\xff\xda\x00\x0c\x03")
    assert coefficient_bytes(data[:scan] + b"\xff\xff\xda\x00\x08\x01" + data[scan + 5 :]) == 64 * 48 * 3


def test_one_that_would_take_too_much_is_refused(monkeypatch):
    monkeypatch.setattr(decoding, "MAX_DECODED", 64 * 48 * 4)
    assert decode(jpeg(progressive=True))[0].shape == (48, 64)
    with pytest.raises(ValueError, match="^64×48 pixels as progressive JPEG: save it smaller, or as baseline JPEG$"):
        decode(jpeg(progressive=True, subsampling=0))
