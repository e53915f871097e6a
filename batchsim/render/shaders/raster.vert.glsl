#version 430
// Places a scene's vertex in the tile of its view. Row 0 of an image is its top, so y points down here.

in vec3 position;
in vec4 eye_scene;  // camera position, scene (unused)
in vec4 rotation;   // camera to world, quaternion x y z w
in int tile;
#if WRITE_HIT
in int first_index;  // where the view's scene begins among the indices
flat out int first_hit;
#endif

out gl_PerVertex {
  vec4 gl_Position;
  float gl_ClipDistance[PLANES];
};

// The vector turned by the inverse of a unit quaternion.
vec3 unrotate(vec3 v, vec4 q) {
  vec3 t = 2.0 * cross(v, q.xyz);
  return v + q.w * t + cross(t, q.xyz);
}

void main() {
#if WRITE_HIT
  first_hit = first_index / 3 + 1;
#endif
  vec3 p = unrotate(position - eye_scene.xyz, rotation);
  float distance = -p.z;
  float x = p.x / TAN_HALF_WIDTH, y = -p.y / TAN_HALF_HEIGHT;
  gl_ClipDistance[0] = distance - y;
  gl_ClipDistance[1] = distance + y;
  float row_centre = (2.0 * float(tile % ROWS) + 1.0) / float(ROWS) - 1.0;
#if COLUMNS > 1
  gl_ClipDistance[2] = distance - x;
  gl_ClipDistance[3] = distance + x;
  float column_centre = (2.0 * float(tile / ROWS) + 1.0) / float(COLUMNS) - 1.0;
  gl_Position.x = x / float(COLUMNS) + column_centre * distance;
#else
  gl_Position.x = x;
#endif
  gl_Position.y = y / float(ROWS) + row_centre * distance;
  gl_Position.z = distance - 2.0 * NEAR;  // window depth 1 - near / distance: far plane at infinity
  gl_Position.w = distance;
}
