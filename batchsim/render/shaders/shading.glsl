// How a surface looks: the same for both backends. Everything between decode and encode is linear light.

vec3 decode_srgb(vec3 c) {
  return mix(c / 12.92, pow((c + 0.055) / 1.055, vec3(2.4)), step(0.04045, c));
}

vec3 encode_srgb(vec3 c) {
  return mix(c * 12.92, 1.055 * pow(c, vec3(1.0 / 2.4)) - 0.055, step(0.0031308, c));
}

// Light from a bright ceiling or sky above, a darker floor below, and a lamp at the camera. Surfaces have no back:
// `normal` and `to_eye` (unit vectors) may point to either side, and `normal` is turned to the camera first.
vec3 lit(vec3 albedo, vec3 normal, vec3 to_eye) {
  float facing = dot(normal, to_eye);
  if (facing < 0.0) { normal = -normal; facing = -facing; }
  float sky = 0.5 + 0.5 * normal.y;
  return albedo * (mix(0.30, 0.60, sky) + 0.35 * facing);
}

// The mip level at which one texel covers as much of the texture as one pixel does: `per_x` and `per_y` are the
// changes of the texture coordinates from one pixel to the next, `size` the texture's side in texels.
float mip_level(vec2 per_x, vec2 per_y, float size) {
  float area = abs(per_x.x * per_y.y - per_x.y * per_y.x) * size * size;
  return max(0.5 * log2(max(area, 1e-12)), 0.0);
}
