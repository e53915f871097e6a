#version 430
// Turns rasterised depth into metres, one thread per pixel.

layout(local_size_x = 256) in;

layout(binding = 0) uniform sampler2D window_depth;                    // 1 - NEAR / distance, 1 = nothing was drawn
layout(std430, binding = 4) writeonly buffer Depth { float depth[]; };  // metres, 0 = nothing

uniform uint first_pixel;
uniform uint pixel_count;

void main() {
  uint at = (gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * 256u + gl_LocalInvocationIndex;
  if (at >= pixel_count) return;
  float share = 1.0 - texelFetch(window_depth, ivec2(at % WIDTH, at / WIDTH), 0).x;  // NEAR / distance
  depth[first_pixel + at] = share > 0.0 ? NEAR / share : 0.0;
}
