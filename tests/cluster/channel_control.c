/* A library for LD_PRELOAD: the program's gRPC channels are made without the argument that the variable DROPPED_CHANNEL_ARGUMENT names, so with
   what gRPC has by itself. For controls: what a test sees of a service with that argument it must not see without. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <grpc/grpc.h>
#include <stdlib.h>
#include <string.h>

typedef grpc_channel* (*create_channel)(const char*, grpc_channel_credentials*, const grpc_channel_args*);

grpc_channel* grpc_channel_create(const char* target, grpc_channel_credentials* credentials, const grpc_channel_args* asked) {
  const char* dropped = getenv("DROPPED_CHANNEL_ARGUMENT");
  grpc_channel_args kept = {0, calloc(asked->num_args, sizeof(grpc_arg))};
  if (dropped == NULL || kept.args == NULL) abort();
  for (size_t i = 0; i < asked->num_args; ++i) {
    if (strcmp(asked->args[i].key, dropped) != 0) kept.args[kept.num_args++] = asked->args[i];
  }
  if (kept.num_args == asked->num_args) abort(); /* a control of nothing */
  create_channel create = (create_channel)dlsym(RTLD_NEXT, "grpc_channel_create");
  grpc_channel* channel = create(target, credentials, &kept); /* copies them */
  free(kept.args);
  return channel;
}
