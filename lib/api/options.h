/*
 * Structs that carry their size: the one way in which options come in and results go out, and the
 * checks that every public function makes of its arguments.
 *
 * Callers may have been compiled against an older or a newer header. An older struct ends earlier:
 * its missing members are zero, so defaults. A newer one is longer: what this version does not know
 * must be zero.
 */
#ifndef LCKV_API_OPTIONS_H
#define LCKV_API_OPTIONS_H

#include "base/checked.h"
#include "lckv.h"

/*
 * Sizes are multiples of 8, so that an older struct never ends inside a member; hold one member
 * beside the size, which catches `sizeof pointer`; and are at most this, so that a size nobody has
 * set does not lead far beyond the struct.
 */
#define OPTIONS_LEAST_SIZE 16
#define OPTIONS_MOST_SIZE 4096

/*
 * Copies the caller's struct into `full`, of `full_size` bytes, zeroes what it lacks and sets its
 * size. `given` NULL: all zero. `name` is the struct's, for messages.
 */
CHECKED lckv_status options_read(void *full, size_t full_size, const void *given, const char *name);

/* Clears a caller's struct of `size` bytes and sets its size. As lckv_..._options_init. */
CHECKED lckv_status options_init(void *options, size_t size, const char *name);

/*
 * Whether a caller's result struct has a size that can be; for calls that do work before they
 * write. `full_size` is this version's.
 */
CHECKED lckv_status result_check(const void *given, size_t full_size, const char *name);

/*
 * Copies `full`, of `full_size` bytes, to the caller's struct as far as that goes, zeroes the rest
 * of a longer one and keeps its size. Fails only where result_check does.
 */
CHECKED lckv_status result_write(void *given, const void *full, size_t full_size, const char *name);

/* "<call>: <argument> is NULL". */
CHECKED lckv_status argument_null(const char *call, const char *argument);

/* "<argument> is <value>; expected <expected>". */
CHECKED lckv_status argument_range(const char *argument, int64_t value, const char *expected);

/* `flags` must not have bits outside `known`. */
CHECKED lckv_status argument_flags(const char *call, uint32_t flags, uint32_t known);

/* An array of `n` elements: not NULL unless it is empty. */
CHECKED lckv_status argument_array(const char *call, const char *argument, const void *array,
                                   size_t n);

/* The buffer and the length of a two-call function. */
CHECKED lckv_status argument_buffer(const char *call, const void *buffer, size_t capacity,
                                    const size_t *length);

#endif
