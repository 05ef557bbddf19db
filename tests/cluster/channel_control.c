/* A library for LD_PRELOAD: the program's gRPC channels are made without the argument that the variable DROPPED_CHANNEL_ARGUMENT names, so with
   what gRPC has by itself. For controls: what a test sees of a service with that argument it must not see without.

   gRPC may be part of the program (cmake/StaticLibraries.cmake), where no library comes before it. So the function's first bytes are overwritten by a
   jump, and put back while it is called. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <grpc/grpc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef grpc_channel* (*create_channel)(const char*, grpc_channel_credentials*, const grpc_channel_args*);

enum { JUMP_SIZE = 12, ADDRESS_AT = 2 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static unsigned char* place;
static unsigned char as_it_was[JUMP_SIZE];
static unsigned char jump[JUMP_SIZE] = {0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xe0}; /* movabs to rax, jmp rax */

static grpc_channel* create_without(const char* target, grpc_channel_credentials* credentials, const grpc_channel_args* asked) {
  const char* dropped = getenv("DROPPED_CHANNEL_ARGUMENT");
  grpc_channel_args kept = {0, calloc(asked->num_args + 1, sizeof(grpc_arg))};
  if (dropped == NULL || kept.args == NULL) abort();
  for (size_t i = 0; i < asked->num_args; ++i) {
    if (strcmp(asked->args[i].key, dropped) != 0) kept.args[kept.num_args++] = asked->args[i];
  }
  /* A control of nothing, unless it is the channel that nobody listens to (rpc/one_poller.cc). */
  if (kept.num_args == asked->num_args && strncmp(target, "unix:", 5) != 0) abort();
  pthread_mutex_lock(&mutex);
  memcpy(place, as_it_was, JUMP_SIZE);
  grpc_channel* channel = ((create_channel)(uintptr_t)place)(target, credentials, &kept); /* copies them */
  memcpy(place, jump, JUMP_SIZE);
  pthread_mutex_unlock(&mutex);
  free(kept.args);
  return channel;
}

__attribute__((constructor)) static void overwrite(void) {
  place = dlsym(RTLD_DEFAULT, "grpc_channel_create");
  if (place == NULL) return; /* another program of the container */
  const uintptr_t size = (uintptr_t)sysconf(_SC_PAGESIZE), begin = (uintptr_t)place & ~(size - 1);
  const uintptr_t end = ((uintptr_t)place + JUMP_SIZE + size - 1) & ~(size - 1);
  if (mprotect((void*)begin, end - begin, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) abort();
  const uintptr_t to = (uintptr_t)create_without;
  memcpy(jump + ADDRESS_AT, &to, sizeof(to));
  memcpy(as_it_was, place, JUMP_SIZE);
  memcpy(place, jump, JUMP_SIZE);
}
