/*
 * Writes metadata values as text for people and scripts. The library never reads it back. The text
 * does not depend on the host program's locale.
 */
#include "format/metadata.h"

#include "base/status.h"
#include "format/sink.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_zeros(struct sink *sink, int count)
{
    for (int i = 0; i < count; i++)
        sink_put(sink, "0", 1);
}

static void put_unsigned(struct sink *sink, uint64_t number)
{
    char text[24];
    sink_put(sink, text, (size_t)snprintf(text, sizeof text, "%" PRIu64, number));
}

static void put_signed(struct sink *sink, int64_t number)
{
    char text[24];
    sink_put(sink, text, (size_t)snprintf(text, sizeof text, "%" PRId64, number));
}

/* ---- Floats ---- */

/* A number as "%.*e" writes it: `n` digits d.ddd, times 10^exponent. */
struct decimal {
    char digits[20];
    int n;
    int exponent;
};

/* The fewest digits from which a finite number can be read back exactly. */
static struct decimal shortest(double number, bool single)
{
    struct decimal decimal = {.n = 0};
    char text[48];
    for (int n = 1; n <= 17; n++) {
        int length = snprintf(text, sizeof text, "%.*e", n - 1, number);
        double back = strtod(text, NULL);
        if (n < 17 && (single ? (float)back != (float)number : back != number))
            continue;
        /* The locale decides what stands between the first digit and the others. */
        int exponent_at = length;
        while (text[exponent_at - 1] != 'e')
            exponent_at--;
        decimal.n = n;
        decimal.exponent = (int)strtol(text + exponent_at, NULL, 10);
        decimal.digits[0] = text[0];
        memcpy(decimal.digits + 1, text + exponent_at - n, (size_t)n - 1);
        break;
    }
    return decimal;
}

static void put_decimal(struct sink *sink, const struct decimal *d)
{
    if (d->exponent < -5 || d->exponent > 16) {
        sink_put(sink, d->digits, 1);
        if (d->n > 1) {
            sink_put(sink, ".", 1);
            sink_put(sink, d->digits + 1, (size_t)d->n - 1);
        }
        sink_put(sink, "e", 1);
        put_signed(sink, d->exponent);
    } else if (d->exponent < 0) {
        sink_put(sink, "0.", 2);
        put_zeros(sink, -1 - d->exponent);
        sink_put(sink, d->digits, (size_t)d->n);
    } else if (d->exponent >= d->n - 1) {
        sink_put(sink, d->digits, (size_t)d->n);
        put_zeros(sink, d->exponent + 1 - d->n);
    } else {
        sink_put(sink, d->digits, (size_t)d->exponent + 1);
        sink_put(sink, ".", 1);
        sink_put(sink, d->digits + d->exponent + 1, (size_t)(d->n - 1 - d->exponent));
    }
}

/* JSON cannot spell numbers that are not finite. */
static void put_float(struct sink *sink, double number, bool single, bool json)
{
    if (!isfinite(number)) {
        sink_put_string(sink, json ? "null" : isnan(number) ? "nan" : number < 0 ? "-inf" : "inf");
        return;
    }
    if (signbit(number))
        sink_put(sink, "-", 1);
    struct decimal decimal = shortest(fabs(number), single);
    put_decimal(sink, &decimal);
}

/* ---- Arrays ---- */

static uint64_t packed_bits(const uint8_t *bytes, size_t size)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < size; i++)
        bits |= (uint64_t)bytes[i] << (8 * i);
    return bits;
}

static void put_packed(struct sink *sink, uint32_t type, uint64_t bits)
{
    uint32_t low = (uint32_t)bits;
    float single;
    double number;
    switch (type) {
    case METADATA_I8:
        put_signed(sink, (int8_t)bits);
        break;
    case METADATA_I16:
        put_signed(sink, (int16_t)bits);
        break;
    case METADATA_I32:
        put_signed(sink, (int32_t)bits);
        break;
    case METADATA_I64:
        put_signed(sink, (int64_t)bits);
        break;
    case METADATA_F32:
        memcpy(&single, &low, sizeof single);
        put_float(sink, (double)single, true, true);
        break;
    case METADATA_F64:
        memcpy(&number, &bits, sizeof number);
        put_float(sink, number, false, true);
        break;
    case METADATA_BOOL:
        sink_put_string(sink, bits != 0 ? "true" : "false");
        break;
    default:
        put_unsigned(sink, bits);
    }
}

static void put_array(struct sink *sink, const struct metadata_value *value)
{
    size_t size = metadata_type_size(value->element_type);
    sink_put(sink, "[", 1);
    for (uint64_t i = 0; i < value->count; i++) {
        if (i > 0)
            sink_put(sink, ", ", 2);
        if (value->element_type == METADATA_STRING)
            sink_put_json_string(sink, value->as.strings[i]);
        else
            put_packed(sink, value->element_type, packed_bits(value->as.elements + i * size, size));
    }
    sink_put(sink, "]", 1);
}

lckv_status metadata_text(const struct metadata_value *value, char *buffer, size_t capacity,
                          size_t *length)
{
    struct sink sink = {buffer, capacity, 0};
    switch (value->type) {
    case METADATA_STRING:
        sink_put(&sink, value->as.string.bytes, value->as.string.length);
        break;
    case METADATA_ARRAY:
        put_array(&sink, value);
        break;
    case METADATA_F32:
    case METADATA_F64:
        put_float(&sink, value->as.f, value->type == METADATA_F32, false);
        break;
    case METADATA_BOOL:
        sink_put_string(&sink, value->as.u != 0 ? "true" : "false");
        break;
    case METADATA_I8:
    case METADATA_I16:
    case METADATA_I32:
    case METADATA_I64:
        put_signed(&sink, value->as.i);
        break;
    default:
        put_unsigned(&sink, value->as.u);
    }
    *length = sink.length;
    if (sink.length >= capacity)
        return fail(LCKV_BUFFER_TOO_SMALL, "metadata %s: %zu bytes of text and a NUL, room for %zu",
                    quoted(value->key.bytes, value->key.length).text, sink.length, capacity);
    buffer[sink.length] = '\0';
    return LCKV_OK;
}
