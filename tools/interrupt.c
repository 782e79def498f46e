/*
 * See interrupt.h.
 */
#include "interrupt.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

static _Atomic(lckv_cache *) watched;
static volatile sig_atomic_t came;

static void on_interrupt(int number)
{
    (void)number;
    came = 1;
    lckv_cache *cache = atomic_load(&watched);
    if (cache != NULL)
        lckv_cache_cancel(cache);
}

void interrupt_watch(lckv_cache *cache)
{
    came = 0;
    atomic_store(&watched, cache);
    /* SA_RESTART is not set, so that waiting for a line of input ends, too. */
    struct sigaction action = {.sa_handler = on_interrupt};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
}

void interrupt_unwatch(void)
{
    atomic_store(&watched, NULL);
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
}

bool interrupt_came(void)
{
    return came != 0;
}
