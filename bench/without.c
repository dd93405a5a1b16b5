/* Takes levers of the mount away, one by one, to see what each is worth: preloaded into cofferd by bench/levers.py, in no build.
   BENCH_WITHOUT is a list of writeback, readdirplus, parallel-dirops, keep-cache, cached-opendir, large-requests, cached-names. */
#define _GNU_SOURCE
#define FUSE_USE_VERSION 314
#include <dlfcn.h>
#include <fuse3/fuse_lowlevel.h>
#include <stdlib.h>
#include <string.h>

static struct fuse_lowlevel_ops ops;
static void (*their_init)(void *, struct fuse_conn_info *);

static int without(const char *lever) {
  const char *list = getenv("BENCH_WITHOUT");
  return list != NULL && strstr(list, lever) != NULL;
}

static void init(void *state, struct fuse_conn_info *connection) {
  their_init(state, connection);
  if (without("writeback")) connection->want &= ~(unsigned)FUSE_CAP_WRITEBACK_CACHE;
  if (without("readdirplus")) connection->want &= ~(unsigned)(FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO);
  if (without("parallel-dirops")) connection->want &= ~(unsigned)FUSE_CAP_PARALLEL_DIROPS;
  if (without("large-requests")) connection->max_write = connection->max_readahead = 128 * 1024;  // reads: -o max_read
}

static void opendir_each(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *handle) {
  (void)ino;
  fuse_reply_open(request, handle);
}

struct fuse_session *fuse_session_new(struct fuse_args *args, const struct fuse_lowlevel_ops *op, size_t size, void *state) {
  struct fuse_session *(*next)(struct fuse_args *, const struct fuse_lowlevel_ops *, size_t, void *);
  *(void **)&next = dlsym(RTLD_NEXT, "fuse_session_new");
  memcpy(&ops, op, size < sizeof(ops) ? size : sizeof(ops));
  their_init = ops.init;
  ops.init = init;
  if (without("cached-opendir")) ops.opendir = opendir_each;
  return next(args, &ops, sizeof(ops), state);
}

int fuse_reply_open(fuse_req_t request, const struct fuse_file_info *handle) {
  int (*next)(fuse_req_t, const struct fuse_file_info *);
  *(void **)&next = dlsym(RTLD_NEXT, "fuse_reply_open");
  struct fuse_file_info mine = *handle;
  if (without("keep-cache")) mine.keep_cache = 0;
  return next(request, &mine);
}

int fuse_reply_entry(fuse_req_t request, const struct fuse_entry_param *entry) {
  int (*next)(fuse_req_t, const struct fuse_entry_param *);
  *(void **)&next = dlsym(RTLD_NEXT, "fuse_reply_entry");
  struct fuse_entry_param mine = *entry;
  if (without("cached-names")) mine.entry_timeout = mine.attr_timeout = 1;
  return next(request, &mine);
}
