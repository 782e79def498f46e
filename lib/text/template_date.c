/*
 * Dates: from days since 1970, and to text. See template_date.h.
 */
#include "text/template_date.h"

#include "base/status.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define MAX_DAYS 2932896 /* up to the end of the year 9999 */

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_of_month(int year, int month)
{
    return month == 2 ? 28 + is_leap(year) : 30 + (month + month / 8) % 2;
}

struct template_date template_today(void)
{
    int64_t days = (int64_t)time(NULL) / 86400;
    struct template_date date = {1970, 1, 1};
    if (days > MAX_DAYS)
        days = 0;
    for (; days >= 365 + is_leap(date.year); date.year++)
        days -= 365 + is_leap(date.year);
    for (; days >= days_of_month(date.year, date.month); date.month++)
        days -= days_of_month(date.year, date.month);
    date.day += (int)days;
    return date;
}

/* Writes the field that a letter behind % stands for; nothing if there is none. */
static void format_field(const struct template_date *date, char letter, char field[16])
{
    static const char *const months[] = {"January",   "February", "March",    "April",
                                         "May",       "June",     "July",     "August",
                                         "September", "October",  "November", "December"};
    const char *month = months[date->month - 1];
    switch (letter) {
    case 'Y':
        snprintf(field, 16, "%04d", date->year);
        break;
    case 'm':
        snprintf(field, 16, "%02d", date->month);
        break;
    case 'd':
        snprintf(field, 16, "%02d", date->day);
        break;
    case 'B':
        snprintf(field, 16, "%s", month);
        break;
    case 'b':
        snprintf(field, 16, "%.3s", month);
        break;
    case '%':
        snprintf(field, 16, "%%");
        break;
    default:
        field[0] = '\0';
    }
}

lckv_status template_format_date(const struct template_date *date, struct text format, char *buffer,
                                 size_t *length)
{
    *length = 0;
    for (size_t i = 0; i < format.length; i++) {
        char field[16] = {format.bytes[i], '\0'};
        if (format.bytes[i] == '%') {
            char letter = ++i < format.length ? format.bytes[i] : '\0';
            format_field(date, letter, field);
        }
        size_t n = strlen(field);
        if (n == 0 || *length + n > TEMPLATE_MAX_DATE)
            return fail(LCKV_UNSUPPORTED, "the date format %s is not supported",
                        quoted(format.bytes, format.length).text);
        memcpy(buffer + *length, field, n);
        *length += n;
    }
    return LCKV_OK;
}
