// imaging/photo.py in JavaScript: the same image from the same picture, held to it by tests/export/test_match_style.py.

import { box, closing, crop, gaussian, isEverywhere, pad, padOdd, resize, round, skew, thumbnail } from "./filters.mjs";
import { depth, distances, label, penWidth, quantile, ranked, strokeWidth } from "./measures.mjs";

const LARGEST = 400; // these are explained in imaging/photo.py
const FINE = 8;
const EVEN = 8;
const FAINT = 0.08;
const NOISE = 9;
const MOST_PARTS = 100;

/** No character stands out from the paper. */
export class NoCharacter extends Error {}

/**
 * Return the character of a picture as an image like the training images.
 * @param picture grey levels { data: Uint8Array, width, height }.
 * @param style what `measure_style` gives.
 * @param shape [H, W] of the training images.
 * @throws NoCharacter
 */
export function matchStyle(picture, style, shape) {
  const photo = isUneven(picture);
  const { fine, window } = placed(character(inkOf(picture, photo), photo), style, shape);
  let image = reduced(fine, window, style.contrast ?? 1);
  if (!areUsual(image, style)) {
    const drawn = withStrokeWidth(over(fine, 0.5), style.stroke * FINE * Math.min(...shape));
    image = reduced(drawn, window, style.contrast ?? 1);
  }
  const data = Uint8Array.from(image.data, (grey) => round(255 * (style.dark ? 1 - grey : grey)));
  return { data, width: shape[1], height: shape[0] };
}

const over = ({ data, width, height }, limit) => {
  const mask = new Uint8Array(data.length);
  for (let i = 0; i < mask.length; i++) mask[i] = data[i] > limit ? 1 : 0;
  return { data: mask, width, height };
};

function isUneven({ data, width, height }) {
  const edge = [];
  for (let x = 0; x < width; x++) edge.push(data[x], data[(height - 1) * width + x]);
  for (let y = 0; y < height; y++) edge.push(data[y * width], data[(y + 1) * width - 1]);
  const middle = quantile(Float32Array.from(edge), 0.5);
  return edge.filter((level) => Math.abs(level - middle) <= EVEN).length / edge.length < 0.6;
}

/** Return by what fraction of the paper's brightness each pixel is darker or lighter, ink only. */
function inkOf(picture, photo) {
  const small = thumbnail(picture, LARGEST), { width, height } = small;
  const grey = gaussian(small, 1e-3 + 0.002 * Math.max(width, height)), { data } = grey;
  let window = Math.max(3, Math.floor(Math.max(width, height) / 5));
  if (skew(grey, 2 * window) > 0) for (let i = 0; i < data.length; i++) data[i] = 255 - data[i];
  window = Math.max(1, Math.min(window, Math.min(width, height) - 1));
  const lightest = largest(data), paper = paperOf(grey, window, photo, lightest);
  for (let i = 0; i < data.length; i++) {
    const level = Math.max(paper[i], 1);
    data[i] = lightest > 1 && data[i] < level ? 1 - data[i] / level : 0;
  }
  return grey;
}

/** Return how bright the paper is at each pixel of a grey image, also behind strokes. */
function paperOf(grey, window, photo, lightest) {
  const edge = photo ? 0 : quantile(grey.data, 0.9);
  if (!photo && edge === lightest && isEverywhere(grey, lightest, window)) { // as it is in most drawings
    return new Float32Array(grey.data.length).fill(lightest);
  }
  return closing(photo ? padOdd(grey, window - 1, lightest) : pad(grey, window - 1, edge), window).data;
}

/** Return the largest of numbers. */
function largest(numbers) {
  let found = -Infinity;
  for (let i = 0; i < numbers.length; i++) found = Math.max(found, numbers[i]);
  return found;
}

/** Leave only the ink of the character, 0 to 1, over 0.5 within its strokes. */
function character(ink, photo) {
  const { data, width, height } = ink;
  const steps = new Float32Array(data.length - width);
  for (let i = 0; i < steps.length; i++) steps[i] = Math.abs(data[width + i] - data[i]);
  const grain = steps.length ? 1.05 * quantile(steps, 0.5) : 0;
  const inked = grain ? data : above(data, FAINT);
  const strongest = inked.length ? quantile(inked, grain ? 0.998 : 0.99) : 0;
  const parts = { ...label(ink, strongest / 2), width, height }, { labels, sizes } = parts;
  const total = sizes.reduce((a, b) => a + b);
  const ground = strongest > 0 ? ranked(data, (data.length - total - 1) / 2) : 0; // the median of what is no part
  if (strongest - ground < Math.max(FAINT, NOISE * grain) || sizes.length - 1 > MOST_PARTS) throw new NoCharacter();
  const strange = strangers(parts, photo);
  if (strange.includes(true)) {
    for (let i = 0; i < data.length; i++) if (strange[labels[i]]) data[i] = 0;
    return character(ink, photo); // what remains may be weaker
  }
  for (let i = 0; i < data.length; i++) {
    const isKept = data[i] > ground && (!labels[i] || sizes[labels[i]] > 0.004 * total);
    data[i] = isKept ? Math.min((data[i] - ground) / (strongest - ground), 1) : 0;
  }
  return ink;
}

/** Return those numbers that are larger than a limit. */
function above(numbers, limit) {
  const found = new Float32Array(numbers.length);
  let n = 0;
  for (let i = 0; i < numbers.length; i++) if (numbers[i] > limit) found[n++] = numbers[i];
  return found.subarray(0, n);
}

/** Return which parts, by label, reach in from the edge and do not belong to the character. */
function strangers({ labels, sizes, width, height }, photo) {
  const none = sizes.map(() => false);
  const atEdge = none.slice();
  for (let x = 0; x < width; x++) atEdge[labels[x]] = atEdge[labels[(height - 1) * width + x]] = true;
  for (let y = 0; y < height; y++) atEdge[labels[y * width]] = atEdge[labels[(y + 1) * width - 1]] = true;
  atEdge[0] = false;
  const largest = Math.max(...sizes);
  const inner = none.map((_, part) => part > 0 && !atEdge[part] && sizes[part] > 0.05 * largest);
  if (!inner.includes(true) || !atEdge.includes(true)) return none;
  const numbers = [...inner.keys()].filter((part) => inner[part]);
  const innerSize = numbers.reduce((sum, part) => sum + sizes[part], 0);
  const image = (keep) => {
    const kept = none.map((_, part) => keep(part)), data = new Uint8Array(labels.length);
    for (let i = 0; i < data.length; i++) data[i] = kept[labels[i]] ? 1 : 0;
    return { data, width, height };
  };
  const thick = sizes.map(() => 0); // a quarter of the stroke width
  const inside = depth(image((part) => part > 0));
  for (let i = 0; i < labels.length; i++) if (labels[i]) thick[labels[i]] += inside[i] / sizes[labels[i]];
  const widths = Float32Array.from(numbers, (part) => thick[part]);
  const [widest, middle] = [Math.max(...widths), quantile(widths, 0.5)];
  const strange = none.map((_, part) => {
    const thin = sizes[part] < 0.06 * innerSize && thick[part] < middle / 2;
    return atEdge[part] && (thick[part] > 2 * widest || thin);
  });
  if (!photo) return strange;
  const whole = box(image((part) => inner[part]));
  const near = 0.2 * (Math.max(whole.bottom - whole.top, whole.right - whole.left) - 1);
  const away = sizes.map(() => Infinity), outside = distances(image((part) => !inner[part]), near + 1);
  for (let i = 0; i < labels.length; i++) away[labels[i]] = Math.min(away[labels[i]], outside[i]);
  const far = none.map((_, part) => atEdge[part] && away[part] > near && sizes[part] < innerSize);
  const rest = box(image((part) => part > 0 && !far[part] && !strange[part]));
  const margin = Math.min(rest.top, rest.left, height - rest.bottom, width - rest.right);
  return none.map((_, part) => strange[part] || (far[part] && margin > 0.02 * Math.max(width, height)));
}

/** Bring ink to the style's size and place, on a canvas FINE times finer; `window` is the part that is the image. */
function placed(ink, style, shape) {
  const mask = over(ink, 0.5), { top, bottom, left, right } = box(mask);
  const part = { top, left, width: right - left, height: bottom - top }, cut = crop(ink, part);
  const [height, width] = shape.map((side) => FINE * side);
  const pen = Math.min(penWidth(depth(crop(mask, part))), Math.max(cut.width, cut.height) / 2);
  const scale = (style.side - style.stroke) / Math.max((cut.height - pen) / height, (cut.width - pen) / width);
  const [tall, wide] = [cut.height, cut.width].map((side) => Math.max(1, round(side * scale)));
  const small = resize(cut, wide, tall, "bilinear");
  const row = round(style.row * height) - Math.floor(tall / 2);
  const column = round(style.column * width) - Math.floor(wide / 2);
  const up = Math.max(0, -row) + 1, before = Math.max(0, -column) + 1; // room for what exceeds the edge
  const fine = {
    width: before + Math.max(width, column + wide) + 1,
    height: up + Math.max(height, row + tall) + 1,
  };
  fine.data = new Float32Array(fine.width * fine.height);
  for (let y = 0; y < tall; y++) {
    fine.data.set(small.data.subarray(y * wide, (y + 1) * wide), (up + row + y) * fine.width + before + column);
  }
  return { fine, window: { top: up, left: before, width, height } };
}

/** Return the window of a canvas as an image of ink, 0 to `contrast`. */
function reduced(fine, window, contrast) {
  const width = window.width / FINE, height = window.height / FINE;
  const data = new Float32Array(width * height);
  for (let y = 0; y < window.height; y++) {
    const row = Math.floor(y / FINE) * width;
    let place = (window.top + y) * fine.width + window.left;
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (const end = place + FINE; place < end; place++) sum += fine.data[place];
      data[row + x] += sum;
    }
  }
  for (let i = 0; i < data.length; i++) data[i] *= contrast / (FINE * FINE);
  return { data, width, height };
}

function areUsual(image, style) {
  const strongest = Math.max(...image.data);
  if (style.thickest === undefined || !strongest) return false;
  const mask = over(image, strongest / 2);
  const inside = image.data.filter((_, i) => mask.data[i]);
  const strength = inside.reduce((a, b) => a + b, 0) / inside.length;
  const width = strokeWidth(mask) / Math.min(image.width, image.height);
  return width <= style.thickest && style.faintest <= strength && strength <= style.darkest;
}

/** Return a mask, with a margin, whose strokes are thinned or thickened. */
function withStrokeWidth(mask, target) {
  const inside = distances(mask), pen = penWidth(inside);
  const change = Math.min((pen / 2) * (1 - target / strokeWidth(mask)), (0.8 * pen) / 2);
  const data = new Uint8Array(inside.length);
  if (change < 0) {
    for (let i = 0; i < data.length; i++) data[i] = 1 - mask.data[i];
    const outside = distances({ ...mask, data }, 1 - change);
    for (let i = 0; i < data.length; i++) data[i] = outside[i] < -change ? 1 : 0;
  } else {
    for (let i = 0; i < data.length; i++) data[i] = inside[i] > change ? 1 : 0;
  }
  return { ...mask, data };
}
