/*
 * Kept sessions: sessions that were released, but whose pages stay as long as no call needs them,
 * so that a session that begins with the same tokens need not compute them again. The list goes
 * from the one that was used last to the one that is given up first.
 */
#ifndef LCKV_CACHE_KEPT_H
#define LCKV_CACHE_KEPT_H

#include "cache/session.h"

/*
 * Keeps a session that its owner released, if another could use it, or ends it. The caller releases
 * the session's reference on the cache afterwards. Needs the cache's mutex.
 */
void keep_or_destroy(struct lckv_session *session);

/*
 * Shortens the kept session that was used longest ago by one page of positions, or ends it, which
 * gives back one page at least. There must be a kept session.
 */
void give_up_kept(struct lckv_cache *cache);

/* Gives up all of them. */
void give_up_all_kept(struct lckv_cache *cache);

/* The bytes of tables that this would free. */
uint64_t kept_table_bytes(const struct lckv_cache *cache);

/*
 * Makes an empty session of the first `length` tokens of a kept one, which no list has any more,
 * and ends the kept one. Takes no memory.
 */
void revive_kept(struct lckv_session *kept, uint64_t length, struct lckv_session *session);

#endif
