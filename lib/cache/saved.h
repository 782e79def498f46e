/*
 * Saved sessions: bytes from which a cache of the same model makes the same sessions again.
 * docs/saved-sessions.md has the format.
 *
 * Keys and values are saved in parts (saved_parts.h). A page that several sessions hold is saved
 * once: parts have numbers, in the order in which they are first named, and each session names its
 * own.
 */
#ifndef LCKV_CACHE_SAVED_H
#define LCKV_CACHE_SAVED_H

#include "base/frames.h"
#include "cache/session.h"

/* Room for the key and the value of a head of any slot, as plain bytes. */
size_t saved_plain_bytes(const struct lckv_cache *cache);

/*
 * These do what lckv_sessions_save and the other three say. The cache must be entered; options are
 * of full size. `n_sessions` gets their number also with LCKV_BUFFER_TOO_SMALL.
 */
CHECKED lckv_status sessions_save(struct lckv_session *const *sessions, size_t n_sessions,
                                  frame_write_function write, void *user,
                                  const lckv_save_options *options);
CHECKED lckv_status sessions_save_file(struct lckv_session *const *sessions, size_t n_sessions,
                                       const char *path, const lckv_save_options *options);
CHECKED lckv_status sessions_restore(struct lckv_cache *cache, frame_read_function read, void *user,
                                     const lckv_restore_options *options,
                                     struct lckv_session **sessions, size_t capacity,
                                     size_t *n_sessions);
CHECKED lckv_status sessions_restore_file(struct lckv_cache *cache, const char *path,
                                          const lckv_restore_options *options,
                                          struct lckv_session **sessions, size_t capacity,
                                          size_t *n_sessions);

#endif
