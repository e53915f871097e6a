// A libcuda.so.1 with one device that shares OpenGL buffers by copying them, and writes what it is asked for to stderr.
// It refuses what CUDA refuses: no CUDA context, no OpenGL context, a buffer mapped or unmapped twice.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void *pointer;
enum { SUCCESS = 0, INVALID_CONTEXT = 201, ALREADY_MAPPED = 208, NOT_MAPPED = 211, INVALID_GRAPHICS_CONTEXT = 219,
       NOT_SUPPORTED = 801 };
enum { ARRAY_BUFFER = 0x8892, BUFFER_SIZE = 0x8764 };
#define LOG(...) do { fprintf(stderr, "libcuda: " __VA_ARGS__); fputc('\n', stderr); } while (0)

static char primary[8];
static pointer current = 0;

struct resource { unsigned name; int mapped; int size; char *memory; };

static pointer egl(const char *name) {
  static pointer library;
  if (!library) library = dlopen("libEGL.so.1", RTLD_LAZY);
  return dlsym(library, name);
}
static pointer gl(const char *name) { return ((pointer(*)(const char *))egl("eglGetProcAddress"))(name); }
static int has_gl_context(void) { return ((pointer(*)(void))egl("eglGetCurrentContext"))() != 0; }
static void bind(unsigned name) { ((void (*)(unsigned, unsigned))gl("glBindBuffer"))(ARRAY_BUFFER, name); }

static int unknown(void) { return NOT_SUPPORTED; }
int cuInit(unsigned flags) { return SUCCESS; }
int cuDriverGetVersion(int *version) { *version = 13000; return SUCCESS; }
int cuDeviceGetCount(int *count) { *count = 1; return SUCCESS; }
int cuDeviceGet(int *device, int index) { *device = index; return SUCCESS; }
int cuDeviceGetAttribute(int *value, int attribute, int device) { *value = 9; return SUCCESS; }
int cuDevicePrimaryCtxRetain(pointer *context, int device) { *context = primary; return SUCCESS; }
int cuCtxSetCurrent(pointer context) { current = context; return SUCCESS; }
int cuCtxGetCurrent(pointer *context) { *context = current; return SUCCESS; }
int cuCtxGetDevice(int *device) { *device = 0; return current ? SUCCESS : INVALID_CONTEXT; }
int cuStreamGetCtx(pointer stream, pointer *context) { *context = primary; return SUCCESS; }
int cuGetErrorName(int error, const char **text) {
  static char name[32];
  snprintf(name, sizeof name, "FAKE_ERROR_%d", error);
  *text = name;
  return SUCCESS;
}
int cuGetErrorString(int error, const char **text) { return cuGetErrorName(error, text); }

int cuGraphicsGLRegisterBuffer(pointer *out, unsigned name, unsigned flags) {
  if (!current) { LOG("register without a CUDA context"); return INVALID_CONTEXT; }
  if (!has_gl_context()) { LOG("register without an OpenGL context"); return INVALID_GRAPHICS_CONTEXT; }
  struct resource *made = calloc(1, sizeof *made);
  made->name = name;
  bind(name);
  ((void (*)(unsigned, unsigned, int *))gl("glGetBufferParameteriv"))(ARRAY_BUFFER, BUFFER_SIZE, &made->size);
  made->memory = malloc(made->size ? made->size : 1);
  *out = made;
  LOG("register %u", name);
  return SUCCESS;
}

int cuGraphicsMapResources(unsigned count, pointer *resources, pointer stream) {
  if (!has_gl_context()) { LOG("map without an OpenGL context"); return INVALID_GRAPHICS_CONTEXT; }
  for (unsigned i = 0; i < count; i++) {
    struct resource *it = resources[i];
    if (it->mapped) return ALREADY_MAPPED;
    it->mapped = 1;
    bind(it->name);
    ((void (*)(unsigned, long, long, pointer))gl("glGetBufferSubData"))(ARRAY_BUFFER, 0, it->size, it->memory);
  }
  LOG("map %u on stream %p", count, stream);
  return SUCCESS;
}

int cuGraphicsResourceGetMappedPointer_v2(uint64_t *address, size_t *size, pointer resource) {
  struct resource *it = resource;
  if (!it->mapped) return NOT_MAPPED;
  *address = (uint64_t)it->memory;
  *size = it->size;
  return SUCCESS;
}

int cuGraphicsUnmapResources(unsigned count, pointer *resources, pointer stream) {
  if (!has_gl_context()) { LOG("unmap without an OpenGL context"); return INVALID_GRAPHICS_CONTEXT; }
  for (unsigned i = 0; i < count; i++) {
    struct resource *it = resources[i];
    if (!it->mapped) return NOT_MAPPED;
    it->mapped = 0;
    bind(it->name);
    ((void (*)(unsigned, long, long, pointer))gl("glBufferSubData"))(ARRAY_BUFFER, 0, it->size, it->memory);
    memset(it->memory, 0xCD, it->size);
  }
  LOG("unmap %u on stream %p", count, stream);
  return SUCCESS;
}

int cuGraphicsUnregisterResource(pointer resource) {
  struct resource *it = resource;
  LOG("unregister %u%s%s", it->name, it->mapped ? " while mapped" : "",
      has_gl_context() ? "" : " without an OpenGL context");
  return SUCCESS;
}

int cuGetProcAddress_v2(const char *name, pointer *function, int version, uint64_t flags, int *status) {
  static pointer self;
  if (!self) self = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD);
  char second[128];
  snprintf(second, sizeof second, "%s_v2", name);
  pointer found = dlsym(self, name);
  if (!found) found = dlsym(self, second);
  *function = found ? found : (pointer)unknown;
  if (!strcmp(name, "cuGetProcAddress")) *function = (pointer)cuGetProcAddress_v2;
  if (status) *status = 0;
  return SUCCESS;
}
int cuGetProcAddress(const char *name, pointer *function, int version, uint64_t flags) {
  return cuGetProcAddress_v2(name, function, version, flags, 0);
}
