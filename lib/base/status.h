/*
 * Statuses and the thread's message: how every function of the library reports a failure.
 *
 * Remarks that are no errors go through remark.h.
 */
#ifndef LCKV_BASE_STATUS_H
#define LCKV_BASE_STATUS_H

#include "lckv.h"

/*
 * Stores the formatted message for lckv_last_error() and returns `status`, so that a failure is one
 * line: `return fail(LCKV_BAD_FORMAT, "%s: ...", ...);`. Allocates nothing; cuts what is too long.
 * Text from files goes through quoted() first.
 */
__attribute__((format(printf, 2, 3))) lckv_status fail(lckv_status status, const char *format, ...);

/*
 * Puts "context: " before the current message, so that a caller adds the file or the tensor to what
 * a callee said. Returns `status`.
 */
__attribute__((format(printf, 2, 3))) lckv_status fail_in(lckv_status status, const char *format,
                                                          ...);

/* This thread's message, a copy of it (as lckv_last_error_copy), and the name of a status. */
const char *status_message(void);
size_t status_message_copy(char *buffer, size_t capacity);
const char *status_name(lckv_status status);

/*
 * Untrusted bytes as printable text in quotes, cut to a readable length, in a buffer of this
 * struct: `fail(..., "no key %s", quoted(text, length).text)`.
 */
struct quoted {
    char text[96];
};
struct quoted quoted(const char *text, size_t length);

/* The same for a NUL-terminated string. */
struct quoted quoted_string(const char *text);

#endif
