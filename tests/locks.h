/*
 * Mutexes that watch how they are used: a thread that locks one twice, or unlocks one that it does
 * not hold, ends the program, as does who destroys one that is held. All that a test calls takes
 * these in the place of the C library's. ThreadSanitizer has watches of its own.
 */
#ifndef LCKV_TESTS_LOCKS_H
#define LCKV_TESTS_LOCKS_H

#ifndef __SANITIZE_THREAD__

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int (*on_mutex)(pthread_mutex_t *mutex);
typedef int (*on_new_mutex)(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes);

static on_mutex real_lock, real_unlock, real_destroy;
static on_new_mutex real_init;

/* POSIX lets a pointer to an object be one to a function, and ISO C does not. */
static inline void find_real(const char *name, void *function)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL)
        abort();
    memcpy(function, &found, sizeof found);
}

__attribute__((constructor)) static void find_real_functions(void)
{
    find_real("pthread_mutex_lock", &real_lock);
    find_real("pthread_mutex_unlock", &real_unlock);
    find_real("pthread_mutex_destroy", &real_destroy);
    find_real("pthread_mutex_init", &real_init);
}

static inline int check_lock(const char *action, int error)
{
    if (error != 0) {
        fprintf(stderr, "a thread %s a mutex wrongly: %s\n", action, strerror(error));
        abort();
    }
    return error;
}

int pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes)
{
    pthread_mutexattr_t checked;
    if (attributes != NULL)
        return real_init(mutex, attributes);
    pthread_mutexattr_init(&checked);
    pthread_mutexattr_settype(&checked, PTHREAD_MUTEX_ERRORCHECK);
    int error = real_init(mutex, &checked);
    pthread_mutexattr_destroy(&checked);
    return error;
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    if (real_lock == NULL) /* before main */
        find_real_functions();
    return check_lock("locks", real_lock(mutex));
}

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    if (real_unlock == NULL)
        find_real_functions();
    return check_lock("unlocks", real_unlock(mutex));
}

int pthread_mutex_destroy(pthread_mutex_t *mutex)
{
    return check_lock("destroys", real_destroy(mutex));
}

#endif

#endif
