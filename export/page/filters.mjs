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

/** Return, for each of `size` output pixels, the first input pixel and the weights of it and its successors. */
function resampling(length, size, filter, end) {
  const [halfWidth, weight] = FILTERS[filter];
  const scale = end / size;
  const stretch = Math.max(scale, 1);
  return Array.from({ length: size }, (_, i) => {
    const center = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - halfWidth * stretch + 0.5));
    const last = Math.min(length, Math.trunc(center + halfWidth * stretch + 0.5));
    const weights = Float64Array.from({ length: last - first }, (_, k) => weight((first + k - center + 0.5) / stretch));
    const sum = weights.reduce((a, b) => a + b, 0);
    return { first, weights: weights.map((w) => w / sum) };
  });
}

/** Resize as Pillow does: grey levels are rounded after the columns and after the rows. `end`: [right, bottom]. */
export function resize(image, width, height, filter, end = [image.width, image.height]) {
  const half = image.data instanceof Uint8Array ? 0.5 : 0; // which a Uint8Array rounds down
  const wide = new image.data.constructor(width * image.height), data = new image.data.constructor(width * height);
  const columns = resampling(image.width, width, filter, end[0]);
  for (let y = 0; y < image.height; y++) {
    for (let x = 0; x < width; x++) {
      const { first, weights } = columns[x];
      const start = y * image.width + first;
      let sum = half;
      for (let k = 0; k < weights.length; k++) sum += weights[k] * image.data[start + k];
      wide[y * width + x] = sum;
    }
  }
  resampling(image.height, height, filter, end[1]).forEach(({ first, weights }, y) => {
    const sums = new Float64Array(width).fill(half);
    weights.forEach((weight, k) => {
      const start = (first + k) * width;
      for (let x = 0; x < width; x++) sums[x] += weight * wide[start + x];
    });
    data.set(sums, y * width);
  });
  return { data, width, height };
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

/** Apply `filter(from, to)`, both Float32Arrays, to every row and then to every column of an image. */
function separable(image, filter) {
  const filterRows = ({ data, width, height }) => {
    const transposed = new Float32Array(data.length), to = new Float32Array(width);
    for (let y = 0; y < height; y++) {
      filter(data.subarray(y * width, (y + 1) * width), to);
      for (let x = 0; x < width; x++) transposed[x * height + y] = to[x];
    }
    return { data: transposed, width: height, height: width };
  };
  return filterRows(filterRows(image));
}

/** Return the index at which a line of that length, mirrored at its ends, has its value `i`. */
function mirrored(i, length) {
  const k = ((i % (2 * length)) + 2 * length) % (2 * length);
  return k < length ? k : 2 * length - 1 - k;
}

/** Return a function that gives a line with that many values more on either side, where it is mirrored. */
function mirror(margin) {
  let places = [], wide = [];
  return (from) => {
    if (wide.length !== from.length + 2 * margin) {
      wide = new Float32Array(from.length + 2 * margin);
      places = Int32Array.from(wide, (_, i) => mirrored(i - margin, from.length));
    }
    wide.set(from, margin);
    for (let i = 0; i < margin; i++) wide[i] = from[places[i]];
    for (let i = margin + from.length; i < wide.length; i++) wide[i] = from[places[i]];
    return wide;
  };
}

/** scipy's gaussian_filter. */
export function gaussian(image, sigma) {
  const radius = Math.trunc(4 * sigma + 0.5);
  const bell = Float64Array.from({ length: radius + 1 }, (_, k) => Math.exp(-(k ** 2) / (2 * sigma ** 2)));
  const weights = bell.map((value) => value / (2 * bell.reduce((a, b) => a + b) - 1));
  const extended = mirror(radius);
  return separable(image, (from, to) => {
    const wide = extended(from);
    for (let i = 0; i < to.length; i++) {
      let sum = weights[0] * from[i];
      for (let k = 1; k <= radius; k++) sum += weights[k] * (wide[i + radius - k] + wide[i + radius + k]);
      to[i] = sum;
    }
  });
}

/** scipy's uniform_filter of an even size. */
export function uniform(image, size) {
  const extended = mirror(size / 2);
  return separable(image, (from, to) => {
    const wide = extended(from);
    let sum = 0;
    for (let k = 0; k < size; k++) sum += wide[k];
    for (let i = 0; i < to.length; i++) {
      to[i] = sum / size;
      sum += wide[i + size] - wide[i];
    }
  });
}

const STEPS = 2 ** 16; // of a grey level: as fine as Float32Array's are
const LEAST = -(2 ** 30);

/** Return the larger of two integers, without a branch that the processor would have to guess. */
const larger = (a, b) => a + ((b - a) & ~((b - a) >> 31));

/**
 * Return the maximum over pixels from `before` before to `after` after each, as far as there are any; with a sign of
 * -1 the minimum. A window ends one block of its size and begins the next, in which the maxima are known: van Herk, "A
 * fast algorithm for local minimum and maximum filters on rectangular and octagonal kernels", 1992.
 */
function extremum(image, before, after, sign) {
  const window = before + after + 1, unit = sign / STEPS;
  const longest = Math.max(image.width, image.height) + window - 1;
  const [values, begun, ending] = [0, 1, 2].map(() => new Int32Array(longest));
  return separable(image, (from, to) => {
    const length = to.length + window - 1;
    values.fill(LEAST, 0, length);
    for (let i = 0; i < to.length; i++) values[before + i] = from[i] / unit;
    for (let start = 0; start < length; start += window) {
      const end = Math.min(start + window, length);
      for (let i = start, found = LEAST; i < end; i++) begun[i] = found = larger(found, values[i]);
      for (let i = end - 1, found = LEAST; i >= start; i--) ending[i] = found = larger(found, values[i]);
    }
    for (let i = 0; i < to.length; i++) to[i] = unit * larger(ending[i], begun[i + window - 1]);
  });
}

/** scipy's grey_closing by a square window, but for the half window along the border. */
export function closing(image, window) {
  const half = Math.floor(window / 2), rest = window - half - 1;
  return extremum(extremum(image, rest, half, 1), half, rest, -1);
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
