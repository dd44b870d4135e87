// imaging/photo.py in JavaScript: the same image from the same picture, held to it by tests/export/test_match_style.py.

import { closing, crop, gaussian, pad, padOdd, resize, round, thumbnail, uniform } from "./filters.mjs";
import { box, distances, label, quantile } from "./measures.mjs";

const LARGEST = 400; // these are explained in imaging/photo.py
const FINE = 8;
const EVEN = 8;
const FAINT = 0.08;
const NOISE = 9;
const MOST_PARTS = 100;

/** No character stands out from the paper. */
export class NoCharacter extends Error {}

/** Return what canvas pixels RGBA look like in grey on white paper, with Pillow's weights of the colours. */
export function toGrey({ data, width, height }) {
  const grey = new Uint8Array(width * height);
  for (let i = 0; i < grey.length; i++) {
    const level = (19595 * data[4 * i] + 38470 * data[4 * i + 1] + 7471 * data[4 * i + 2] + 0x8000) >> 16;
    grey[i] = Math.round(255 + ((level - 255) * data[4 * i + 3]) / 255);
  }
  return { data: grey, width, height };
}

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
  const small = thumbnail(picture, LARGEST);
  const { width, height } = small;
  const grey = gaussian({ ...small, data: Float32Array.from(small.data) }, 1e-3 + 0.002 * Math.max(width, height));
  let window = Math.max(3, Math.floor(Math.max(width, height) / 5));
  const mean = uniform(grey, 2 * window).data;
  let skew = 0;
  grey.data.forEach((level, i) => (skew += (level - mean[i]) * (level - mean[i]) * (level - mean[i])));
  if (skew > 0) grey.data = grey.data.map((level) => 255 - level);
  window = Math.max(1, Math.min(window, Math.min(width, height) - 1));
  const lightest = grey.data.reduce((a, b) => Math.max(a, b));
  const around = photo ? padOdd(grey, window, lightest) : pad(grey, window, quantile(grey.data, 0.9));
  const paper = crop(closing(around, window), { top: window, left: window, width, height });
  const isBlack = paper.data.every((level) => level <= 1);
  const data = grey.data.map((level, i) => (isBlack ? 0 : Math.max(1 - level / Math.max(paper.data[i], 1), 0)));
  return { data, width, height };
}

/** Return the ink of the character alone, 0 to 1, over 0.5 within its strokes. */
function character(ink, photo) {
  const { data, width, height } = ink;
  const steps = data.subarray(width).map((value, i) => Math.abs(value - data[i]));
  const grain = steps.length ? 1.05 * quantile(steps, 0.5) : 0;
  const inked = grain ? data : data.filter((value) => value > FAINT);
  const strongest = inked.length ? quantile(inked, grain ? 0.998 : 0.99) : 0;
  const ground = strongest > 0 ? quantile(data.filter((value) => value <= strongest / 2), 0.5) : 0;
  const { labels, count } = label(over(ink, strongest / 2));
  if (strongest - ground < Math.max(FAINT, NOISE * grain) || count > MOST_PARTS) throw new NoCharacter();
  const parts = { labels, count, width, height, sizes: new Float64Array(count + 1) };
  for (const part of labels) parts.sizes[part]++;
  parts.sizes[0] = 0;
  const strange = strangers(parts, photo);
  if (strange.includes(true)) {
    return character({ ...ink, data: data.map((value, i) => (strange[labels[i]] ? 0 : value)) }, photo);
  }
  const least = 0.004 * parts.sizes.reduce((a, b) => a + b);
  const scaled = data.map((value, i) => {
    const kept = !labels[i] || parts.sizes[labels[i]] > least;
    return kept ? Math.min(Math.max((value - ground) / (strongest - ground), 0), 1) : 0;
  });
  return { data: scaled, width, height };
}

/** Return which parts, by label, reach in from the edge and do not belong to the character. */
function strangers({ labels, count, width, height, sizes }, photo) {
  const none = new Array(count + 1).fill(false);
  const atEdge = none.slice();
  for (let x = 0; x < width; x++) atEdge[labels[x]] = atEdge[labels[(height - 1) * width + x]] = true;
  for (let y = 0; y < height; y++) atEdge[labels[y * width]] = atEdge[labels[(y + 1) * width - 1]] = true;
  atEdge[0] = false;
  const largest = Math.max(...sizes);
  const inner = none.map((_, part) => part > 0 && !atEdge[part] && sizes[part] > 0.05 * largest);
  if (!inner.includes(true) || !atEdge.includes(true)) return none;
  const numbers = [...inner.keys()].filter((part) => inner[part]);
  const innerSize = numbers.reduce((sum, part) => sum + sizes[part], 0);
  const image = (keep) => ({ data: Uint8Array.from(labels, (part) => (keep(part) ? 1 : 0)), width, height });
  const thick = new Float64Array(count + 1); // a quarter of the stroke width
  depth(image((part) => part > 0)).forEach((distance, i) => (thick[labels[i]] += distance / sizes[labels[i]]));
  const widths = Float64Array.from(numbers, (part) => thick[part]);
  const [widest, middle] = [Math.max(...widths), quantile(widths, 0.5)];
  const strange = none.map((_, part) => {
    const thin = sizes[part] < 0.06 * innerSize && thick[part] < middle / 2;
    return atEdge[part] && (thick[part] > 2 * widest || thin);
  });
  if (!photo) return strange;
  const away = new Float64Array(count + 1).fill(Infinity);
  distances(image((part) => !inner[part])).forEach((distance, i) => {
    away[labels[i]] = Math.min(away[labels[i]], distance);
  });
  const whole = box(image((part) => inner[part]));
  const extent = Math.max(whole.bottom - whole.top, whole.right - whole.left) - 1;
  const far = none.map((_, part) => atEdge[part] && away[part] > 0.2 * extent && sizes[part] < innerSize);
  const rest = box(image((part) => part > 0 && !far[part] && !strange[part]));
  const margin = Math.min(rest.top, rest.left, height - rest.bottom, width - rest.right);
  return none.map((_, part) => strange[part] || (far[part] && margin > 0.02 * Math.max(width, height)));
}

/** Bring ink to the style's size and place, on a canvas FINE times finer; `window` is the part that is the image. */
function placed(ink, style, shape) {
  const { top, bottom, left, right } = box(over(ink, 0.5));
  const cut = crop(ink, { top, left, width: right - left, height: bottom - top });
  const [height, width] = shape.map((side) => FINE * side);
  const pen = Math.min(penWidth(over(cut, 0.5)), Math.max(cut.width, cut.height) / 2);
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
    const start = (window.top + y) * fine.width + window.left;
    for (let x = 0; x < window.width; x++) {
      data[Math.floor(y / FINE) * width + Math.floor(x / FINE)] += fine.data[start + x];
    }
  }
  return { data: data.map((sum) => (sum / (FINE * FINE)) * contrast), width, height };
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

/** Twice the area divided by the outline. */
function strokeWidth({ data, width, height }) {
  const at = (y, x) => (y >= 0 && y < height && x >= 0 && x < width ? data[y * width + x] : 0);
  let area = 0, outline = 0;
  for (let y = 0; y <= height; y++) {
    for (let x = 0; x <= width; x++) {
      const here = at(y, x);
      area += here;
      outline += (here ^ at(y - 1, x)) + (here ^ at(y, x - 1));
    }
  }
  return (2 * area) / outline;
}

/** The distance of each pixel of a mask to the outside, which begins at the border of the image. */
function depth(mask) {
  const padded = pad(mask, 1, 0);
  const found = { ...padded, data: distances(padded) };
  return crop(found, { top: 1, left: 1, width: mask.width, height: mask.height }).data;
}

/** Four times the mean distance to the outside. */
function penWidth(mask) {
  const inside = depth(mask).filter((distance) => distance > 0);
  return (4 * inside.reduce((a, b) => a + b, 0)) / inside.length;
}

function withStrokeWidth(mask, target) {
  const inside = distances(mask);
  const outside = distances({ ...mask, data: mask.data.map((value) => 1 - value) });
  const pen = penWidth(mask);
  const change = Math.min((pen / 2) * (1 - target / strokeWidth(mask)), (0.8 * pen) / 2);
  return { ...mask, data: mask.data.map((_, i) => (inside[i] - outside[i] > change ? 1 : 0)) };
}
