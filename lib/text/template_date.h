/*
 * The date that chat templates tell the model.
 */
#ifndef LCKV_TEXT_TEMPLATE_DATE_H
#define LCKV_TEXT_TEMPLATE_DATE_H

#include "base/checked.h"
#include "format/metadata.h"

struct template_date {
    int year, month, day; /* month and day count from 1 */
};

/* The date in Greenwich, because the time zone is the process's business. */
struct template_date template_today(void);

/*
 * Writes a date as strftime does in the C locale, into a buffer of TEMPLATE_MAX_DATE bytes.
 * LCKV_UNSUPPORTED for what is no part of a date, such as %H.
 */
#define TEMPLATE_MAX_DATE 128
CHECKED lckv_status template_format_date(const struct template_date *date, struct text format,
                                         char *buffer, size_t *length);

#endif
