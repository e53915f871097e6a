// The ray of each pixel in the camera's frame, a unit vector or zeros for none, and the root of the pixel's solid angle.
layout(std430, binding = RAY_TABLE) readonly buffer Rays { vec4 rays[]; };

vec4 ray_of(uint pixel) { return rays[pixel]; }
