// Measures of images and of their parts, as NumPy and scipy.ndimage give them. See filters.mjs for what an image is.

import { crop, pad } from "./filters.mjs";

const BINS = 1024;

/** Return a quantile of numbers, a typed array, interpolated linearly; 0.5 gives the median. */
export function quantile(numbers, fraction) {
  const place = fraction * (numbers.length - 1);
  const low = select(numbers, Math.floor(place)), high = select(numbers, Math.ceil(place));
  return low + (high - low) * (place - Math.floor(place));
}

/** Return the k-th smallest of numbers: by a histogram, it is one of those in a certain bin. */
function select(numbers, k) {
  let low = Infinity, high = -Infinity, lows = 0, highs = 0; // the extremes, and how often they occur
  for (let i = 0; i < numbers.length; i++) {
    const number = numbers[i];
    if (number <= low) {
      lows = number < low ? 1 : lows + 1;
      low = number;
    }
    if (number >= high) {
      highs = number > high ? 1 : highs + 1;
      high = number;
    }
  }
  if (k < lows) return low; // as in drawings, which are blank for the most part
  if (k >= numbers.length - highs) return high;
  const scale = BINS / (high - low), counts = new Int32Array(BINS + 1);
  for (let i = 0; i < numbers.length; i++) counts[((numbers[i] - low) * scale) | 0]++;
  let bin = 0;
  while (k >= counts[bin]) k -= counts[bin++];
  const inside = new numbers.constructor(counts[bin]);
  for (let i = 0, n = 0; i < numbers.length; i++) {
    if ((((numbers[i] - low) * scale) | 0) === bin) inside[n++] = numbers[i];
  }
  return select(inside, k);
}

/** Label the connected parts of a mask, also those that touch at a corner: { labels (0: none), count }. */
export function label({ data, width, height }) {
  const labels = new Int32Array(data.length), stack = [];
  let count = 0;
  for (let start = 0; start < data.length; start++) {
    if (!data[start] || labels[start]) continue;
    labels[start] = ++count;
    stack.push(start);
    while (stack.length) {
      const place = stack.pop(), y = Math.floor(place / width), x = place - y * width;
      for (let v = Math.max(y - 1, 0); v <= Math.min(y + 1, height - 1); v++) {
        for (let u = Math.max(x - 1, 0); u <= Math.min(x + 1, width - 1); u++) {
          const other = v * width + u;
          if (data[other] && !labels[other]) {
            labels[other] = count;
            stack.push(other);
          }
        }
      }
    }
  }
  return { labels, count };
}

/**
 * Return the distance of each pixel of a mask to the nearest that is 0, in pixels. Distances of `most` and more are not
 * computed: such pixels get any number that is not below `most`.
 */
export function distances({ data, width, height }, most = Infinity) {
  const far = Math.min(width + height, Math.ceil(most));
  const column = new Int32Array(data.length), result = new Float32Array(data.length); // the distance within a column
  for (let i = 0; i < data.length; i++) {
    const above = i < width ? far : column[i - width];
    column[i] = data[i] ? Math.min(above + 1, far) : 0;
  }
  for (let i = data.length - width - 1; i >= 0; i--) column[i] = Math.min(column[i], column[i + width] + 1);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (!data[i]) continue;
      let square = column[i] * column[i];
      for (let k = 1; k * k < square && (k <= x || k < width - x); k++) {
        const left = k <= x ? column[i - k] : far, right = k < width - x ? column[i + k] : far;
        const nearest = Math.min(left, right);
        square = Math.min(square, k * k + nearest * nearest);
      }
      result[i] = Math.sqrt(square);
    }
  }
  return result;
}

/** Return the box around the pixels of a mask that are not 0: { top, bottom, left, right }, bottom and right beyond. */
export function box({ data, width, height }) {
  let top = height, bottom = 0, left = width, right = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (!data[y * width + x]) continue;
      top = Math.min(top, y);
      bottom = y + 1;
      left = Math.min(left, x);
      right = Math.max(right, x + 1);
    }
  }
  return { top, bottom, left, right };
}

/** Return the stroke width of a mask: twice the area divided by the outline. */
export function strokeWidth({ data, width, height }) {
  let area = 0, outline = 0;
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (!data[i]) continue;
      area++;
      outline += (x && data[i - 1] ? 0 : 1) + (x < width - 1 && data[i + 1] ? 0 : 1);
      outline += (y && data[i - width] ? 0 : 1) + (y < height - 1 && data[i + width] ? 0 : 1);
    }
  }
  return (2 * area) / outline;
}

/** Return the distance of each pixel of a mask to the outside, which begins at the border of the image. */
export function depth(mask) {
  const padded = pad(mask, 1, 0);
  const found = { ...padded, data: distances(padded) };
  return crop(found, { top: 1, left: 1, width: mask.width, height: mask.height }).data;
}

/** Return the stroke width, whatever the direction of the strokes, given what `depth` gives: four times its mean. */
export function penWidth(inside) {
  let sum = 0, area = 0;
  for (let i = 0; i < inside.length; i++) {
    sum += inside[i];
    if (inside[i]) area++;
  }
  return (4 * sum) / area;
}
