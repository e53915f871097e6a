// The views to draw: position and number of the scene (-1 = none), quaternion x y z w. Numbers of scenes are whole
// numbers, which would be denormal as floats; hence the words.
layout(std430, binding = 0) readonly buffer Views { uvec4 views[]; };

vec3 eye_of(uint view) { return uintBitsToFloat(views[2u * view].xyz); }
int scene_of(uint view) { return int(views[2u * view].w); }
vec4 rotation_of(uint view) { return uintBitsToFloat(views[2u * view + 1u]); }
