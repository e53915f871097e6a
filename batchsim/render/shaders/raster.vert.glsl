#version 430
// Places a triangle's corner in the tile of its view. Row 0 of an image is its top, so y points down here.
//
// An instance is a chunk of triangles that a view may see. Chunks with fewer triangles are padded with empty ones.

in uvec2 chunk;  // first triangle; view | triangles << 24

#include "views.glsl"
#include "rotate.glsl"
layout(std430, binding = 3) readonly buffer Triangles { vec4 corners[]; };   // three each; the fourth numbers are 0

uniform int first_view;

#if WRITE_HIT
flat out uint seen;  // 1 + triangle, counted through all scenes
#endif

out gl_PerVertex {
  vec4 gl_Position;
  float gl_ClipDistance[2];
};

void main() {
  uint view = chunk.y & 0xFFFFFFu, triangles = chunk.y >> 24u;
  bool empty = uint(gl_VertexID) >= 3u * triangles;
  uint corner = 3u * chunk.x + (empty ? 0u : uint(gl_VertexID));
#if WRITE_HIT
  seen = corner / 3u + 1u;
#endif
  vec3 p = unrotate(corners[corner].xyz - eye_of(view), rotation_of(view));
  float distance = -p.z;
  float x = p.x / TAN_HALF_WIDTH, y = -p.y / TAN_HALF_HEIGHT;
  gl_ClipDistance[0] = distance - y;
  gl_ClipDistance[1] = distance + y;
  float tile_centre = (2.0 * float(int(view) - first_view) + 1.0) / float(TILES) - 1.0;
  gl_Position.x = x;
  gl_Position.y = y / float(TILES) + tile_centre * distance;
  gl_Position.z = distance - 2.0 * NEAR;  // window depth 1 - near / distance: far plane at infinity
  gl_Position.w = distance;
}
