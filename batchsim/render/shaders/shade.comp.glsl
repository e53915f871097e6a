#version 430
// Turns the triangles that pixels see into labels and colours: one thread for four neighbouring pixels, whose colours
// are three whole words.

layout(local_size_x = 64) in;

layout(std430, binding = 0) readonly buffer Views { vec4 views[]; };          // position and scene; quaternion
layout(std430, binding = 5) readonly buffer Hits { uint hits[]; };            // triangle + 1, 0 = nothing
// Each triangle's label, texel bias, and material as four numbers of 16 bits: base colour and layer of the texture.
layout(std430, binding = 8) readonly buffer Surfaces { uvec4 surfaces[]; };
#if WRITE_SEMANTIC
layout(std430, binding = 6) writeonly buffer Semantic { int semantic[]; };
#endif
#if WRITE_RGB
layout(std430, binding = 7) writeonly buffer Rgb { uint rgb[]; };
// Three each triangle, linear functions of the place: distance from the triangle's plane, then u and v.
layout(std430, binding = 9) readonly buffer Planes { vec4 planes[]; };
#if TEXTURED
layout(binding = 0) uniform sampler2DArray textures;
const uint NO_LAYER = 0xFFFFu;
#endif
#endif

uniform uint pixel_count;

#if WRITE_RGB
#include "shading.glsl"

vec3 rotate(vec3 v, vec4 q) {
  vec3 t = 2.0 * cross(q.xyz, v);
  return v + q.w * t + cross(q.xyz, t);
}

struct Frame {
  vec3 eye, corner, right, down;  // the ray of pixel (x, y) is corner + x * right + y * down
};

Frame frame(uint view) {
  vec4 rotation = views[2u * view + 1u];
  const float pitch = 2.0 * TAN_HALF_WIDTH / float(WIDTH);
  vec3 right = rotate(vec3(pitch, 0.0, 0.0), rotation);
  vec3 down = rotate(vec3(0.0, -pitch, 0.0), rotation);
  vec3 ahead = rotate(vec3(0.0, 0.0, -1.0), rotation);
  vec3 corner = ahead + right * (0.5 - 0.5 * float(WIDTH)) + down * (0.5 - 0.5 * float(HEIGHT));
  return Frame(views[2u * view].xyz, corner, right, down);
}

uvec3 colour(Frame f, vec3 ray, uint triangle) {
  uvec4 surface = surfaces[triangle];
  vec4 plane = planes[3u * triangle];
  vec3 albedo = vec3(unpackUnorm2x16(surface.z), unpackUnorm2x16(surface.w).x);
  float slope = dot(ray, plane.xyz);
#if TEXTURED
  uint layer = surface.w >> 16u;
  if (layer != NO_LAYER) {
    float depth = -(dot(f.eye, plane.xyz) + plane.w) / slope;
    vec4 seen = vec4(f.eye + ray * depth, 1.0);
    vec2 uv = vec2(dot(planes[3u * triangle + 1u], seen), dot(planes[3u * triangle + 2u], seen));
    float level = mip_level(uintBitsToFloat(surface.y), depth, slope);
    albedo *= decode_srgb(textureLod(textures, vec3(uv, float(layer)), level).xyz);
  }
#endif
  vec3 light = lit(albedo, plane.y, -slope * inversesqrt(dot(ray, ray)));
  return uvec3(encode_srgb(clamp(light, 0.0, 1.0)) * 255.0 + 0.5);
}
#endif

void main() {
  uint first = 4u * ((gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * 64u + gl_LocalInvocationIndex);
  if (first >= pixel_count) return;
#if WRITE_RGB
  uint words[3] = uint[3](0u, 0u, 0u);
  Frame f = frame(first / (WIDTH * HEIGHT));
#endif
  for (uint k = 0u; k < 4u; k++) {
    uint at = min(first + k, pixel_count - 1u);
    uint triangle = hits[at];
#if WRITE_SEMANTIC
    if (first + k < pixel_count) semantic[at] = triangle == 0u ? 0 : int(surfaces[triangle - 1u].x);
#endif
#if WRITE_RGB
#if (WIDTH * HEIGHT) % 4
    f = frame(at / (WIDTH * HEIGHT));  // the four pixels may belong to two views
#endif
    vec3 ray = f.corner + float(at % WIDTH) * f.right + float(at / WIDTH % HEIGHT) * f.down;
    uvec3 c = triangle == 0u ? uvec3(0u) : colour(f, ray, triangle - 1u);
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
