// Measures of images and of their parts, as NumPy and scipy.ndimage give them. See filters.mjs for what an image is.

import { crop, pad } from "./filters.mjs";

const BINS = 1024;

/** Return a quantile of numbers, a Float32Array, interpolated linearly; 0.5 gives the median. */
export const quantile = (numbers, fraction) => ranked(numbers, fraction * (numbers.length - 1));

/** Return the number at a place in their order, from 0; between two of them, interpolated linearly. */
export function ranked(numbers, place) {
  const k = Math.floor(place), [low, high] = select(numbers, k, Math.ceil(place));
  return low + (high - low) * (place - k);
}

/** Return the k-th and the next-th smallest of numbers, `next` being k or k + 1, by a histogram. */
function select(numbers, k, next) {
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
  if (next < lows) return [low, low]; // as in drawings, which are blank for the most part
  if (k >= numbers.length - highs) return [high, high];
  const scale = BINS / (high - low), counts = new Int32Array(BINS + 1);
  for (let i = 0; i < numbers.length; i++) counts[((numbers[i] - low) * scale) | 0]++;
  let bin = 0, before = 0;
  while (k >= before + counts[bin]) before += counts[bin++];
  if (next >= before + counts[bin]) return [select(numbers, k, k)[0], select(numbers, next, next)[0]];
  const inside = new Float32Array(counts[bin]);
  for (let i = 0, n = 0; i < numbers.length; i++) {
    if ((((numbers[i] - low) * scale) | 0) === bin) inside[n++] = numbers[i];
  }
  return select(inside, k - before, next - before);
}

/** Label the connected parts over a limit, also those that touch at a corner: { labels (0: none), sizes }. */
export function label({ data, width, height }, limit) {
  const labels = new Int32Array(data.length), sizes = [0], stack = [];
  for (let start = 0; start < data.length; start++) {
    if (!(data[start] > limit) || labels[start]) continue;
    const part = sizes.length;
    sizes.push(1);
    labels[start] = part;
    stack.push(start);
    while (stack.length) {
      const place = stack.pop(), y = Math.floor(place / width), x = place - y * width;
      for (let v = Math.max(y - 1, 0); v <= Math.min(y + 1, height - 1); v++) {
        for (let u = Math.max(x - 1, 0); u <= Math.min(x + 1, width - 1); u++) {
          const other = v * width + u;
          if (!(data[other] > limit) || labels[other]) continue;
          labels[other] = part;
          sizes[part]++;
          stack.push(other);
        }
      }
    }
  }
  return { labels, sizes };
}

/**
 * Return the distance of each pixel of a mask to the nearest that is 0, in pixels. Distances of `most` and more are not
 * computed: such pixels get any number that is not below `most`.
 */
export function distances({ data, width, height }, most = Infinity) {
  const far = Math.min(width + height, Math.ceil(most));
  const column = new Int32Array(data.length), result = new Float32Array(data.length); // the distance within a column
  for (let i = 0; i < data.length; i++) if (data[i]) column[i] = i < width ? far : Math.min(column[i - width] + 1, far);
  for (let i = data.length - width - 1; i >= 0; i--) {
    if (column[i] > 1) column[i] = Math.min(column[i], column[i + width] + 1);
  }
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
