// Measures of images and of their parts, as NumPy and scipy.ndimage give them. See filters.mjs for what an image is.

/** Return the k-th smallest of numbers, which are reordered such that none before it is larger: Hoare's quickselect. */
function select(numbers, k) {
  let left = 0, right = numbers.length - 1;
  while (left < right) {
    const pivot = numbers[(left + right) >> 1];
    let i = left, j = right;
    while (i <= j) {
      while (numbers[i] < pivot) i++;
      while (numbers[j] > pivot) j--;
      if (i <= j) {
        const number = numbers[i];
        numbers[i++] = numbers[j];
        numbers[j--] = number;
      }
    }
    if (k <= j) right = j;
    else if (k >= i) left = i;
    else break;
  }
  return numbers[k];
}

/** Return a quantile of numbers, interpolated linearly; 0.5 gives the median. */
export function quantile(numbers, fraction) {
  const copy = numbers.slice();
  const place = fraction * (copy.length - 1);
  const k = Math.floor(place);
  const low = select(copy, k);
  if (place === k) return low;
  let high = Infinity;
  for (let i = k + 1; i < copy.length; i++) high = Math.min(high, copy[i]);
  return low + (high - low) * (place - k);
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
 * Return the distance of each pixel of a mask to the nearest that is 0, in pixels; the mask must have one.
 * Meijster et al., "A general algorithm for computing distance transforms in linear time", 2000.
 */
export function distances({ data, width, height }) {
  const far = width + height, column = new Int32Array(data.length), result = new Float32Array(data.length);
  for (let x = 0; x < width; x++) {
    for (let y = 0, d = far; y < height; y++) {
      d = data[y * width + x] ? d + 1 : 0;
      column[y * width + x] = d;
    }
    for (let y = height - 1, d = far; y >= 0; y--) {
      d = data[y * width + x] ? d + 1 : 0;
      column[y * width + x] = Math.min(column[y * width + x], d, far);
    }
  }
  const place = new Int32Array(width), from = new Int32Array(width); // the parabolas that are lowest, and from where
  for (let y = 0; y < height; y++) {
    const row = y * width;
    const square = (i) => column[row + i] * column[row + i];
    let q = 0;
    place[0] = from[0] = 0;
    for (let u = 1; u < width; u++) {
      const value = (x, i) => (x - i) * (x - i) + square(i);
      while (q >= 0 && value(from[q], place[q]) > value(from[q], u)) q--;
      const i = q < 0 ? 0 : place[q];
      const crossing = q < 0 ? 0 : 1 + Math.floor((u * u - i * i + square(u) - square(i)) / (2 * (u - i)));
      if (crossing < width) {
        q++;
        place[q] = u;
        from[q] = crossing;
      }
    }
    for (let x = width - 1; x >= 0; x--) {
      const i = place[q];
      result[row + x] = Math.sqrt((x - i) * (x - i) + square(i));
      if (x === from[q]) q--;
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
