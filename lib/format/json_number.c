/*
 * Numbers of JSON as integers and doubles.
 */
#include "format/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * Two things decide how a decimal number rounds to a double: its first 767 significant digits, and
 * whether any digit behind them is not 0.
 */
#define MAX_DIGITS 768

/* A number with a greater exponent has no double; with one below its negative it rounds to 0. */
#define MAX_EXPONENT 100000

/* An exponent so large that the digits of no file can make up for it. */
#define HUGE_EXPONENT INT64_C(10000000000)

bool json_integer(const struct json_value *value, int64_t *integer)
{
    if (!json_is(value, JSON_NUMBER))
        return false;
    bool negative = value->text[0] == '-';
    uint64_t limit = negative ? UINT64_C(1) << 63 : INT64_MAX;
    uint64_t magnitude = 0;
    for (size_t i = negative; i < value->length; i++) {
        unsigned digit = (unsigned char)value->text[i] - (unsigned)'0';
        if (digit > 9 || magnitude > (limit - digit) / 10)
            return false;
        magnitude = magnitude * 10 + digit;
    }
    *integer = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

/* The exponent that stands behind the "e" of a number. */
static int64_t read_exponent(const char *text, size_t length)
{
    bool negative = text[0] == '-';
    int64_t exponent = 0;
    for (size_t i = text[0] == '-' || text[0] == '+'; i < length && exponent < HUGE_EXPONENT; i++)
        exponent = exponent * 10 + (text[i] - '0');
    return negative ? -exponent : exponent;
}

/*
 * strtod rounds correctly, but takes the decimal point from the locale. So it gets the digits
 * without a point, and an exponent that makes up for that: "12.5e3" becomes "125e2".
 */
bool json_number(const struct json_value *value, double *number)
{
    char plain[1 + MAX_DIGITS + 1 + sizeof "e-100000"];
    if (!json_is(value, JSON_NUMBER))
        return false;
    const char *text = value->text;
    size_t length = value->length, n_digits = 0;
    bool negative = text[0] == '-', behind_point = false, more = false;
    char *digits = plain + 1;
    int64_t exponent = 0;
    for (size_t i = negative; i < length; i++) {
        if (text[i] == 'e' || text[i] == 'E') {
            exponent += read_exponent(text + i + 1, length - i - 1);
            break;
        }
        if (text[i] == '.') {
            behind_point = true;
        } else if (n_digits == MAX_DIGITS) {
            more = more || text[i] != '0';
            exponent += !behind_point;
        } else {
            if (n_digits > 0 || text[i] != '0')
                digits[n_digits++] = text[i];
            exponent -= behind_point;
        }
    }
    if (more) {
        digits[n_digits++] = '1';
        exponent--;
    }
    if (n_digits == 0)
        digits[n_digits++] = '0';
    if (exponent < -MAX_EXPONENT || exponent > MAX_EXPONENT)
        exponent = exponent < 0 ? -MAX_EXPONENT : MAX_EXPONENT;
    plain[0] = negative ? '-' : '+';
    snprintf(digits + n_digits, sizeof "e-100000", "e%d", (int)exponent);
    double nearest = strtod(plain, NULL);
    if (!isfinite(nearest))
        return false;
    *number = nearest;
    return true;
}
