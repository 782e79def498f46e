/*
 * lckv_pool_*: threads that models and caches share.
 */
#include "api/options.h"
#include "base/pool.h"

/* More than any machine has cores: a larger number is a mistake. */
#define POOL_MOST_THREADS 1024

lckv_status lckv_pool_create(uint32_t n_threads, lckv_pool **pool)
{
    if (pool == NULL)
        return argument_null(__func__, "pool");
    if (n_threads > POOL_MOST_THREADS)
        return argument_range("n_threads", n_threads, "at most 1024");
    return pool_create(n_threads, &memory_default_allocator, pool);
}

void lckv_pool_retain(lckv_pool *pool)
{
    if (pool != NULL)
        pool_retain(pool);
}

void lckv_pool_release(lckv_pool *pool)
{
    if (pool != NULL)
        pool_release(pool);
}
