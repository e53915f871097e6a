#version 430
// Computes labels and colours from the triangles that pixels see: one thread for four neighbouring pixels, whose colours
// are three whole words.

layout(local_size_x = 64) in;

#include "views.glsl"
#include "rotate.glsl"
layout(std430, binding = 5) readonly buffer Hits { uint hits[]; };            // triangle + 1, 0 = nothing
// Each triangle's label and the object it belongs to, 16 bits each, texel bias, and material: base colour, 16 bits each, the texture's layer, 12 bits, and how it
// wraps along u and v, 2 bits each. For colours, also three linear functions of the position as float bits: distance from the triangle's plane, u and v.
layout(rgba32ui, binding = 0) uniform readonly uimage2D records;
#if WRITE_SEMANTIC
layout(std430, binding = 6) writeonly buffer Semantic { int semantic[]; };
#endif
#if WRITE_INSTANCE
layout(std430, binding = 4) writeonly buffer Instance { int instance[]; };
#endif
#if WRITE_RGB
layout(std430, binding = 7) writeonly buffer Rgb { uint rgb[]; };
#if TEXTURED
layout(binding = 0) uniform sampler2DArray textures;
const uint NO_LAYER = 0xFFFu;
#endif
#endif

uniform uint pixel_count;
#if TEXTURED
uniform float texel_scale;
#endif

uvec4 record(uint triangle, uint part) {
  uint at = RECORD * triangle + part;
  return imageLoad(records, ivec2(at % ROW, at / ROW));
}

#if RAY_TABLE
#include "rays.glsl"

struct Frame {
  vec3 eye;
  vec4 rotation;
};

Frame frame(uint view) { return Frame(eye_of(view), rotation_of(view)); }
#else
struct Frame {
  vec3 eye, corner, right, down;  // the ray of pixel (x, y) is corner + x * right + y * down
};

Frame frame(uint view) {
  vec4 rotation = rotation_of(view);
  const float pitch = 2.0 * TAN_HALF_WIDTH / float(WIDTH);
  vec3 right = rotate(vec3(pitch, 0.0, 0.0), rotation);
  vec3 down = rotate(vec3(0.0, -pitch, 0.0), rotation);
  vec3 ahead = rotate(vec3(0.0, 0.0, -1.0), rotation);
  vec3 corner = ahead + right * (0.5 - 0.5 * float(WIDTH)) + down * (0.5 - 0.5 * float(HEIGHT));
  return Frame(eye_of(view), corner, right, down);
}
#endif

#if WRITE_RGB
#include "shading.glsl"

uvec3 colour(Frame f, uint at, uint triangle) {
  vec2 pixel = vec2(at % WIDTH, at / WIDTH % HEIGHT);
#if RAY_TABLE
  vec4 own = ray_of(at % (WIDTH * HEIGHT));
  vec3 ray = rotate(own.xyz, f.rotation);
#else
  vec3 ray = f.corner + pixel.x * f.right + pixel.y * f.down;
#endif
  uvec4 surface = record(triangle, 0u);
  vec4 plane = uintBitsToFloat(record(triangle, 1u));
  vec3 albedo = vec3(unpackUnorm2x16(surface.z), unpackUnorm2x16(surface.w).x);
  float slope = dot(ray, plane.xyz);
#if TEXTURED
  uint layer = (surface.w >> 16u) & NO_LAYER;
  if (layer != NO_LAYER) {
    float depth = -(dot(f.eye, plane.xyz) + plane.w) / slope;
    vec4 seen = vec4(f.eye + ray * depth, 1.0);
    vec4 u = uintBitsToFloat(record(triangle, 2u)), v = uintBitsToFloat(record(triangle, 3u));
    vec2 uv = vec2(dot(u, seen), dot(v, seen));
    float bias = texel_scale + uintBitsToFloat(surface.y);
#if RAY_TABLE
    bias += log2(own.w);
#endif
    float level = nearby_level(mip_level(bias, depth, slope), pixel);
    uv = wrap(uv, surface.w >> 28u, 0.5 * exp2(level) / float(textureSize(textures, 0).x));
    albedo *= decode_srgb(textureLod(textures, vec3(uv, float(layer)), level).xyz);
  }
#endif
  vec3 light = lit(albedo, plane.y, -slope * inversesqrt(dot(ray, ray)));
  return uvec3(encode_srgb(clamp(light, 0.0, 1.0)) * 255.0 + 0.5);
}
#endif

// Writes the label and the object of one pixel and returns its colour.
uvec3 shade(Frame f, uint at) {
  uint triangle = hits[at];
#if WRITE_SEMANTIC
  semantic[at] = triangle == 0u ? 0 : int(record(triangle - 1u, 0u).x & 0xFFFFu);
#endif
#if WRITE_INSTANCE
  instance[at] = triangle == 0u ? 0 : int(record(triangle - 1u, 0u).x >> 16u);
#endif
#if WRITE_RGB
#if (WIDTH * HEIGHT) % 4
  f = frame(at / (WIDTH * HEIGHT));  // four neighbouring pixels may belong to two views
#endif
  if (triangle != 0u) return colour(f, at, triangle - 1u);
#endif
  return uvec3(0u);
}

void main() {
  uint group = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
  uint four = group * 64u + gl_LocalInvocationIndex, first = 4u * four, last = pixel_count - 1u;
  if (first > last) return;
  Frame f = frame(first / (WIDTH * HEIGHT));
  // Written out: compilers do not unroll a loop of this size, which would cost llvmpipe a quarter.
  uvec3 a = shade(f, first), b = shade(f, min(first + 1u, last));
  uvec3 c = shade(f, min(first + 2u, last)), d = shade(f, min(first + 3u, last));
#if WRITE_RGB
  rgb[3u * four] = a.x | a.y << 8 | a.z << 16 | b.x << 24;
  rgb[3u * four + 1u] = b.y | b.z << 8 | c.x << 16 | c.y << 24;
  rgb[3u * four + 2u] = c.z | d.x << 8 | d.y << 16 | d.z << 24;
#endif
}
