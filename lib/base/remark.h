/*
 * Remarks are what a call has to say besides its result. Each is a line that goes to the caller's
 * log callback. For failures see status.h.
 */
#ifndef LCKV_BASE_REMARK_H
#define LCKV_BASE_REMARK_H

#include "lckv.h"

#include <stdbool.h>

struct remarks {
    lckv_log_callback log; /* may be NULL */
    void *user;
    bool all; /* remarks of one kind are not cut off after the first few */
};

/* Allocates nothing; cuts what is too long. Text from files goes through quoted() first. */
__attribute__((format(printf, 2, 3))) void remark(const struct remarks *remarks, const char *format,
                                                  ...);

#endif
