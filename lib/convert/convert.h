/*
 * Converts a checkpoint to a GGUF file, perhaps with another element type or another plan.
 */
#ifndef LCKV_CONVERT_CONVERT_H
#define LCKV_CONVERT_CONVERT_H

#include "base/checked.h"
#include "base/memory.h"

/* As lckv_convert, but the options must have their full size. */
CHECKED lckv_status convert(const char *input, const char *output,
                            const lckv_convert_options *options, lckv_convert_report *report);

#endif
