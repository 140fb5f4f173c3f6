#version 300 es
// One triangle that covers the picture; place is [-1, 1] across it.
out vec2 place;

void main() {
  place = vec2(gl_VertexID & 1, gl_VertexID >> 1) * 4.0 - 1.0;
  gl_Position = vec4(place, 0.0, 1.0);
}
