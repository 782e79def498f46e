/*
 * Structs that carry their size, which is how options come in and results go out, and the checks
 * that every public function makes of its arguments.
 *
 * Callers may have been compiled against an older or a newer header. An older struct ends earlier:
 * its missing members are zero, which means defaults. A newer one is longer: the members that this
 * version does not know must be zero.
 */
#ifndef LCKV_API_OPTIONS_H
#define LCKV_API_OPTIONS_H

#include "base/checked.h"
#include "lckv.h"

/*
 * Sizes are multiples of 8, so that an older struct never ends inside a member. The least size has
 * one member beside the size, which catches `sizeof pointer`. The most keeps a size that was never
 * set from leading far beyond the struct.
 */
#define OPTIONS_LEAST_SIZE 16
#define OPTIONS_MOST_SIZE 4096

/*
 * Copies the caller's struct into `full`, of `full_size` bytes, zeroes what it lacks and sets its
 * size. If `given` is NULL, all is zero. `name` is the name of the struct, for messages.
 */
CHECKED lckv_status options_read(void *full, size_t full_size, const void *given, const char *name);

/*
 * Clears a caller's struct of `size` bytes and sets its size, as the lckv_..._options_init promise.
 */
CHECKED lckv_status options_init(void *options, size_t size, const char *name);

/*
 * Checks that the size of a caller's result struct is possible, for calls that do work before they
 * write. `full_size` is the size in this version.
 */
CHECKED lckv_status result_check(const void *given, size_t full_size, const char *name);

/*
 * Copies as much of `full`, of `full_size` bytes, as the caller's struct takes, zeroes the rest of
 * a longer struct and keeps its size. Fails only where result_check does.
 */
CHECKED lckv_status result_write(void *given, const void *full, size_t full_size, const char *name);

/* "<call>: <argument> is NULL". */
CHECKED lckv_status argument_null(const char *call, const char *argument);

/* "<argument> is <value>; expected <expected>". */
CHECKED lckv_status argument_range(const char *argument, int64_t value, const char *expected);

/* `flags` must not have bits outside `known`. */
CHECKED lckv_status argument_flags(const char *call, uint32_t flags, uint32_t known);

/* An array of `n` elements must not be NULL unless it is empty. */
CHECKED lckv_status argument_array(const char *call, const char *argument, const void *array,
                                   size_t n);

/* Checks the buffer and the length of a two-call function. */
CHECKED lckv_status argument_buffer(const char *call, const void *buffer, size_t capacity,
                                    const size_t *length);

#endif
