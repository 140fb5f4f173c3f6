/** Draws surfaces of 8-bit volumes; all maps of the page share one WebGL 2 context. */
class SurfaceRenderer {
  /** Throws an Error where there is no WebGL 2. */
  constructor(vertexSource, fragmentSource) {
    this.canvas = document.createElement("canvas");
    this.gl = this.canvas.getContext("webgl2", { premultipliedAlpha: true });
    if (!this.gl) throw new Error("no WebGL 2");
    this.sources = [vertexSource, fragmentSource];
    this.link();
  }

  /** Compiles the program; needed again after the context was lost. */
  link() {
    const { gl } = this;
    const program = gl.createProgram();
    [gl.VERTEX_SHADER, gl.FRAGMENT_SHADER].forEach((kind, index) => {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, this.sources[index]);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    });
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
    gl.useProgram(program);
    gl.enable(gl.DEPTH_TEST);
    this.place = (name) => gl.getUniformLocation(program, name);
  }

  /** Puts a volume (bytes, x fastest) on the graphics card; returns its texture. */
  upload(bytes, side) {
    const { gl } = this;
    const texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_3D, texture);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.texImage3D(gl.TEXTURE_3D, 0, gl.R8, side, side, side, 0, gl.RED, gl.UNSIGNED_BYTE, bytes);
    for (const wrap of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T, gl.TEXTURE_WRAP_R]) {
      gl.texParameteri(gl.TEXTURE_3D, wrap, gl.CLAMP_TO_EDGE);
    }
    gl.texParameteri(gl.TEXTURE_3D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
    gl.texParameteri(gl.TEXTURE_3D, gl.TEXTURE_MAG_FILTER, gl.LINEAR);
    return texture;
  }

  /** Draws `scenes` into one square of `size` pixels, what is nearer before what is farther: this.canvas. */
  draw(scenes, size) {
    const { gl } = this;
    this.canvas.width = this.canvas.height = size;
    gl.viewport(0, 0, size, size);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    const largest = Math.max(...scenes.map((scene) => scene.extent));
    for (const scene of scenes) this.drawOne(scene, scene.extent / largest);
    return this.canvas;
  }

  /** Adds one scene (texture, side, colour, axes, contour, zoom), whose map has this part of the largest one's side. */
  drawOne(scene, extent) {
    const { gl } = this;
    gl.bindTexture(gl.TEXTURE_3D, scene.texture);
    gl.uniformMatrix3fv(this.place("axes"), true, scene.axes);
    gl.uniform1f(this.place("contour"), scene.contour);
    gl.uniform1f(this.place("zoom"), scene.zoom);
    gl.uniform1f(this.place("voxel"), 1 / scene.side);
    gl.uniform1f(this.place("extent"), extent);
    gl.uniform3fv(this.place("colour"), scene.colour);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }
}
