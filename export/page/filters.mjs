// What match_style.mjs needs of Pillow and scipy.ndimage, to the same results. An image is { data, width, height } with
// its pixels row by row: a Uint8Array of grey levels or of a mask, or a Float32Array of ink.

/** Round to the nearest integer, ties to the even one, as Python and NumPy do. */
export function round(x) {
  const below = Math.floor(x);
  const rest = x - below;
  return rest < 0.5 || (rest === 0.5 && below % 2 === 0) ? below : below + 1;
}

/** Pillow's filters: [half the width, weight at a distance]. */
const FILTERS = {
  box: [0.5, (x) => (x > -0.5 && x <= 0.5 ? 1 : 0)],
  bilinear: [1, (x) => Math.max(0, 1 - Math.abs(x))],
};

/** Return of each of `size` output pixels the first input pixel, how many count, and their weights, `most` for each. */
function resampling(length, size, filter, end) {
  const [halfWidth, weight] = FILTERS[filter];
  const scale = end / size;
  const stretch = Math.max(scale, 1);
  const most = Math.ceil(2 * halfWidth * stretch) + 1;
  const first = new Int32Array(size), count = new Int32Array(size), weights = new Float64Array(size * most);
  for (let i = 0; i < size; i++) {
    const center = (i + 0.5) * scale;
    first[i] = Math.max(0, Math.trunc(center - halfWidth * stretch + 0.5));
    count[i] = Math.min(length, Math.trunc(center + halfWidth * stretch + 0.5)) - first[i];
    let sum = 0;
    for (let k = 0; k < count[i]; k++) sum += weights[i * most + k] = weight((first[i] + k - center + 0.5) / stretch);
    for (let k = 0; k < count[i]; k++) weights[i * most + k] /= sum;
  }
  return { first, count, weights, most };
}

/** Resize as Pillow does: grey levels are rounded after the columns and after the rows. `end`: [right, bottom]. */
export function resize({ data, width, height }, wide, tall, filter, end = [width, height]) {
  const half = data instanceof Uint8Array ? 0.5 : 0; // which a Uint8Array rounds down
  const widened = new data.constructor(wide * height), result = new data.constructor(wide * tall);
  const { first, count, weights, most } = resampling(width, wide, filter, end[0]);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < wide; x++) {
      const start = y * width + first[x];
      let sum = half;
      for (let k = 0; k < count[x]; k++) sum += weights[x * most + k] * data[start + k];
      widened[y * wide + x] = sum;
    }
  }
  const rows = resampling(height, tall, filter, end[1]), sums = new Float64Array(wide);
  for (let y = 0; y < tall; y++) {
    sums.fill(half);
    for (let k = 0; k < rows.count[y]; k++) {
      const weight = rows.weights[y * rows.most + k], start = (rows.first[y] + k) * wide;
      for (let x = 0; x < wide; x++) sums[x] += weight * widened[start + x];
    }
    result.set(sums, y * wide);
  }
  return { data: result, width: wide, height: tall };
}

/** Return the mean grey level of each cell of `across` × `down` pixels; the last ones may be smaller. */
function reduce(image, across, down) {
  const width = Math.ceil(image.width / across), height = Math.ceil(image.height / down);
  const data = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const right = Math.min((x + 1) * across, image.width), bottom = Math.min((y + 1) * down, image.height);
      let sum = 0;
      for (let v = y * down; v < bottom; v++) {
        for (let u = x * across; u < right; u++) sum += image.data[v * image.width + u];
      }
      data[y * width + x] = Math.floor(sum / ((right - x * across) * (bottom - y * down)) + 0.5);
    }
  }
  return { data, width, height };
}

/** Return a picture whose longer side has at most `largest` pixels: Pillow's thumbnail with its box filter. */
export function thumbnail(image, largest) {
  const { width: w, height: h } = image;
  if (w <= largest && h <= largest) return image;
  const nearest = (number, distance) => {
    const [low, high] = [Math.floor(number), Math.ceil(number)];
    return Math.max(1, distance(low) <= distance(high) ? low : high);
  };
  let [width, height] = [largest, largest];
  if (w / h <= 1) width = nearest((largest * w) / h, (n) => Math.abs(w / h - n / largest));
  else height = nearest((largest * h) / w, (n) => (n ? Math.abs(w / h - largest / n) : 0));
  const across = Math.trunc(w / width / 2) || 1, down = Math.trunc(h / height / 2) || 1;
  const smaller = across > 1 || down > 1 ? reduce(image, across, down) : image;
  return resize(smaller, width, height, "box", [w / across, h / down]);
}

/** Return the indices of a line with that many before and after it, where it is mirrored. */
function mirrored(length, margin) {
  return Int32Array.from({ length: length + 2 * margin }, (_, i) => {
    const k = (((i - margin) % (2 * length)) + 2 * length) % (2 * length);
    return k < length ? k : 2 * length - 1 - k;
  });
}

/** Return the box around the pixels that differ from a value: { top, bottom, left, right }, bottom and right beyond. */
export function box({ data, width, height }, value = 0) {
  let top = height, bottom = 0, left = width, right = 0;
  for (let y = 0; y < height; y++) {
    const start = y * width;
    let first = 0, last = width - 1;
    while (first < width && data[start + first] === value) first++;
    if (first === width) continue;
    while (data[start + last] === value) last--;
    top = Math.min(top, y);
    bottom = y + 1;
    left = Math.min(left, first);
    right = Math.max(right, last + 1);
  }
  return { top, bottom, left, right };
}

/** scipy's gaussian_filter of grey levels, where sigma is at most 0.87: no more than 3 pixels on either side count. */
export function gaussian(image, sigma) {
  const { data, width, height } = image, even = data[0], { top, bottom, left, right } = box(image, even);
  const bell = [0, 1, 2, 3].map((k) => (k <= Math.trunc(4 * sigma + 0.5) ? Math.exp(-(k ** 2) / (2 * sigma ** 2)) : 0));
  const [a, b, c, d] = bell.map((value) => value / (2 * bell.reduce((a, b) => a + b) - 1));
  const rows = mirrored(height, 3).map((y) => y * width), columns = mirrored(width, 3);
  const result = new Float32Array(data.length).fill(even), line = new Float32Array(width + 6).fill(even);
  for (let y = Math.max(0, top - 3); y < Math.min(height, bottom + 3); y++) {
    const u3 = rows[y], u2 = rows[y + 1], u1 = rows[y + 2], i = rows[y + 3];
    const v1 = rows[y + 4], v2 = rows[y + 5], v3 = rows[y + 6];
    for (let x = left; x < right; x++) {
      const two = data[u2 + x] + data[v2 + x], three = data[u3 + x] + data[v3 + x];
      line[3 + x] = a * data[i + x] + b * (data[u1 + x] + data[v1 + x]) + c * two + d * three;
    }
    for (let k = 0; k < 3; k++) {
      line[k] = line[3 + columns[k]];
      line[width + 3 + k] = line[3 + columns[width + 3 + k]];
    }
    const start = Math.max(0, left - 3), end = Math.min(width, right + 3);
    for (let x = start; x < end; x++) {
      const two = line[x + 1] + line[x + 5], three = line[x] + line[x + 6];
      result[i + x] = a * line[x + 3] + b * (line[x + 2] + line[x + 4]) + c * two + d * three;
    }
  }
  return { data: result, width, height };
}

/** Return the sum of the cubes of the differences from scipy's uniform_filter of that even size. */
export function skew({ data, width, height }, size) {
  const half = size / 2, area = size * size;
  const rows = mirrored(height, half), columns = mirrored(width, half);
  const inColumn = new Float64Array(width), wide = new Float64Array(columns.length);
  let cubes = 0;
  for (let y = 1 - size; y < height; y++) { // from where the square around a row begins to reach into the image
    const entering = rows[y + size - 1] * width, leaving = y > 0 ? rows[y - 1] * width : -1;
    for (let x = 0; x < width; x++) inColumn[x] += data[entering + x] - (leaving < 0 ? 0 : data[leaving + x]);
    if (y < 0) continue;
    for (let i = 0; i < wide.length; i++) wide[i] = inColumn[columns[i]];
    let sum = 0;
    for (let k = 0; k < size; k++) sum += wide[k];
    for (let x = 0; x < width; x++) {
      const difference = data[y * width + x] - sum / area;
      cubes += difference * difference * difference;
      sum += wide[x + size] - wide[x];
    }
  }
  return cubes;
}

/**
 * Return the maximum of every `window` successive pixels of a row, times a sign; the rows become columns. A window ends
 * one block of its size, and begins the next: van Herk, "A fast algorithm for local minimum and maximum filters on
 * rectangular and octagonal kernels", 1992.
 */
function maxima({ data, width, height }, window, sign) {
  const size = width - window + 1;
  const result = new Float32Array(size * height), ending = new Float32Array(window);
  for (let y = 0; y < height; y++) {
    for (let start = 0; start < size; start += window) {
      const first = y * width + start, count = Math.min(window, size - start);
      for (let i = window - 1, found = -Infinity; i >= 0; i--) ending[i] = found = Math.max(found, data[first + i]);
      result[start * height + y] = sign * ending[0];
      for (let i = 1, found = -Infinity; i < count; i++) {
        found = Math.max(found, data[first + window + i - 1]);
        result[(start + i) * height + y] = sign * Math.max(found, ending[i]);
      }
    }
  }
  return { data: result, width: height, height: size };
}

/** scipy's grey_closing by a square window of an image with a margin, of window - 1 pixels, which is cut off. */
export function closing(image, window) {
  const dilated = maxima(maxima(image, window, 1), window, -1); // negative, so that a maximum is the minimum
  return maxima(maxima(dilated, window, 1), window, -1);
}

/** Return whether every square of that many pixels has a value, wherever it lies on an image. */
export function isEverywhere({ data, width, height }, value, window) {
  const cell = Math.ceil(window / 2); // a square contains one
  for (let top = 0; top + cell <= height; top += cell) {
    for (let left = 0; left + cell <= width; left += cell) {
      let found = false;
      for (let y = top; y < top + cell && !found; y++) {
        const start = y * width + left;
        found = data.subarray(start, start + cell).includes(value);
      }
      if (!found) return false;
    }
  }
  return true;
}

/** Return a part of an image. */
export function crop(image, { top, left, width, height }) {
  const data = new image.data.constructor(width * height);
  for (let y = 0; y < height; y++) {
    const start = (top + y) * image.width + left;
    data.set(image.data.subarray(start, start + width), y * width);
  }
  return { data, width, height };
}

/** Return an image with a margin of one value. */
export function pad({ data, width, height }, margin, value) {
  const wide = width + 2 * margin, tall = height + 2 * margin;
  const result = new data.constructor(wide * tall).fill(value);
  for (let y = 0; y < height; y++) {
    result.set(data.subarray(y * width, (y + 1) * width), (y + margin) * wide + margin);
  }
  return { data: result, width: wide, height: tall };
}

/** NumPy's pad of mode reflect and type odd, up to `most`: beyond its border an image goes on as it does towards it. */
export function padOdd(image, margin, most) {
  const { data: result, width: wide, height: tall } = pad(image, margin, 0);
  const { data, width, height } = image;
  for (let y = 0; y < tall; y++) {
    const row = y - margin;
    const edge = Math.min(Math.max(row, 0), height - 1);
    for (let x = 0; x < width && row !== edge; x++) {
      result[y * wide + margin + x] = 2 * data[edge * width + x] - data[(2 * edge - row) * width + x];
    }
    const first = y * wide + margin, last = first + width - 1;
    for (let k = 1; k <= margin; k++) {
      result[first - k] = 2 * result[first] - result[first + k];
      result[last + k] = 2 * result[last] - result[last - k];
    }
  }
  for (let i = 0; i < result.length; i++) result[i] = Math.min(result[i], most);
  return { data: result, width: wide, height: tall };
}
