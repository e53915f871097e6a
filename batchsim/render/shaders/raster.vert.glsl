#version 430
// Places a triangle's corner in the tile of its view. Row 0 of an image is its top, so y points down here.
//
// An instance is a chunk of triangles that a view may see. Chunks of fewer triangles are filled up with empty ones.

in uvec2 chunk;  // first triangle; view, triangles << 24

layout(std430, binding = 0) readonly buffer Views { vec4 views[]; };         // position and scene; quaternion
layout(std430, binding = 3) readonly buffer Triangles { vec4 corners[]; };   // three each; the fourth numbers are 0

uniform int first_view;

#if WRITE_HIT
flat out uint seen;  // 1 + triangle, counted through all scenes
#endif

out gl_PerVertex {
  vec4 gl_Position;
  float gl_ClipDistance[PLANES];
};

// The vector turned by the inverse of a unit quaternion.
vec3 unrotate(vec3 v, vec4 q) {
  vec3 t = 2.0 * cross(v, q.xyz);
  return v + q.w * t + cross(t, q.xyz);
}

void main() {
  uint view = chunk.y & 0xFFFFFFu, triangles = chunk.y >> 24u;
  bool empty = uint(gl_VertexID) >= 3u * triangles;
  uint corner = 3u * chunk.x + (empty ? 0u : uint(gl_VertexID));
#if WRITE_HIT
  seen = corner / 3u + 1u;
#endif
  vec3 p = unrotate(corners[corner].xyz - views[2u * view].xyz, views[2u * view + 1u]);
  int tile = int(view) - first_view;
  float distance = -p.z;
  float x = p.x / TAN_HALF_WIDTH, y = -p.y / TAN_HALF_HEIGHT;
  gl_ClipDistance[0] = distance - y;
  gl_ClipDistance[1] = distance + y;
  float row_centre = (2.0 * float(tile % ROWS) + 1.0) / float(ROWS) - 1.0;
#if COLUMNS > 1
  gl_ClipDistance[2] = distance - x;
  gl_ClipDistance[3] = distance + x;
  float column_centre = (2.0 * float(tile / ROWS) + 1.0) / float(COLUMNS) - 1.0;
  gl_Position.x = x / float(COLUMNS) + column_centre * distance;
#else
  gl_Position.x = x;
#endif
  gl_Position.y = y / float(ROWS) + row_centre * distance;
  gl_Position.z = distance - 2.0 * NEAR;  // window depth 1 - near / distance: far plane at infinity
  gl_Position.w = distance;
}
