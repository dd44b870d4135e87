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
    const weights = Array.from({ length: last - first }, (_, k) => weight((first + k - center + 0.5) / stretch));
    const sum = weights.reduce((a, b) => a + b, 0);
    return [first, weights.map((w) => w / sum)];
  });
}

/** Resize as Pillow does: grey levels are rounded after the columns and after the rows. `end`: [right, bottom]. */
export function resize(image, width, height, filter, end = [image.width, image.height]) {
  const levels = image.data instanceof Uint8Array;
  const finish = levels ? (x) => Math.floor(x + 0.5) : (x) => x;
  const Kind = levels ? Uint8Array : Float32Array;
  const wide = new Kind(width * image.height);
  resampling(image.width, width, filter, end[0]).forEach(([first, weights], x) => {
    for (let y = 0; y < image.height; y++) {
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += weights[k] * image.data[y * image.width + first + k];
      wide[y * width + x] = finish(sum);
    }
  });
  const data = new Kind(width * height);
  resampling(image.height, height, filter, end[1]).forEach(([first, weights], y) => {
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += weights[k] * wide[(first + k) * width + x];
      data[y * width + x] = finish(sum);
    }
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
function separable({ data, width, height }, filter) {
  const result = new Float32Array(data.length);
  const pass = (source, count, length, step, stride) => {
    const from = new Float32Array(length), to = new Float32Array(length);
    for (let k = 0; k < count; k++) {
      for (let i = 0, at = k * step; i < length; i++, at += stride) from[i] = source[at];
      filter(from, to);
      for (let i = 0, at = k * step; i < length; i++, at += stride) result[at] = to[i];
    }
  };
  pass(data, width, height, 1, width);
  pass(result, height, width, width, 1);
  return { data: result, width, height };
}

/** Return the index at which a line of that length, mirrored at its ends, has its value `i`. */
function mirrored(i, length) {
  const k = ((i % (2 * length)) + 2 * length) % (2 * length);
  return k < length ? k : 2 * length - 1 - k;
}

/** Return a function that gives a line with that many values more on either side, where it is mirrored. */
function mirror(margin) {
  let wide = new Float32Array(0);
  return (from) => {
    if (wide.length !== from.length + 2 * margin) wide = new Float32Array(from.length + 2 * margin);
    wide.set(from, margin);
    for (let k = 1; k <= margin; k++) {
      wide[margin - k] = from[mirrored(-k, from.length)];
      wide[margin + from.length + k - 1] = from[mirrored(from.length + k - 1, from.length)];
    }
    return wide;
  };
}

/** scipy's gaussian_filter. */
export function gaussian(image, sigma) {
  const radius = Math.trunc(4 * sigma + 0.5);
  const weight = (distance) => Math.exp(-(distance ** 2) / (2 * sigma ** 2));
  const bell = Float64Array.from({ length: 2 * radius + 1 }, (_, k) => weight(k - radius));
  const sum = bell.reduce((a, b) => a + b);
  const extended = mirror(radius);
  return separable(image, (from, to) => {
    const wide = extended(from);
    for (let i = 0; i < to.length; i++) {
      let value = 0;
      for (let k = 0; k < bell.length; k++) value += bell[k] * wide[i + k];
      to[i] = value / sum;
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

/** Return the maximum over the pixels from `before` before to `after` after each, as far as there are any. */
function maximum(image, before, after) {
  const queue = new Int32Array(Math.max(image.width, image.height)); // positions of falling values in the window
  return separable(image, (from, to) => {
    let head = 0, tail = 0, next = 0;
    for (let i = 0; i < from.length; i++) {
      for (; next < from.length && next <= i + after; next++) {
        while (tail > head && from[queue[tail - 1]] <= from[next]) tail--;
        queue[tail++] = next;
      }
      if (queue[head] < i - before) head++;
      to[i] = from[queue[head]];
    }
  });
}

/** scipy's grey_closing by a square window, but for the half window along the border. */
export function closing(image, window) {
  const half = Math.floor(window / 2), rest = window - half - 1;
  const negative = ({ data, ...size }) => ({ data: data.map((value) => -value), ...size });
  return negative(maximum(negative(maximum(image, rest, half)), half, rest)); // the minimum is that of the negative
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
  return { data: result.map((value) => Math.min(value, most)), width: wide, height: tall };
}
