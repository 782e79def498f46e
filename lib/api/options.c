/*
 * Structs that carry their size, and checks of arguments. See options.h.
 */
#include "api/options.h"

#include "base/status.h"

#include <stdbool.h>
#include <string.h>

static bool is_possible(size_t size)
{
    return size >= OPTIONS_LEAST_SIZE && size <= OPTIONS_MOST_SIZE && size % 8 == 0;
}

static lckv_status check_size(size_t size, size_t full_size, const char *name)
{
    if (is_possible(size))
        return LCKV_OK;
    return fail(LCKV_INVALID_ARGUMENT,
                "%s.size is %zu, which no version has; expected sizeof(%s), %zu in "
                "version " LCKV_VERSION_STRING,
                name, size, name, full_size);
}

/* Reads the first member. The struct may be of another version, so it has no type here. */
static size_t given_size(const void *given)
{
    size_t size;
    memcpy(&size, given, sizeof size);
    return size;
}

lckv_status options_read(void *full, size_t full_size, const void *given, const char *name)
{
    memset(full, 0, full_size);
    if (given != NULL) {
        size_t size = given_size(given);
        lckv_status status = check_size(size, full_size, name);
        if (status != LCKV_OK)
            return status;
        const unsigned char *bytes = given;
        for (size_t i = full_size; i < size; i++) {
            if (bytes[i] != 0)
                return fail(LCKV_INVALID_ARGUMENT,
                            "%s comes from a newer lckv.h and sets a member at byte %zu that "
                            "version " LCKV_VERSION_STRING " does not know",
                            name, i);
        }
        memcpy(full, given, size < full_size ? size : full_size);
    }
    memcpy(full, &full_size, sizeof full_size);
    return LCKV_OK;
}

lckv_status options_init(void *options, size_t size, const char *name)
{
    if (options == NULL)
        return fail(LCKV_INVALID_ARGUMENT, "the pointer to %s is NULL", name);
    if (!is_possible(size))
        return fail(LCKV_INVALID_ARGUMENT, "size is %zu; expected sizeof(%s)", size, name);
    memset(options, 0, size);
    memcpy(options, &size, sizeof size);
    return LCKV_OK;
}

lckv_status result_check(const void *given, size_t full_size, const char *name)
{
    if (given == NULL)
        return fail(LCKV_INVALID_ARGUMENT, "the pointer to %s is NULL", name);
    return check_size(given_size(given), full_size, name);
}

lckv_status result_write(void *given, const void *full, size_t full_size, const char *name)
{
    lckv_status status = result_check(given, full_size, name);
    if (status != LCKV_OK)
        return status;
    size_t size = given_size(given);
    memset(given, 0, size);
    memcpy(given, full, size < full_size ? size : full_size);
    memcpy(given, &size, sizeof size);
    return LCKV_OK;
}

lckv_status argument_null(const char *call, const char *argument)
{
    return fail(LCKV_INVALID_ARGUMENT, "%s: %s is NULL", call, argument);
}

lckv_status argument_range(const char *argument, int64_t value, const char *expected)
{
    return fail(LCKV_INVALID_ARGUMENT, "%s is %lld; expected %s", argument, (long long)value,
                expected);
}

lckv_status argument_flags(const char *call, uint32_t flags, uint32_t known)
{
    if ((flags & ~known) != 0)
        return fail(LCKV_INVALID_ARGUMENT, "%s: flags has the unknown bits 0x%x", call,
                    (unsigned)(flags & ~known));
    return LCKV_OK;
}

lckv_status argument_array(const char *call, const char *argument, const void *array, size_t n)
{
    if (array == NULL && n > 0)
        return fail(LCKV_INVALID_ARGUMENT, "%s: %s is NULL, but %zu elements are announced", call,
                    argument, n);
    return LCKV_OK;
}

lckv_status argument_buffer(const char *call, const void *buffer, size_t capacity,
                            const size_t *length)
{
    if (length == NULL)
        return fail(LCKV_INVALID_ARGUMENT, "%s: the pointer to the length is NULL", call);
    if (buffer == NULL && capacity > 0)
        return fail(LCKV_INVALID_ARGUMENT, "%s: the buffer is NULL, but its capacity is %zu", call,
                    capacity);
    return LCKV_OK;
}
