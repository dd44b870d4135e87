"""Classify the images in a folder with an exported model: python use_onnx.py model.onnx my_images

Needs numpy, pillow and onnxruntime. One character per image, dark on light or light on dark, none transparent.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

if len(sys.argv) != 3:
    sys.exit(__doc__)
FORMATS = ["BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP"]  # none that Pillow reads by starting another program
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
about = session.get_modelmeta().custom_metadata_map
classes, spec = json.loads(about["classes"]), json.loads(about["input_spec"])
(height, width), mode = spec["source_shape"][:2], "RGB" if spec["source_shape"][2:] else "L"
if spec["photos"]:
    sys.exit("this model reads characters in photos: use the page, or fit_char.py predict")
suffixes = {suffix for suffix, name in Image.registered_extensions().items() if name in FORMATS}
paths = sorted(file for file in Path(sys.argv[2]).rglob("*.*") if file.suffix.lower() in suffixes)
if not paths:
    sys.exit(f"{sys.argv[2]} is not a folder with images")
for path in paths:
    image = np.asarray(ImageOps.exif_transpose(Image.open(path, formats=FORMATS)).convert(mode))
    white = next(level for level in (1, 16, 255) if image.max() <= level)  # of masks, of 4 bits, or of 8
    image = np.rint(image * (255 / white)).astype(np.uint8)
    paper = np.median(np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]]), 0)
    contrast, margin = np.abs(image - paper).reshape(*image.shape[:2], -1).max(2), 0.1 if spec["cropped"] else 0
    if margin and contrast.max() > 16:  # crop to the ink, as the training images were
        rows, columns = np.nonzero(contrast > max(16, contrast.max() / 3))
        image = image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    h, w = image.shape[:2]
    side = (1 + 2 * margin) * max(h / height, w / width)  # of the canvas, in pixels per pixel of the model's
    canvas = Image.new(mode, (round(side * width), round(side * height)), tuple(np.ravel(paper).astype(int).tolist()))
    canvas.paste(Image.fromarray(image), ((canvas.width - w) // 2, (canvas.height - h) // 2))
    x = np.asarray(canvas.resize((width, height), Image.Resampling.BILINEAR))[None]  # uint8 (1, height, width[, 3])
    probabilities = session.run(None, {"images": x})[0][0]
    print(f"{path}\t{classes[probabilities.argmax()]}\t{probabilities.max():.1%}")
