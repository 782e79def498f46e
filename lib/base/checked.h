/*
 * CHECKED declares a function whose answer says whether it worked: the compiler warns of callers
 * that do not look at it.
 */
#ifndef LCKV_BASE_CHECKED_H
#define LCKV_BASE_CHECKED_H

#define CHECKED __attribute__((warn_unused_result))

#endif
