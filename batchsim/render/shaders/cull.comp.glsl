#version 430
// Lists the chunks of its scene whose boxes intersect a view's frustum, in the scene's order, and writes the command
// that draws them. LANES threads share the chunks of one view.

layout(local_size_x = LANES) in;

#include "views.glsl"
#include "rotate.glsl"
layout(std430, binding = 1) readonly buffer Scenes { uvec4 scenes[]; };       // first node, triangle, chunk; triangles
layout(std430, binding = 2) readonly buffer Boxes { vec4 boxes[]; };          // of each chunk: centre, half extent
layout(std430, binding = 3) writeonly buffer Visible { uvec2 visible[]; };    // first triangle; view | triangles << 24
layout(std430, binding = 4) writeonly buffer Commands { uint commands[]; };   // five words each

uniform uint first_view;
uniform uint most_chunks;  // of any scene

#if LANES > 1
shared uint found[2];
#endif

void main() {
  uint place = gl_WorkGroupID.x, lane = gl_LocalInvocationIndex;
  uint view = first_view + place;
  vec3 eye = eye_of(view);
  vec4 rotation = rotation_of(view);
  int number = scene_of(view);
  uvec4 scene = scenes[max(number, 0)];
  uint triangles = number < 0 ? 0u : scene.w, chunks = (triangles + CHUNK - 1u) / CHUNK;

  // Inward normals of the four planes through the eye and the image's edges, and of the plane through the eye.
  vec3 right = rotate(vec3(1.0, 0.0, 0.0), rotation), up = rotate(vec3(0.0, 1.0, 0.0), rotation);
  vec3 ahead = rotate(vec3(0.0, 0.0, -1.0), rotation);
  vec3 wide = ahead * TAN_HALF_WIDTH, high = ahead * TAN_HALF_HEIGHT;
  vec3 planes[5] = vec3[5](wide + right, wide - right, high + up, high - up, ahead);
  float sizes[5] = float[5](TAN_HALF_WIDTH + 1.0, TAN_HALF_WIDTH + 1.0, TAN_HALF_HEIGHT + 1.0, TAN_HALF_HEIGHT + 1.0, 1.0);

  uint count = 0u;
  for (uint start = 0u; start < chunks; start += LANES) {
    uint chunk = start + lane, box = 2u * (scene.z + min(chunk, chunks - 1u));  // in the last round some have no chunk
    vec3 middle = boxes[box].xyz - eye, extent = boxes[box + 1u].xyz;
    float rounding = 1e-5 * (length(middle) + length(extent));
    bool seen = chunk < chunks;
    for (int k = 0; k < 5; k++) {
      float farthest = dot(planes[k], middle) + dot(abs(planes[k]), extent);
      seen = seen && farthest >= -rounding * sizes[k];
    }
    uint before = count;
#if LANES > 1
    // The position among the visible chunks of this round, so that their order is always the same.
    uint turn = (start / LANES) & 1u;
    if (lane == 0u) found[turn] = 0u;
    barrier();
    if (seen) atomicOr(found[turn], 1u << lane);
    barrier();
    before += uint(bitCount(found[turn] & ((1u << lane) - 1u)));
    count += uint(bitCount(found[turn]));
#else
    count += uint(seen);
#endif
    if (seen) {
      uint first = chunk * CHUNK;
      uint shown = min(triangles - first, CHUNK);
      visible[place * most_chunks + before] = uvec2(scene.y + first, view | shown << 24u);
    }
  }
  if (lane == 0u) {
    uint at = 5u * place;
    commands[at] = 3u * CHUNK;         // vertices
    commands[at + 1u] = count;         // instances
    commands[at + 2u] = 0u;            // first vertex
    commands[at + 3u] = place * most_chunks;  // first instance
    commands[at + 4u] = 0u;
  }
}
