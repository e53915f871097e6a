#version 430
// Only the depth buffer is written.
void main() {}
