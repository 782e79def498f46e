/*
 * Asks Linux to let this process use AMX tiles, which the kernel sets "amx" and "amxbf16" need. The
 * library leaves that to programs, because it applies to the whole process.
 */
#ifndef TOOLS_TILES_H
#define TOOLS_TILES_H

#if defined(__linux__) && defined(__x86_64__)
#include <sys/syscall.h>
#include <unistd.h>

static inline void request_tiles(void)
{
    const int request_permission = 0x1023, tile_data = 18;  /* ARCH_REQ_XCOMP_PERM, XTILEDATA */
    syscall(SYS_arch_prctl, request_permission, tile_data); /* if it fails, other sets are used */
}
#else
static inline void request_tiles(void)
{
}
#endif

#endif
