/*
 * A library for LD_PRELOAD that makes one allocation of the process fail, or that one and all after
 * it. It does not matter who allocates: the library under test, those beneath it, or the C library.
 * It also counts what is allocated and not yet freed.
 */
#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

/* glibc offers its own functions under these names, so that nothing has to be looked up here. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t align, size_t size);
void __libc_free(void *pointer);

void malloc_faults_begin(long nth, bool and_after);
bool malloc_faults_end(long *n_kept);

static atomic_bool is_counting, all_after;
static atomic_long n_until_fault, n_out;
static atomic_bool has_failed;

/* From now on the `nth` allocation fails. With `and_after`, all later ones fail too. */
void malloc_faults_begin(long nth, bool and_after)
{
    n_until_fault = nth;
    all_after = and_after;
    has_failed = false;
    n_out = 0;
    is_counting = true;
}

/*
 * Ends the faults. Tells whether there was one, and how many more blocks there are than at the
 * start.
 */
bool malloc_faults_end(long *n_kept)
{
    is_counting = false;
    *n_kept = n_out;
    return has_failed;
}

static bool is_refused(void)
{
    if (!is_counting)
        return false;
    long left = atomic_fetch_sub(&n_until_fault, 1);
    if (left != 1 && !(left < 1 && all_after))
        return false;
    has_failed = true;
    errno = ENOMEM;
    return true;
}

static void *counted(void *pointer)
{
    if (is_counting && pointer != NULL)
        n_out++;
    return pointer;
}

void *malloc(size_t size)
{
    return is_refused() ? NULL : counted(__libc_malloc(size));
}

void *calloc(size_t n, size_t size)
{
    return is_refused() ? NULL : counted(__libc_calloc(n, size));
}

void *realloc(void *old, size_t size)
{
    if (is_refused())
        return NULL;
    void *pointer = __libc_realloc(old, size);
    return old == NULL ? counted(pointer) : pointer;
}

void *memalign(size_t align, size_t size)
{
    return is_refused() ? NULL : counted(__libc_memalign(align, size));
}

void *aligned_alloc(size_t align, size_t size)
{
    return memalign(align, size);
}

int posix_memalign(void **pointer, size_t align, size_t size)
{
    void *got = memalign(align, size);
    if (got == NULL)
        return ENOMEM;
    *pointer = got;
    return 0;
}

void free(void *pointer)
{
    if (is_counting && pointer != NULL)
        n_out--;
    __libc_free(pointer);
}
