// How the services' allocator is set: the libraries of a service read this symbol where they are jemalloc, and
// MALLOC_CONF after it. A gateway has some sixty threads, most of them asleep: with jemalloc's defaults what each keeps
// to itself comes to 7 MB.
extern "C" {
extern const char* malloc_conf;
const char* malloc_conf = "narenas:2,lg_tcache_max:13";
}
