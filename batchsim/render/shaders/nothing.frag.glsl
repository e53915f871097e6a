#version 430
// Only the depth buffer is wanted.
void main() {}
