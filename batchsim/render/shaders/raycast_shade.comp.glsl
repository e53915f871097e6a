#version 430
// Turns the triangles that rays have hit into labels and colours: one thread for four neighbouring pixels, whose
// colours are three whole words.

layout(local_size_x = 64) in;

layout(std430, binding = 0) readonly buffer Views { vec4 views[]; };          // position and scene; quaternion
layout(std430, binding = 3) readonly buffer Triangles { uvec4 corners[]; };   // p and label, q and material, r and 0
layout(std430, binding = 5) readonly buffer Hits { uint hits[]; };            // triangle + 1, 0 = nothing
#if WRITE_SEMANTIC
layout(std430, binding = 6) writeonly buffer Semantic { int semantic[]; };
#endif
#if WRITE_RGB
layout(std430, binding = 7) writeonly buffer Rgb { uint rgb[]; };
layout(std430, binding = 8) readonly buffer Uvs { vec2 uvs[]; };              // three each triangle
layout(std430, binding = 9) readonly buffer Materials { vec4 materials[]; };  // base colour; layer of the texture, -1 = none
#if TEXTURED
layout(binding = 0) uniform sampler2DArray textures;
#endif
#endif

uniform uint pixel_count;

vec3 rotate(vec3 v, vec4 q) {
  vec3 t = 2.0 * cross(q.xyz, v);
  return v + q.w * t + cross(q.xyz, t);
}

#if WRITE_RGB
#include "shading.glsl"

uvec3 colour(uint at, uint triangle) {
  uint view = at / (WIDTH * HEIGHT), row = at / WIDTH % HEIGHT, column = at % WIDTH;
  vec3 eye = views[2u * view].xyz;
  vec4 rotation = views[2u * view + 1u];
  const float pitch = 2.0 * TAN_HALF_WIDTH / float(WIDTH);
  vec3 right = rotate(vec3(pitch, 0.0, 0.0), rotation);
  vec3 down = rotate(vec3(0.0, -pitch, 0.0), rotation);
  vec2 centre = vec2(column, row) + 0.5 - 0.5 * vec2(WIDTH, HEIGHT);
  vec3 ray = rotate(vec3(0.0, 0.0, -1.0), rotation) + right * centre.x + down * centre.y;

  uvec4 q_material = corners[3u * triangle + 1u];
  vec3 p = uintBitsToFloat(corners[3u * triangle].xyz) - eye;
  vec3 side_q = uintBitsToFloat(q_material.xyz) - eye - p;
  vec3 side_r = uintBitsToFloat(corners[3u * triangle + 2u].xyz) - eye - p;
  vec3 normal = cross(side_q, side_r);
  vec4 material = materials[q_material.w];
  vec3 albedo = material.xyz;
#if TEXTURED
  if (material.w >= 0.0) {
    float slope = dot(ray, normal);
    float depth = dot(p, normal) / slope;
    // The point that is seen, relative to p, and how it moves from one pixel to the next.
    vec3 seen = ray * depth - p;
    vec3 per_x = depth * (right - ray * (dot(right, normal) / slope));
    vec3 per_y = depth * (down - ray * (dot(down, normal) / slope));
    vec2 uv = uvs[3u * triangle], uv_q = uvs[3u * triangle + 1u] - uv, uv_r = uvs[3u * triangle + 2u] - uv;
    float scale = 1.0 / dot(normal, normal);
    vec3 to_q = cross(side_r, normal) * scale, to_r = cross(normal, side_q) * scale;
    uv += dot(seen, to_q) * uv_q + dot(seen, to_r) * uv_r;
    vec2 uv_x = dot(per_x, to_q) * uv_q + dot(per_x, to_r) * uv_r;
    vec2 uv_y = dot(per_y, to_q) * uv_q + dot(per_y, to_r) * uv_r;
    float level = mip_level(uv_x, uv_y, float(textureSize(textures, 0).x));
    albedo *= decode_srgb(textureLod(textures, vec3(uv, material.w), level).xyz);
  }
#endif
  vec3 light = lit(albedo, normalize(normal), -normalize(ray));
  return uvec3(encode_srgb(clamp(light, 0.0, 1.0)) * 255.0 + 0.5);
}
#endif

void main() {
  uint first = 4u * ((gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * 64u + gl_LocalInvocationIndex);
  if (first >= pixel_count) return;
#if WRITE_RGB
  uint words[3] = uint[3](0u, 0u, 0u);
#endif
  for (uint k = 0u; k < 4u; k++) {
    uint at = min(first + k, pixel_count - 1u);
    uint triangle = hits[at];
#if WRITE_SEMANTIC
    if (first + k < pixel_count) semantic[at] = triangle == 0u ? 0 : int(corners[3u * (triangle - 1u)].w);
#endif
#if WRITE_RGB
    uvec3 c = triangle == 0u ? uvec3(0u) : colour(at, triangle - 1u);
    // byte 3 * k + channel of twelve
    for (uint channel = 0u; channel < 3u; channel++) {
      uint place = 3u * k + channel;
      words[place / 4u] |= c[channel] << (8u * (place % 4u));
    }
#endif
  }
#if WRITE_RGB
  for (uint k = 0u; k < 3u; k++) rgb[first / 4u * 3u + k] = words[k];
#endif
}
