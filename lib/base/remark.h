/*
 * Remarks: what a call has to say besides its result, one line each, to the log callback of the
 * caller. Failures are in status.h.
 */
#ifndef LCKV_BASE_REMARK_H
#define LCKV_BASE_REMARK_H

#include "lckv.h"

struct remarks {
    lckv_log_callback log; /* may be NULL */
    void *user;
};

/* Allocates nothing; cuts what is too long. Text from files goes through quoted() first. */
__attribute__((format(printf, 2, 3))) void remark(const struct remarks *remarks, const char *format,
                                                  ...);

#endif
