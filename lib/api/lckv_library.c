/*
 * The library itself: version, statuses, the last error, kernel sets and element types.
 */
#include "api/options.h"
#include "base/status.h"
#include "format/dtype.h"
#include "kernels/kernels.h"

#include <string.h>

uint32_t lckv_version_number(void)
{
    return LCKV_VERSION_MAJOR * 10000 + LCKV_VERSION_MINOR * 100 + LCKV_VERSION_PATCH;
}

const char *lckv_version_string(void)
{
    return LCKV_VERSION_STRING;
}

const char *lckv_status_name(lckv_status status)
{
    return status_name(status);
}

const char *lckv_last_error(void)
{
    return status_message();
}

size_t lckv_last_error_copy(char *buffer, size_t capacity)
{
    return status_message_copy(buffer, capacity);
}

const char *lckv_kernel_set_name(size_t index)
{
    size_t count;
    const struct kernels *const *sets = kernels_all(&count);
    return index < count ? sets[index]->name : NULL;
}

int32_t lckv_kernel_set_available(const char *name)
{
    size_t count;
    const struct kernels *const *sets = kernels_all(&count);
    for (size_t i = 0; name != NULL && i < count; i++) {
        if (strcmp(sets[i]->name, name) == 0)
            return kernels_available(sets[i]);
    }
    return 0;
}

const char *lckv_dtype_name(lckv_dtype dtype)
{
    const struct dtype_info *info = dtype_info(dtype);
    return info != NULL ? info->name : NULL;
}

lckv_status lckv_dtype_from_name(const char *name, lckv_dtype *dtype)
{
    if (name == NULL)
        return argument_null(__func__, "name");
    if (dtype == NULL)
        return argument_null(__func__, "dtype");
    const struct dtype_info *info = dtype_from_name(name);
    if (info == NULL)
        return fail(LCKV_UNSUPPORTED, "there is no element type %s", quoted_string(name).text);
    *dtype = info->dtype;
    return LCKV_OK;
}
