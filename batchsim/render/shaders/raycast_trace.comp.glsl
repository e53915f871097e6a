#version 430
// Casts rays through a scene's tree: one thread casts a patch of PATCH_W x PATCH_H neighbouring pixels.
//
// All rays of a patch start in one point. The tree's boxes are tested once for all of them, with the interval of
// their directions. Triangles are tested for each pixel by the signs of three edge functions, which are linear over the
// pixels of an image: one addition each. Two triangles compute exact negatives for the edge they share, so no ray passes
// between them (Davidovic et al., 3D Rasterization, 2012).
//
// `ray` has length 1 along the camera's axis, so the parameter of a hit is its depth. With RAY_TABLE it is read from a
// table of unit vectors, patches are single pixels, and depth is measured along the ray.
//
// A patch visits more small triangles than one of its pixels would. With BUDGET > 0 a patch that has taken that many
// steps stops and is put on a list; the same program, compiled with FROM_LIST, then casts the listed patches as smaller
// ones.

layout(local_size_x = GROUP_W, local_size_y = GROUP_H) in;

#include "views.glsl"
#include "rotate.glsl"
layout(std430, binding = 1) readonly buffer Scenes { uvec4 scene_start[]; };   // first node, triangle, chunk; triangles
layout(std430, binding = 2) readonly buffer Nodes { uvec4 nodes[]; };          // three each, see batchsim.scenes.baking.bvh
layout(std430, binding = 3) readonly buffer Triangles { vec4 corners[]; };     // three each; the fourth numbers are 0
#if WRITE_DEPTH
layout(std430, binding = 4) writeonly buffer Depth { float depth[]; };
#endif
#if WRITE_HIT
layout(std430, binding = 5) writeonly buffer Hits { uint hits[]; };            // triangle + 1, 0 = nothing
#endif

#if RAY_TABLE
#include "rays.glsl"
#endif

#if BUDGET || FROM_LIST
// The first three words are the work groups of the second dispatch.
layout(std430, binding = 6) buffer Deferred { uint groups_x, groups_y, groups_z, deferred_count, deferred[]; };
#endif
#if FROM_LIST
const uint PARTS = (COARSE_W / PATCH_W) * (COARSE_H / PATCH_H);  // threads for each listed patch
#endif
uniform uint first_view;
const uint COLUMNS = (WIDTH + COARSE_W - 1) / COARSE_W, ROWS = (HEIGHT + COARSE_H - 1) / COARSE_H;

const int PATCH = PATCH_W * PATCH_H;
const uint LEAF = 0x80000000u;  // | triangles << COUNT_SHIFT | first triangle
const uint COUNT_SHIFT = 27u;
const uint NONE = 0xFFFFFFFFu;
const float FAR = 1e30;
const float TINY = 1e-9;

// cross(a, b) = -cross(b, a) to the last bit: each product is rounded before the difference, so that a compiler cannot
// contract one of the two to a fused multiply-add.
vec3 exact_cross(vec3 a, vec3 b) {
  precise vec3 first = a.yzx * b.zxy, second = a.zxy * b.yzx;
  precise vec3 difference = first - second;
  return difference;
}

// The three edge functions along a direction, which must be rounded alike.
vec3 sides(vec3 direction, vec3 u, vec3 v, vec3 w) {
  precise vec3 value =
      direction.x * vec3(u.x, v.x, w.x) + direction.y * vec3(u.y, v.y, w.y) + direction.z * vec3(u.z, v.z, w.z);
  return value;
}

vec4 bytes(uint word) {
  return vec4(word & 255u, (word >> 8) & 255u, (word >> 16) & 255u, word >> 24);
}

// What a slab test needs of the directions between low and high on one axis. A ray enters a slab through one plane and
// leaves through the other: depth = distance of the plane * factor (+ offset), a lower bound of all rays' entries and an
// upper bound of their exits. If the directions have both signs, rays enter through either plane.
struct Slope {
  float enter, enter_other, leave, leave_offset;
  uint flipped;  // all ones if the near plane is the high one
};

Slope slope(float low, float high) {
  if (low > 0.0) return Slope(1.0 / max(high, TINY), 0.0, 1.0 / max(low, TINY), 0.0, 0u);
  if (high < 0.0) return Slope(1.0 / min(low, -TINY), 0.0, 1.0 / min(high, -TINY), 0.0, NONE);
  return Slope(1.0 / max(high, TINY), 1.0 / min(low, -TINY), 0.0, FAR, 0u);
}

// Floats are compared as signed bit patterns, which saves the handling of NaNs. The largest is right if one number is
// not negative, and so is the sign of the smallest.
ivec4 bits(vec4 v) { return floatBitsToInt(v); }

uint pick(uvec4 v, uint slot) {
  return (slot & 2u) != 0u ? ((slot & 1u) != 0u ? v.w : v.z) : ((slot & 1u) != 0u ? v.y : v.x);
}

void main() {
#if FROM_LIST
  uint thread = gl_WorkGroupID.x * (GROUP_W * GROUP_H) + gl_LocalInvocationIndex;
  if (thread / PARTS >= deferred_count) return;
  uint listed = deferred[thread / PARTS], part = thread % PARTS;
  uint view = first_view + listed / (COLUMNS * ROWS), place = listed % (COLUMNS * ROWS);
  const uint across_parts = COARSE_W / PATCH_W;
  ivec2 pixel = ivec2(uvec2(place % COLUMNS, place / COLUMNS) * uvec2(COARSE_W, COARSE_H) +
                      uvec2(part % across_parts, part / across_parts) * uvec2(PATCH_W, PATCH_H));
#else
  uint view = first_view + gl_WorkGroupID.z;
  ivec2 pixel = ivec2(gl_GlobalInvocationID.xy) * ivec2(PATCH_W, PATCH_H);
#endif
  if (pixel.x >= WIDTH || pixel.y >= HEIGHT) return;
  vec3 eye = eye_of(view);
  vec4 rotation = rotation_of(view);
  int scene = scene_of(view);
  uvec2 start = scene_start[max(scene, 0)].xy;

#if RAY_TABLE
  vec3 ray = rotate(ray_of(uint(pixel.y) * WIDTH + uint(pixel.x)).xyz, rotation);
  const vec3 right = vec3(0.0), down = vec3(0.0);
  bool sees = ray != vec3(0.0);
#else
  const bool sees = true;
  const float pitch = 2.0 * TAN_HALF_WIDTH / float(WIDTH);
  vec3 right = rotate(vec3(pitch, 0.0, 0.0), rotation);
  vec3 down = rotate(vec3(0.0, -pitch, 0.0), rotation);
  vec2 centre = vec2(pixel) + 0.5 - 0.5 * vec2(WIDTH, HEIGHT);
  vec3 ray = rotate(vec3(0.0, 0.0, -1.0), rotation) + right * centre.x + down * centre.y;
#endif

  vec3 across = right * float(PATCH_W - 1), along = down * float(PATCH_H - 1);
  vec3 low = ray + min(across, 0.0) + min(along, 0.0), high = ray + max(across, 0.0) + max(along, 0.0);
  Slope sx = slope(low.x, high.x), sy = slope(low.y, high.y), sz = slope(low.z, high.z);
  vec3 enter = vec3(sx.enter, sy.enter, sz.enter), leave = vec3(sx.leave, sy.leave, sz.leave);
  vec3 enter_other = vec3(sx.enter_other, sy.enter_other, sz.enter_other);
  vec3 leave_offset = vec3(sx.leave_offset, sy.leave_offset, sz.leave_offset);
  uvec3 flipped = uvec3(sx.flipped, sy.flipped, sz.flipped);

  float best[PATCH];  // 1 / depth of the nearest hit, 0 = none
  for (int k = 0; k < PATCH; k++) best[k] = 0.0;
#if WRITE_HIT
  uint hit[PATCH];
  for (int k = 0; k < PATCH; k++) hit[k] = 0u;
#endif
  float limit = FAR;  // all pixels of the patch have something nearer

  uint waiting[STACK_SIZE];
  float waiting_depth[STACK_SIZE];
  int top = 0;
  uint current = scene < 0 || !sees ? NONE : 0u;  // views of no scene stay empty
#if BUDGET
  int work = 0;
#endif
  while (current != NONE) {
#if BUDGET
    while (current < LEAF && work < BUDGET) {
      work++;
#else
    while (current < LEAF) {
#endif
      uint at = (start.x + current) * 3u;
      uvec4 a = nodes[at], b = nodes[at + 1u], c = nodes[at + 2u];
      vec3 origin = uintBitsToFloat(a.xyz) - eye;
      vec3 cell = uintBitsToFloat(uvec3(a.w << 23, a.w << 15, a.w << 7) & 0x7F800000u);
      uvec3 box_low = b.xyz, box_high = uvec3(b.w, c.xy);
      uvec3 swap = (box_low ^ box_high) & flipped;
      uvec3 near = box_low ^ swap, far = box_high ^ swap;
      vec3 cell_in = cell * enter, origin_in = origin * enter;
      vec3 cell_out = cell * leave, origin_out = origin * leave + leave_offset;
      vec4 far_x = bytes(far.x), far_y = bytes(far.y), far_z = bytes(far.z);
      ivec4 first = max(max(bits(bytes(near.x) * cell_in.x + origin_in.x), bits(bytes(near.y) * cell_in.y + origin_in.y)),
                        max(bits(bytes(near.z) * cell_in.z + origin_in.z), 0));
#if PATCH_W * PATCH_H > 1
      vec3 cell_other = cell * enter_other, origin_other = origin * enter_other;
      first = max(max(first, bits(far_x * cell_other.x + origin_other.x)),
                  max(bits(far_y * cell_other.y + origin_other.y), bits(far_z * cell_other.z + origin_other.z)));
#endif
      ivec4 last = min(min(bits(far_x * cell_out.x + origin_out.x), bits(far_y * cell_out.y + origin_out.y)),
                       min(bits(far_z * cell_out.z + origin_out.z), floatBitsToInt(limit)));
      // Sort the four children by depth, their slots in the two lowest bits. Four units in the last place make up for
      // the rounding of the slab test.
      uvec4 key = (uvec4(first) & 0xFFFFFFFCu) | uvec4(0u, 1u, 2u, 3u);
      key |= uvec4(0u) - uvec4(greaterThan(first, last + 4));
      uvec2 lesser = min(key.xy, key.zw), greater = max(key.xy, key.zw);
      uint key0 = min(lesser.x, lesser.y), key3 = max(greater.x, greater.y);
      uint middle0 = max(lesser.x, lesser.y), middle1 = min(greater.x, greater.y);
      uint key1 = min(middle0, middle1), key2 = max(middle0, middle1);

      uvec4 count = (uvec4(a.w) >> uvec4(24u, 26u, 28u, 30u)) & 3u;
      uvec4 before = uvec4(0u, count.x, count.x + count.y, count.x + count.y + count.z);
      uvec4 leaf = LEAF | (count << COUNT_SHIFT) | (c.w + before);
      uvec4 inner = c.z + uvec4(0u, 1u, 2u, 3u);
      uvec4 child = inner ^ ((inner ^ leaf) & (uvec4(0u) - uvec4(notEqual(count, uvec4(0u)))));

      if (key3 != NONE) { waiting[top] = pick(child, key3); waiting_depth[top] = uintBitsToFloat(key3); top++; }
      if (key2 != NONE) { waiting[top] = pick(child, key2); waiting_depth[top] = uintBitsToFloat(key2); top++; }
      if (key1 != NONE) { waiting[top] = pick(child, key1); waiting_depth[top] = uintBitsToFloat(key1); top++; }
      current = key0 == NONE ? NONE : pick(child, key0);
      if (current == NONE) {
        while (top > 0) {
          top--;
          if (waiting_depth[top] <= limit) { current = waiting[top]; break; }
        }
      }
    }
    if (current == NONE) break;
#if BUDGET
    if (work >= BUDGET) {
      uint entry = atomicAdd(deferred_count, 1u);
      if (entry % LISTED_PER_GROUP == 0u) atomicAdd(groups_x, 1u);
      uvec2 place = uvec2(pixel) / uvec2(PATCH_W, PATCH_H);
      deferred[entry] = ((view - first_view) * ROWS + place.y) * COLUMNS + place.x;
      return;
    }
    work += int((current >> COUNT_SHIFT) & 3u);
#endif

    uint triangle = start.y + (current & ((1u << COUNT_SHIFT) - 1u));
    uint end = triangle + ((current >> COUNT_SHIFT) & 3u);
    for (; triangle < end; triangle++) {
      vec3 p = corners[3u * triangle].xyz - eye;
      vec3 q = corners[3u * triangle + 1u].xyz - eye;
      vec3 r = corners[3u * triangle + 2u].xyz - eye;
      vec3 edge_u = exact_cross(r, q), edge_v = exact_cross(p, r), edge_w = exact_cross(q, p);
      vec3 normal = cross(q - p, r - p);
      normal *= 1.0 / dot(p, normal);  // now dot(ray, normal) = 1 / depth of the triangle's plane
      vec4 value = vec4(sides(ray, edge_u, edge_v, edge_w), dot(ray, normal));
#if PATCH_W * PATCH_H > 1
      vec4 step_x = vec4(sides(right, edge_u, edge_v, edge_w), dot(right, normal));
      vec4 step_y = vec4(sides(down, edge_u, edge_v, edge_w), dot(down, normal));
#else
      vec4 step_x = vec4(0.0), step_y = vec4(0.0);
#endif
      for (int y = 0; y < PATCH_H; y++) {
        for (int x = 0; x < PATCH_W; x++) {
          vec4 here = value + step_x * float(x) + step_y * float(y);
          ivec3 side = floatBitsToInt(here.xyz);
          bool outside = min(min(side.x, side.y), side.z) < 0 && max(max(side.x, side.y), side.z) > 0;
          int k = y * PATCH_W + x;
          if (!outside && here.w > best[k] && here.w < 1.0 / NEAR) {
            best[k] = here.w;
#if WRITE_HIT
            hit[k] = triangle + 1u;
#endif
          }
        }
      }
    }
    float least = best[0];
    for (int k = 1; k < PATCH; k++) least = min(least, best[k]);
    limit = least > 0.0 ? 1.0 / least : FAR;
    current = NONE;
    while (top > 0) {
      top--;
      if (waiting_depth[top] <= limit) { current = waiting[top]; break; }
    }
  }

  for (int y = 0; y < PATCH_H; y++) {
    for (int x = 0; x < PATCH_W; x++) {
      int k = y * PATCH_W + x;
      uint at = (view * HEIGHT + uint(pixel.y + y)) * WIDTH + uint(pixel.x + x);
      if (pixel.x + x < WIDTH && pixel.y + y < HEIGHT) {
#if WRITE_DEPTH
        depth[at] = best[k] > 0.0 ? 1.0 / best[k] : 0.0;
#endif
#if WRITE_HIT
        hits[at] = hit[k];
#endif
      }
    }
  }
}
