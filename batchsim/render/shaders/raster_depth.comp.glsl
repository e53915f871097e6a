#version 430
// Turns rasterised depth into metres, one thread per pixel.

layout(local_size_x = 256) in;

// Window depth is 1 - NEAR / distance, 1 where nothing was drawn. It is read from the depth texture, or in place from
// the output, to which it was copied before.
#if FROM_TEXTURE
layout(binding = 0) uniform sampler2D window_depth;
#endif
layout(std430, binding = 4) buffer Depth { float depth[]; };  // metres, 0 = nothing

uniform uint first_pixel;
uniform uint pixel_count;

void main() {
  uint at = (gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * 256u + gl_LocalInvocationIndex;
  if (at >= pixel_count) return;
#if FROM_TEXTURE
  float window = texelFetch(window_depth, ivec2(at % WIDTH, at / WIDTH), 0).x;
#else
  float window = depth[first_pixel + at];
#endif
  float share = 1.0 - window;  // NEAR / distance
  depth[first_pixel + at] = share > 0.0 ? NEAR / share : 0.0;
}
