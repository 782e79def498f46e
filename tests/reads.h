/*
 * A pread() of the test program, which the library calls instead of the C library's: it counts what
 * is read, and fails, waits, is slow or refuses direct reads when a test asks for that.
 */
#ifndef LCKV_TESTS_READS_H
#define LCKV_TESTS_READS_H

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static struct {
    _Atomic uint64_t n_bytes;   /* read so far */
    _Atomic int64_t fail_from;  /* reads that begin at or behind this byte fail with EIO; 0: none */
    _Atomic int64_t stuck_from; /* such reads do not return while this is set; 0: none */
    _Atomic int milliseconds;   /* that each read takes at least */
    _Atomic bool no_direct;     /* O_DIRECT is refused with EINVAL */
    _Atomic int n_buffered;     /* reads of files without O_DIRECT, if no_direct is set */
} reads;

/* Reads are as usual again. */
static inline void reads_reset(void)
{
    reads.fail_from = reads.stuck_from = 0;
    reads.milliseconds = 0;
    reads.no_direct = false;
    reads.n_buffered = 0;
}

static inline void reads_sleep(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

ssize_t pread(int descriptor, void *buffer, size_t length, off_t offset)
{
    const int wait = reads.milliseconds;
    if (wait > 0)
        nanosleep(&(struct timespec){wait / 1000, wait % 1000 * 1000000L}, NULL);
    while (reads.stuck_from != 0 && offset >= reads.stuck_from)
        reads_sleep();
    if (reads.fail_from != 0 && offset >= reads.fail_from) {
        errno = EIO;
        return -1;
    }
    if (reads.no_direct) {
        if ((fcntl(descriptor, F_GETFL) & O_DIRECT) != 0) {
            errno = EINVAL;
            return -1;
        }
        reads.n_buffered++;
    }
    ssize_t got = syscall(SYS_pread64, descriptor, buffer, length, offset);
    if (got > 0)
        reads.n_bytes += (uint64_t)got;
    return got;
}

#endif
