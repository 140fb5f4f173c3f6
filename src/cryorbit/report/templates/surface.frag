#version 300 es
// Where a parallel ray through the pixel first meets the surface of a density, shaded.
// View axes: x to the right, y up, z towards the eye. The map is the cube [-0.5, 0.5]^3, seen within its ball.
precision highp float;
precision highp sampler3D;

uniform sampler3D density;
uniform mat3 axes;      // from view axes to map axes
uniform float contour;  // in units of the bytes' range
uniform float zoom;
uniform float voxel;    // one over the voxels a side
uniform float extent;   // side of the map as a part of that of the largest map in the picture
uniform vec3 colour;

in vec2 place;
out vec4 shade;

const float RADIUS = 0.5;
const vec3 LIGHT = normalize(vec3(-0.38, 0.53, 0.76));

float above(vec3 point) {
  return texture(density, axes * point + 0.5).r - contour;
}

// Outward, from differences over two voxels.
vec3 normalAt(vec3 point) {
  vec2 step = vec2(voxel, 0.0);
  vec3 rise = vec3(
    above(point + step.xyy) - above(point - step.xyy),
    above(point + step.yxy) - above(point - step.yxy),
    above(point + step.yyx) - above(point - step.yyx));
  return -rise / max(length(rise), 1e-6);
}

// Halves the interval in which the density crosses the contour.
float refine(vec2 position, float outside, float inside) {
  for (int i = 0; i < 6; i++) {
    float middle = 0.5 * (outside + inside);
    if (above(vec3(position, middle)) > 0.0) inside = middle; else outside = middle;
  }
  return inside;
}

vec3 light(vec3 normal, float depth) {
  float lit = clamp(dot(LIGHT, normal), 0.0, 1.0);
  float facing = clamp(normal.z, 0.0, 1.0);
  float dimmed = 1.0 - 0.4 * clamp(0.5 - depth / (2.0 * RADIUS), 0.0, 1.0);
  return clamp((0.5 + 0.75 * lit) * (0.5 + 0.5 * facing) * dimmed * colour + 0.25 * pow(lit, 24.0), 0.0, 1.0);
}

void main() {
  vec2 position = place * RADIUS / (zoom * extent);
  float chord = RADIUS * RADIUS - dot(position, position);
  if (chord <= 0.0) discard;
  float front = sqrt(chord);
  float stride = 0.5 * voxel;
  for (float depth = front; depth > -front; depth -= stride) {
    if (above(vec3(position, depth)) > 0.0) {
      bool cut = depth == front;  // the surface goes on in front of the ball: a section through it is shown
      float met = cut ? front : refine(position, depth + stride, depth);
      vec3 point = vec3(position, met);
      shade = vec4(light(cut ? point / RADIUS : normalAt(point), met), 1.0);
      gl_FragDepth = 0.5 - extent * met;
      return;
    }
  }
  discard;
}
