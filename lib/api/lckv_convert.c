/*
 * lckv_convert: turns a checkpoint into a GGUF file.
 */
#include "api/options.h"
#include "base/status.h"
#include "convert/convert.h"

lckv_status lckv_convert_options_init(lckv_convert_options *options, size_t size)
{
    return options_init(options, size, "lckv_convert_options");
}

lckv_status lckv_convert(const char *input, const char *output, const lckv_convert_options *options,
                         lckv_convert_report *report)
{
    if (input == NULL)
        return argument_null(__func__, "input");
    if (output == NULL)
        return argument_null(__func__, "output");
    lckv_convert_options full;
    lckv_status status = options_read(&full, sizeof full, options, "lckv_convert_options");
    if (status == LCKV_OK && report != NULL)
        status = result_check(report, sizeof *report, "lckv_convert_report");
    if (status != LCKV_OK)
        return status;
    if (full.init != LCKV_CONVERT_MEAN && full.init != LCKV_CONVERT_COPY)
        return argument_range("lckv_convert_options.init", full.init, "an LCKV_CONVERT_... value");
    if (full.packed != 0 && full.packed != 1)
        return argument_range("lckv_convert_options.packed", full.packed, "0 or 1");
    if (full.mixture != 0 && full.mixture != 1)
        return argument_range("lckv_convert_options.mixture", full.mixture, "0 or 1");
    if (full.reserved != 0)
        return fail(LCKV_INVALID_ARGUMENT, "lckv_convert_options: reserved must be 0");
    if (full.kernel_set != NULL && full.packed == 0)
        return fail(LCKV_INVALID_ARGUMENT, "lckv_convert_options.kernel_set needs packed");
    lckv_convert_report written = {.size = sizeof written};
    status = convert(input, output, &full, &written);
    if (status == LCKV_OK && report != NULL)
        status = result_write(report, &written, sizeof written, "lckv_convert_report");
    return status;
}
