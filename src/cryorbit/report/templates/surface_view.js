const UPRIGHT = [1, 0, 0, 0, 1, 0, 0, 0, 1];
const ZOOMS = { least: 0.7, most: 8 };
const COARSE = { least: 0.4, begin: 0.8 };
const SMOOTH_MS = 40;
const SETTLED_MS = 150;
const LARGEST_PX = 1200;

const clamp = (value, least, most) => Math.min(Math.max(value, least), most);

/** Product of two 3 x 3 matrices, row after row. */
const times = (a, b) =>
  a.map((_, at) => [0, 1, 2].reduce((sum, k) => sum + a[3 * Math.floor(at / 3) + k] * b[3 * k + (at % 3)], 0));

/** Rotation by radians about the view's y axis and then about its x axis, transposed. */
function turned(aboutY, aboutX) {
  const [cy, sy, cx, sx] = [Math.cos(aboutY), Math.sin(aboutY), Math.cos(aboutX), Math.sin(aboutX)];
  return times([cy, 0, -sy, 0, 1, 0, sy, 0, cy], [1, 0, 0, 0, cx, sx, 0, -sx, cx]);
}

/** The bytes behind gzip and base64. */
async function unpack(text) {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Red, green and blue in [0, 1] of "#rrggbb". */
const rgb = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16) / 255);

/** One map on the page: turned, zoomed and contoured by mouse, touch or keys; drawn only when something changed. */
class SurfaceView {
  constructor(figure, renderer, bytes) {
    this.map = JSON.parse(figure.dataset.map);
    this.figure = figure;
    this.renderer = renderer;
    this.bytes = bytes;
    this.canvas = figure.querySelector("canvas");
    this.slider = figure.querySelector("input[type=range]");
    this.together = figure.querySelector("input[type=checkbox]");
    this.output = figure.querySelector("output");
    this.memory = `cryorbit ${location.pathname} ${this.map.name}`;
    this.pointers = new Map();
    this.coarseness = COARSE.begin;
    this.others = [];
    const { side, voxel_A: voxel } = this.map;
    this.scene = { side, extent: side * (voxel ?? 1), colour: rgb(this.map.colour) };
    this.upload();
    this.reset();
    this.recall();
    this.listen();
  }

  upload() {
    this.scene.texture = this.renderer.upload(this.bytes, this.map.side);
  }

  /** Back to the contour, direction and size of the beginning. */
  reset() {
    const { level, low, high } = this.map;
    this.slider.value = (level - low) / (high - low);
    Object.assign(this.scene, { axes: UPRIGHT, zoom: 1 });
    this.contour();
  }

  /** Takes the contour from the slider. */
  contour() {
    const { low, high, mean, deviation } = this.map;
    this.scene.contour = Number(this.slider.value);
    const value = low + this.scene.contour * (high - low);
    const sigma = ((value - mean) / deviation).toFixed(1);
    this.output.value = `${value.toPrecision(3)} (${sigma} σ)`;
    this.slider.setAttribute("aria-valuetext", this.output.value);
    this.changed();
  }

  turn(aboutY, aboutX) {
    this.scene.axes = times(this.scene.axes, turned(aboutY, aboutX));
    this.changed();
  }

  zoom(factor) {
    this.scene.zoom = clamp(this.scene.zoom * factor, ZOOMS.least, ZOOMS.most);
    this.changed();
  }

  /** Draws coarsely at the next frame, and finely when nothing more has changed for a moment. */
  changed() {
    if (!this.frame) this.frame = requestAnimationFrame((now) => this.drawInTime(now));
    clearTimeout(this.settling);
    this.settling = setTimeout(() => {
      this.draw(Math.max(devicePixelRatio, 2));
      this.remember();
    }, SETTLED_MS);
  }

  /** Draws with as many pixels as the machine has kept up with. */
  drawInTime(now) {
    const slow = now - this.drawn > SMOOTH_MS && now - this.drawn < SETTLED_MS;
    this.coarseness = clamp(this.coarseness * (slow ? 0.8 : 1.1), COARSE.least, devicePixelRatio);
    this.drawn = now;
    this.draw(this.coarseness);
  }

  /** Draws with `density` pixels a CSS pixel. */
  draw(density) {
    cancelAnimationFrame(this.frame);
    this.frame = undefined;
    const size = Math.round(clamp(this.canvas.clientWidth * density, 1, LARGEST_PX));
    this.canvas.width = this.canvas.height = size;
    this.canvas.getContext("2d").drawImage(this.renderer.draw(this.scenes(), size), 0, 0);
  }

  /** What is drawn: this map, and on demand the others at their own contours, turned and zoomed as this one. */
  scenes() {
    if (!this.together?.checked) return [this.scene];
    const { axes, zoom } = this.scene;
    return [this.scene, ...this.others.map(({ scene }) => ({ ...scene, axes, zoom }))];
  }

  /** Keeps what is shown for when the page refreshes itself; some browsers deny a file this. */
  remember() {
    const { axes, zoom, contour } = this.scene;
    try {
      sessionStorage.setItem(this.memory, JSON.stringify({ axes, zoom, contour }));
    } catch {
      this.memory = "";
    }
  }

  recall() {
    try {
      const { contour, ...kept } = JSON.parse(sessionStorage.getItem(this.memory));
      this.slider.value = contour;
      Object.assign(this.scene, kept);
      this.contour();
    } catch {
      // nothing was kept
    }
  }

  listen() {
    const { canvas, slider, figure } = this;
    slider.addEventListener("input", () => this.contour());
    this.together?.addEventListener("change", () => this.changed());
    figure.querySelector("button").addEventListener("click", () => this.reset());
    canvas.addEventListener("dblclick", () => this.reset());
    canvas.addEventListener("keydown", (event) => this.pressed(event));
    canvas.addEventListener("wheel", (event) => this.wheeled(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.grasped(event));
    canvas.addEventListener("pointermove", (event) => this.dragged(event));
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, (event) => this.pointers.delete(event.pointerId));
    }
    new ResizeObserver(() => this.changed()).observe(canvas);
  }

  pressed(event) {
    const angle = Math.PI / 24;
    const actions = {
      ArrowLeft: () => this.turn(-angle, 0),
      ArrowRight: () => this.turn(angle, 0),
      ArrowUp: () => this.turn(0, -angle),
      ArrowDown: () => this.turn(0, angle),
      "+": () => this.zoom(1.15),
      "=": () => this.zoom(1.15),
      "-": () => this.zoom(1 / 1.15),
      Home: () => this.reset(),
    };
    if (!(event.key in actions) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    actions[event.key]();
  }

  /** Zooms only once the picture was clicked: until then the wheel belongs to the page. */
  wheeled(event) {
    if (document.activeElement !== this.canvas) return;
    event.preventDefault();
    this.zoom(Math.exp(-event.deltaY / (event.deltaMode ? 20 : 600)));
  }

  grasped(event) {
    this.canvas.focus({ preventScroll: true });
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
  }

  dragged(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const spread = this.spread();
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (this.pointers.size > 1) {
      this.zoom(this.spread() / spread);
    } else {
      const radians = Math.PI / this.canvas.clientWidth;
      this.turn((event.clientX - before[0]) * radians, (event.clientY - before[1]) * radians);
    }
  }

  /** Distance of the first two fingers, pixels. */
  spread() {
    const [[x, y] = [0, 0], [u, v] = [0, 0]] = this.pointers.values();
    return Math.max(Math.hypot(x - u, y - v), 1);
  }
}

/** Brings every map of the page to life; without WebGL 2 its slices are shown, and still pictures of its surface. */
async function showMaps() {
  const maps = [];
  for (const figure of document.querySelectorAll(".surface")) {
    const bytes = await unpack(figure.querySelector("script").text);
    new SliceView(figure.nextElementSibling, JSON.parse(figure.dataset.map), bytes);
    maps.push({ figure, bytes });
  }
  showSurfaces(maps);
}

function showSurfaces(maps) {
  const source = (id) => document.getElementById(id).text.trim();
  const renderer = new SurfaceRenderer(source("surface-vertex"), source("surface-fragment"));
  const views = maps.map(({ figure, bytes }) => {
    figure.hidden = false;
    return new SurfaceView(figure, renderer, bytes);
  });
  for (const view of views) view.others = views.filter((other) => other !== view);
  renderer.canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
  renderer.canvas.addEventListener("webglcontextrestored", () => {
    renderer.link();
    for (const view of views) {
      view.upload();
      view.changed();
    }
  });
}

showMaps().catch((problem) => console.info(`no interactive view: ${problem.message}`));
