#version 430
// Turns what was rasterised into distances and triangle numbers, one thread per pixel.

layout(local_size_x = 256) in;

layout(binding = 0) uniform sampler2D window_depth;  // 1 - NEAR / distance, 1 = nothing was drawn
#if WRITE_DEPTH
layout(std430, binding = 4) writeonly buffer Depth { float depth[]; };  // metres, 0 = nothing
#endif
#if WRITE_HIT
layout(binding = 1) uniform usampler2D seen;  // undefined where nothing was drawn
layout(std430, binding = 5) writeonly buffer Hits { uint hits[]; };     // 1 + triangle, 0 = nothing
#endif

uniform uint first_pixel;
uniform uint pixel_count;

void main() {
  uint at = (gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * 256u + gl_LocalInvocationIndex;
  if (at >= pixel_count) return;
  ivec2 texel = ivec2(at % WIDTH, at / WIDTH);
  float share = 1.0 - texelFetch(window_depth, texel, 0).x;  // NEAR / distance
#if WRITE_DEPTH
  depth[first_pixel + at] = share > 0.0 ? NEAR / share : 0.0;
#endif
#if WRITE_HIT
  hits[first_pixel + at] = share > 0.0 ? texelFetch(seen, texel, 0).x : 0u;
#endif
}
