#version 430
// Writes which triangle is seen: 1 + its number, counted through all scenes.

flat in uint seen;
out uint hit;

void main() { hit = seen; }
