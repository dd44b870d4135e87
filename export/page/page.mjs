// The page: draw a character, or give a picture of one, and see the five most probable classes after every stroke.

import { draw, greyLevels, SIDE } from "./drawing.mjs";
import { matchStyle, NoCharacter } from "./match_style.mjs";

const SHOWN = 5; // classes
const LISTED = 200; // classes, at most, before there is an answer
const TRIAL = [[[130, 60], [130, 220], [140, 220]]]; // strokes, drawn before there are others
const HINT = "Draw a character, or drop, paste or choose a picture of one.";
const FAINT = "No character stands out from the paper: take the picture from closer, or in better light.";
const SERVED = "A browser reads this page from a server only: run `python -m http.server` in its folder, and open"
  + " localhost:8000 here.";

const element = (id) => document.getElementById(id);
const pad = element("pad"), message = element("message");
let strokes = []; // lists of points [x, y], in pixels of a drawing
let picture = null; // an image that is shown instead
let latest = 0; // the number of the newest question: answers to older ones are dropped

const loading = load();
loading.then(() => answer(), ({ message: reason }) => {
  message.textContent = location.protocol === "file:" ? SERVED : `The model cannot be loaded: ${reason}`;
});

/** Return a function that gives the probability of each class, of an image in the style of the training images. */
async function loadModel(shape) {
  const { env, InferenceSession, Tensor } = await import("./ort/ort.wasm.bundle.min.mjs");
  env.wasm.numThreads = 1; // more would need a server that isolates the page, and save little
  env.wasm.wasmPaths = { wasm: new URL("ort/ort-wasm-simd-threaded.wasm", import.meta.url).href };
  const session = await InferenceSession.create("model.onnx");
  return async ({ data }) => {
    const images = new Tensor("uint8", data, [1, ...shape]);
    return (await session.run({ images })).probabilities.data;
  };
}

async function load() {
  const model = JSON.parse(element("model").textContent);
  const loadingModel = loadModel(model.shape);
  element("title").textContent = document.title = model.title;
  element("about").textContent = model.accuracy;
  element("known").textContent = `It reads ${known(model.classes)}.`;
  const examples = new Image();
  if (model.examples) examples.src = model.examples.image;
  await new Promise((resolve) => setTimeout(resolve)); // the page is painted first, and the wasm fetched and compiled
  const image = matchStyle(greyLevels(TRIAL), model.style, model.shape);
  const predict = await loadingModel;
  await Promise.all([model.examples ? examples.decode() : null, predict(image)]);
  performance.mark("ready"); // these times are read by tests/browser_page.py
  warmUp(model);
  return { predict, model, examples };
}

/** Return the names of classes, each isolated, as some may be written from right to left. */
function known(classes) {
  const names = classes.slice(0, LISTED).map((name) => `\u2068${name}\u2069`).join(", ");
  return classes.length > LISTED ? `${names} and ${classes.length - LISTED} more` : names;
}

/** Prepare a drawing several times, so that the browser compiles all of that well before it is needed. */
async function warmUp(model) {
  for (let i = 0; i < 5; i++) {
    await new Promise((resolve) => setTimeout(resolve)); // strokes come first
    matchStyle(greyLevels(TRIAL), model.style, model.shape);
  }
}

/** Classify what is on the pad, and show it. */
async function answer() {
  const question = ++latest;
  show();
  if (!strokes.length && !picture) {
    element("answers").replaceChildren();
    element("seen").hidden = true;
    message.textContent = HINT;
    return;
  }
  const { predict, model, examples } = await loading;
  const start = performance.now();
  try {
    const image = matchStyle(greyLevels(strokes, picture), model.style, model.shape);
    const prepared = performance.now();
    const probabilities = await predict(image);
    const end = performance.now();
    performance.measure("prepare", { start, end: prepared });
    performance.measure("predict", { start: prepared, end });
    if (question !== latest) return;
    showAnswers(model, probabilities, examples);
    showSeen(image);
    message.textContent = "";
  } catch (error) {
    if (!(error instanceof NoCharacter)) throw error;
    if (question !== latest) return;
    element("answers").replaceChildren();
    element("seen").hidden = true;
    message.textContent = FAINT;
  }
}

/** Show the strokes or the picture on the pad. */
function show() {
  const side = Math.round(pad.clientWidth * devicePixelRatio);
  if (pad.width !== side) pad.width = pad.height = side;
  const context = pad.getContext("2d");
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, side, side);
  if (picture) {
    const scale = side / Math.max(picture.width, picture.height);
    const [width, height] = [picture.width * scale, picture.height * scale];
    const place = [(side - width) / 2, (side - height) / 2, width, height];
    context.fillStyle = "white"; // of what is transparent
    context.fillRect(...place);
    context.drawImage(picture, ...place);
  } else {
    context.scale(side / SIDE, side / SIDE);
    draw(context, strokes, getComputedStyle(pad).color);
  }
  element("undo").disabled = !strokes.length;
  element("clear").disabled = !strokes.length && !picture;
}

function showAnswers(model, probabilities, examples) {
  const order = Array.from(probabilities.keys()).sort((a, b) => probabilities[b] - probabilities[a]).slice(0, SHOWN);
  const rows = order.map((k) => {
    const row = document.createElement("li");
    const percent = `${(100 * probabilities[k]).toFixed(1)} %`;
    row.innerHTML = '<span class="name" dir="auto"></span><span class="percent"></span>'
      + '<div class="bar"><div></div></div>';
    row.querySelector(".name").textContent = model.classes[k];
    row.querySelector(".percent").textContent = percent;
    row.querySelector(".bar div").style.width = percent.replace(" ", "");
    if (model.examples) row.prepend(exampleImages(model, examples, k));
    return row;
  });
  element("answers").replaceChildren(...rows);
}

/** Return a canvas with the example images of a class, which stand side by side in a sheet of all classes. */
function exampleImages({ shape: [height, width], examples: { each, perRow }, classes }, sheet, k) {
  const canvas = Object.assign(document.createElement("canvas"), { width: each * width, height });
  const [left, top] = [(k % perRow) * each * width, Math.floor(k / perRow) * height];
  canvas.getContext("2d").drawImage(sheet, left, top, each * width, height, 0, 0, each * width, height);
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `Examples of ${classes[k]}`);
  return canvas;
}

/** Show the image that the model gets. */
function showSeen({ data, width, height }) {
  const canvas = element("seen").querySelector("canvas");
  Object.assign(canvas, { width, height });
  const rgba = new Uint8ClampedArray(4 * data.length).fill(255);
  data.forEach((grey, i) => rgba.fill(grey, 4 * i, 4 * i + 3));
  canvas.getContext("2d").putImageData(new ImageData(rgba, width, height), 0, 0);
  element("seen").hidden = false;
}

const place = (event) => [event.offsetX, event.offsetY].map((x) => (x * SIDE) / pad.clientWidth);
let pen = null; // the pointer that draws

pad.addEventListener("pointerdown", (event) => {
  if (pen !== null || event.button) return;
  pen = event.pointerId;
  pad.setPointerCapture(pen);
  picture = null;
  strokes.push([place(event)]);
  show();
});
pad.addEventListener("pointermove", (event) => {
  if (event.pointerId !== pen) return;
  const between = event.getCoalescedEvents?.() ?? [];
  strokes.at(-1).push(...(between.length ? between : [event]).map(place));
  show();
});
for (const end of ["pointerup", "pointercancel"]) {
  pad.addEventListener(end, (event) => {
    if (event.pointerId !== pen) return;
    pen = null;
    answer();
  });
}

function undo() {
  strokes.pop();
  answer();
}

function clear() {
  [strokes, picture] = [[], null];
  answer();
}

/** Classify the first image among files. */
async function open(files) {
  const file = Array.from(files).find((one) => one.type.startsWith("image/")) ?? files[0];
  if (!file) return;
  const image = new Image();
  image.src = URL.createObjectURL(file);
  const isRead = await image.decode().then(() => image.width > 0, () => false);
  URL.revokeObjectURL(image.src);
  if (!isRead) {
    message.textContent = `${file.name} is not an image that this browser can read.`;
    return;
  }
  [strokes, picture] = [[], image];
  answer();
}

element("undo").addEventListener("click", undo);
element("clear").addEventListener("click", clear);
element("file").addEventListener("change", async ({ target }) => {
  await open(target.files);
  target.value = ""; // so that the same file can be chosen again
});
addEventListener("paste", (event) => open(event.clipboardData.files));
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("dragenter", () => document.body.classList.add("dragging"));
addEventListener("dragleave", (event) => event.relatedTarget || document.body.classList.remove("dragging"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  open(event.dataTransfer.files);
});
addEventListener("keydown", (event) => {
  if (event.key === "Escape") clear();
  if (event.key === "z" && (event.ctrlKey || event.metaKey)) undo();
});
addEventListener("resize", show);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
