#version 430
// Which triangle is seen: 1 + its number, counted through all scenes. gl_PrimitiveID begins at 0 in every view's command.

flat in int first_hit;
out uint hit;

void main() { hit = uint(first_hit + gl_PrimitiveID); }
