// The shading model. Everything between decode and encode is linear light.

// The two sRGB curves are polynomial fits, since powers cost llvmpipe as much as a texture. They differ from the exact
// curves by at most 0.43 (decode, seen through the exact encode) and 0.09 (encode) of 255.
vec3 decode_srgb(vec3 c) {
  return c * (0.0664427 + c * (0.1952178 + c * (1.7679629 + c * (0.7496902 * c - 1.7755426))));
}

vec3 encode_srgb(vec3 c) {
  vec3 r = sqrt(c);
  vec3 curve = r * (1.5177884 + r * (-1.4019067 + r * (2.0298161 + r * (0.5167610 * r - 1.6220324)))) - 0.0400998;
  return mix(12.92 * c, curve, step(0.0031308, c));
}

// Light from a bright ceiling or sky above, a darker floor below, and a lamp at the camera. `up` is the height of the
// surface's unit normal, `facing` its cosine with the direction to the camera. Surfaces have two sides: the normal is
// flipped to the camera's side first.
vec3 lit(vec3 albedo, float up, float facing) {
  float sky = 0.5 + 0.5 * (facing < 0.0 ? -up : up);
  return albedo * (mix(0.30, 0.60, sky) + 0.35 * abs(facing));
}

// The mip level at which one texel covers as much of the texture as one pixel does: `bias` is log2 of the texels that
// a pixel spans at depth 1 on a surface facing the camera, `slope` the cosine between the surface's normal and the ray
// of length 1 along the camera's axis. A pixel covers an area of depth^2 / slope times that.
float mip_level(float bias, float depth, float slope) {
  return max(bias + 0.5 * log2(depth * depth / max(abs(slope), 1e-6)), 0.0);
}

// One of the two mip levels next to `level`, for half the cost of both: over neighbouring pixels each is taken as often
// as it would weigh in their mean. The threshold is a low-discrepancy sequence over pixels (R2, Roberts, 2018).
float nearby_level(float level, vec2 pixel) {
  return floor(level + fract(dot(pixel, vec2(0.7548777, 0.5698403))));
}

// Coordinates for textures that do not simply repeat, whose sampler does: `codes` has two bits for u and two for v, 0 =
// repeat, 1 = clamp, 2 = mirror. Half a texel from the border filtering takes in nothing of the other side.
vec2 wrap(vec2 uv, uint codes, float half_texel) {
  uvec2 code = uvec2(codes & 3u, codes >> 2u);
  vec2 mirrored = 1.0 - abs(2.0 * fract(0.5 * uv) - 1.0);
  float margin = min(half_texel, 0.5);
  vec2 inside = clamp(mix(uv, mirrored, equal(code, uvec2(2u))), margin, 1.0 - margin);
  return mix(inside, uv, equal(code, uvec2(0u)));
}
