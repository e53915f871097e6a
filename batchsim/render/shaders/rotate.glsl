// The vector turned by a unit quaternion x y z w.
vec3 rotate(vec3 v, vec4 q) {
  vec3 t = 2.0 * cross(q.xyz, v);
  return v + q.w * t + cross(q.xyz, t);
}

// The vector turned by its inverse.
vec3 unrotate(vec3 v, vec4 q) { return rotate(v, vec4(-q.xyz, q.w)); }
