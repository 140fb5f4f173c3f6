/** Index of the byte at column, row and depth of a slice across each axis, in a cube of `n` voxels a side. */
const ACROSS = {
  z: (n, column, row, depth) => (depth * n + row) * n + column,
  y: (n, column, row, depth) => (row * n + depth) * n + column,
  x: (n, column, row, depth) => (row * n + column) * n + depth,
};

/** Slices of one map, gone through by a slider: grey from solvent to the densest voxels, first row at the bottom. */
class SliceView {
  constructor(figure, map, bytes) {
    this.map = map;
    this.bytes = bytes;
    this.canvas = figure.querySelector("canvas");
    this.slider = figure.querySelector("input");
    this.axis = figure.querySelector("select");
    this.output = figure.querySelector("output");
    this.canvas.width = this.canvas.height = map.side;
    this.slider.max = map.side - 1;
    this.slider.value = Math.floor(map.side / 2);
    for (const control of [this.slider, this.axis]) control.addEventListener("input", () => this.draw());
    this.draw();
    figure.hidden = false;
  }

  draw() {
    const { side } = this.map;
    const depth = Number(this.slider.value);
    const place = ACROSS[this.axis.value];
    const picture = new ImageData(side, side);
    for (let row = 0; row < side; row++) {
      for (let column = 0; column < side; column++) {
        const grey = this.bytes[place(side, column, row, depth)];
        picture.data.set([grey, grey, grey, 255], 4 * ((side - 1 - row) * side + column));
      }
    }
    this.canvas.getContext("2d").putImageData(picture, 0, 0);
    this.output.value = this.distance(depth - Math.floor(side / 2));
    this.slider.setAttribute("aria-valuetext", this.output.value);
  }

  /** How far a slice is from the middle of the box, in Å where the size of a voxel is known. */
  distance(voxels) {
    const { voxel_A: voxel } = this.map;
    return voxel ? `${(voxels * voxel).toFixed(1)} Å` : `${voxels} voxels`;
  }
}
