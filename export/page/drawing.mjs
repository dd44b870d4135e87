// Strokes and pictures on a canvas, and their grey levels.

export const SIDE = 280; // of a drawing, in pixels, as in apps/canvas.py
const PEN = 12, MARGIN = PEN;
const LARGEST = 4096; // pixels of a picture's longer side that are read

/** Draw strokes, lists of points [x, y], on a context in pixels of a drawing. */
export function draw(context, strokes, colour) {
  Object.assign(context, { lineWidth: PEN, lineCap: "round", lineJoin: "round", strokeStyle: colour });
  for (const points of strokes) {
    context.beginPath();
    context.moveTo(...points[0]);
    for (const point of points) context.lineTo(...point);
    context.stroke();
  }
}

/** Return the grey levels of strokes, black on white, or of a picture instead: what `matchStyle` takes. */
export function greyLevels(strokes, picture = null) {
  const scale = picture ? Math.min(1, LARGEST / Math.max(picture.width, picture.height)) : 1;
  const [width, height] = picture
    ? [picture.width, picture.height].map((side) => Math.max(1, Math.round(side * scale)))
    : [SIDE + 2 * MARGIN, SIDE + 2 * MARGIN];
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  if (picture) {
    context.drawImage(picture, 0, 0, width, height);
  } else {
    context.translate(MARGIN, MARGIN); // no stroke is cut off at the edge
    draw(context, strokes, "black");
  }
  return inGrey(context.getImageData(0, 0, width, height));
}

/** Return opaque pixels RGBA in grey, with Pillow's weights of the colours. */
function inGrey({ data, width, height }) {
  const grey = new Uint8Array(width * height);
  for (let i = 0; i < grey.length; i++) {
    grey[i] = (19595 * data[4 * i] + 38470 * data[4 * i + 1] + 7471 * data[4 * i + 2] + 0x8000) >> 16;
  }
  return { data: grey, width, height };
}
