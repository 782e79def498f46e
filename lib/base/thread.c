/*
 * Threads of the library's own. See thread.h.
 */
#include "base/thread.h"

#include <signal.h>
#include <stddef.h>

#define STACK_BYTES ((size_t)1 << 20)

bool thread_start(pthread_t *thread, void *(*function)(void *), void *argument)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0)
        return false;
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    /*
     * The host's signal handlers must not run on threads that the host does not know. But a signal
     * that a thread raises itself (SIGBUS, if a mapped file was truncated) would end the process if
     * it were blocked.
     */
    static const int own[] = {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
    sigfillset(&all);
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        sigdelset(&all, own[i]);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(thread, &attributes, function, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return error == 0;
}
