"""What libjpeg holds of a JPEG file while it decodes it."""

import math

START_OF_SCAN = 0xDA
NO_FRAMES = (0xC4, 0xC8, 0xCC)  # among the markers of frames, 0xC0 to 0xCF
PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)


def coefficient_bytes(data: bytes) -> int:
    """Return the bytes of the coefficients that are all held at once, whatever smaller size is asked for.

    These are two bytes each if the file is progressive, or has a scan per component; otherwise a row of blocks is held.

    Raises:
        ValueError, IndexError: it is no JPEG.
    """
    position = 2
    frame = b""
    while True:
        if data[position] != 0xFF:
            raise ValueError("a JPEG without an image")
        marker = data[position + 1]
        if marker == 0xFF:  # padding
            position += 1
            continue
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == START_OF_SCAN:
            break
        if 0xC0 <= marker <= 0xCF and marker not in NO_FRAMES:
            is_progressive = marker in PROGRESSIVE
            frame = data[position + 4 : position + 2 + length]
        position += 2 + max(2, length)
    height, width, components = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big"), frame[5]
    if not is_progressive and data[position + 4] == components:
        return 0
    sampling = [(frame[7 + 3 * k] >> 4, frame[7 + 3 * k] & 15) for k in range(components)]
    across, down = (max(side) for side in zip(*sampling, strict=True))
    return sum(2 * math.ceil(width * h / across) * math.ceil(height * v / down) for h, v in sampling)
