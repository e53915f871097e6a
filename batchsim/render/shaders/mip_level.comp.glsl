#version 430
// Computes a mip level of one layer from the next finer one: the mean of four texels, in linear light.

layout(local_size_x = 8, local_size_y = 8) in;

layout(rgba8, binding = 0) uniform readonly image2DArray finer;
layout(rgba8, binding = 1) uniform writeonly image2DArray coarser;

uniform int layer;

vec3 to_linear(vec3 c) {
  return mix(c / 12.92, pow((c + 0.055) / 1.055, vec3(2.4)), greaterThan(c, vec3(0.04045)));
}

vec3 to_srgb(vec3 c) {
  return mix(12.92 * c, 1.055 * pow(c, vec3(1.0 / 2.4)) - 0.055, greaterThan(c, vec3(0.0031308)));
}

vec3 texel(ivec2 at) { return to_linear(imageLoad(finer, ivec3(at, layer)).xyz); }

void main() {
  ivec2 at = ivec2(gl_GlobalInvocationID.xy);
  if (any(greaterThanEqual(at, imageSize(coarser).xy))) return;
  vec3 sum = texel(2 * at) + texel(2 * at + ivec2(1, 0)) + texel(2 * at + ivec2(0, 1)) + texel(2 * at + ivec2(1, 1));
  imageStore(coarser, ivec3(at, layer), vec4(to_srgb(0.25 * sum), 1.0));
}
