/*
 * See values.h.
 */
#include "values.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Takes the number at *text, before `end`, and moves *text behind it. */
static bool take_number(const char **text, const char *end, uint64_t *number)
{
    const char *at = *text;
    uint64_t value = 0;
    if (at == end || !isdigit((unsigned char)*at))
        return false;
    for (; at < end && isdigit((unsigned char)*at); at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *text = at;
    *number = value;
    return true;
}

bool parse_number(const char *text, uint64_t *number)
{
    const char *end = text + strlen(text);
    uint64_t value;
    if (!take_number(&text, end, &value) || text != end)
        return false;
    *number = value;
    return true;
}

bool parse_real(const char *text, double *number)
{
    /* strtod also takes blanks, hexadecimal numbers, "inf" and "nan". */
    if (*text == '\0' || strspn(text, "+-.0123456789eE") != strlen(text))
        return false;
    char *end;
    double value = strtod(text, &end);
    if (*end != '\0' || !isfinite(value))
        return false;
    *number = value;
    return true;
}

bool parse_size(const char *text, uint64_t *bytes)
{
    static const struct {
        const char *name;
        double factor;
    } units[] = {
        {"", 1},       {"B", 1},        {"K", 0x1p10},   {"KiB", 0x1p10}, {"KB", 1e3},
        {"M", 0x1p20}, {"MiB", 0x1p20}, {"MB", 1e6},     {"G", 0x1p30},   {"GiB", 0x1p30},
        {"GB", 1e9},   {"T", 0x1p40},   {"TiB", 0x1p40}, {"TB", 1e12},
    };
    size_t n_digits = strspn(text, "0123456789.");
    char digits[32];
    double value;
    if (n_digits >= sizeof digits)
        return false;
    memcpy(digits, text, n_digits);
    digits[n_digits] = '\0';
    if (!parse_real(digits, &value))
        return false;
    const char *unit = text + n_digits;
    unit += strspn(unit, " ");
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcasecmp(unit, units[i].name) == 0 && value * units[i].factor < 0x1p63) {
            *bytes = (uint64_t)(value * units[i].factor);
            return true;
        }
    }
    return false;
}

/* A window and perhaps a tolerance: "16" or "16,1e-3". A window of 0 is the library's choice. */
static bool parse_window(const char *text, struct prefill *prefill)
{
    const char *comma = strchr(text, ','), *at = text;
    const char *end = comma != NULL ? comma : text + strlen(text);
    uint64_t window;
    double tolerance = 0;
    if (!take_number(&at, end, &window) || at != end || window > UINT32_MAX)
        return false;
    if (comma != NULL && (!parse_real(comma + 1, &tolerance) || !((float)tolerance > 0)))
        return false; /* for the library, 0 would mean the default */
    *prefill = (struct prefill){
        .mode = LCKV_PREFILL_AUTO, .window = (uint32_t)window, .tolerance = (float)tolerance};
    return true;
}

bool parse_prefill(const char *text, struct prefill *prefill)
{
    static const struct {
        const char *name;
        lckv_prefill mode;
    } modes[] = {
        {"auto", LCKV_PREFILL_AUTO},
        {"exact", LCKV_PREFILL_EXACT},
        {"model", LCKV_PREFILL_MODEL},
        {"iterated", LCKV_PREFILL_ITERATED},
    };
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (strcmp(text, modes[i].name) == 0) {
            *prefill = (struct prefill){.mode = modes[i].mode};
            return true;
        }
    }
    static const char iterated[] = "iterated:", window[] = "auto:";
    if (strncmp(text, window, sizeof window - 1) == 0)
        return parse_window(text + sizeof window - 1, prefill);
    if (strncmp(text, iterated, sizeof iterated - 1) != 0)
        return false;
    const char *at = text + sizeof iterated - 1;
    const char *end = text + strlen(text);
    uint64_t forward, backward;
    if (!take_number(&at, end, &forward) || *at++ != '+' || !take_number(&at, end, &backward) ||
        at != end)
        return false;
    /* For the library, 0 + 0 would mean the model's own numbers. */
    if (forward > UINT32_MAX || backward > UINT32_MAX || forward + backward == 0)
        return false;
    *prefill = (struct prefill){.mode = LCKV_PREFILL_ITERATED,
                                .forward_passes = (uint32_t)forward,
                                .backward_passes = (uint32_t)backward};
    return true;
}

struct prefill_text prefill_text(struct prefill prefill)
{
    static const char *const names[] = {"auto", "exact", "iterated", "model"};
    struct prefill_text result;
    if (prefill.forward_passes + prefill.backward_passes > 0)
        snprintf(result.text, sizeof result.text, "iterated:%" PRIu32 "+%" PRIu32,
                 prefill.forward_passes, prefill.backward_passes);
    else if (prefill.tolerance > 0)
        snprintf(result.text, sizeof result.text, "auto:%" PRIu32 ",%g", prefill.window,
                 (double)prefill.tolerance);
    else if (prefill.window > 0)
        snprintf(result.text, sizeof result.text, "auto:%" PRIu32, prefill.window);
    else
        snprintf(result.text, sizeof result.text, "%s", names[prefill.mode]);
    return result;
}

/* The type, of those for keys and values, whose name is the text from `at` to `end`. */
static bool kv_type_named(const char *at, const char *end, lckv_dtype *type)
{
    static const lckv_dtype types[] = {LCKV_DTYPE_F32, LCKV_DTYPE_F16, LCKV_DTYPE_BF16,
                                       LCKV_DTYPE_Q8_0, LCKV_DTYPE_Q4_0};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        const char *name = lckv_dtype_name(types[i]);
        if (strlen(name) == (size_t)(end - at) && strncasecmp(name, at, strlen(name)) == 0) {
            *type = types[i];
            return true;
        }
    }
    return false;
}

bool parse_kv_types(const char *text, struct kv_types *types)
{
    const char *comma = strchr(text, ','), *end = text + strlen(text);
    struct kv_types named;
    if (!kv_type_named(text, comma != NULL ? comma : end, &named.keys) ||
        !kv_type_named(comma != NULL ? comma + 1 : text, end, &named.values))
        return false;
    *types = named;
    return true;
}

struct kv_types_text kv_types_text(struct kv_types types)
{
    struct kv_types_text result;
    const char *keys = lckv_dtype_name(types.keys), *values = lckv_dtype_name(types.values);
    if (types.keys == types.values)
        snprintf(result.text, sizeof result.text, "%s", keys);
    else
        snprintf(result.text, sizeof result.text, "%s,%s", keys, values);
    return result;
}

static const char *skip_blanks(const char *at, const char *end)
{
    while (at < end && isspace((unsigned char)*at))
        at++;
    return at;
}

/* Reads a list into `store`, or only counts its entries if that is NULL. False: malformed. */
static bool scan_list(const char *at, const char *end, uint64_t most, uint64_t *store,
                      size_t *count)
{
    size_t n = 0;
    bool wants_item = false; /* after a comma */
    at = skip_blanks(at, end);
    bool in_brackets = at < end && *at == '[';
    if (in_brackets)
        at = skip_blanks(at + 1, end);
    while (at < end && *at != ']') {
        uint64_t number;
        if (!take_number(&at, end, &number) || number > most)
            return false;
        if (store != NULL)
            store[n] = number;
        n++;
        const char *behind = skip_blanks(at, end);
        wants_item = behind < end && *behind == ',';
        if (behind == at && !wants_item && behind < end && *behind != ']')
            return false;
        at = wants_item ? skip_blanks(behind + 1, end) : behind;
    }
    if (in_brackets) {
        if (at == end)
            return false;
        at = skip_blanks(at + 1, end);
    }
    *count = n;
    return at == end && !wants_item;
}

static bool parse_list(const char *text, size_t length, uint64_t most, struct number_list *list)
{
    size_t count;
    errno = 0;
    if (!scan_list(text, text + length, most, NULL, &count))
        return false;
    uint64_t *items = calloc(count + 1, sizeof *items);
    if (items == NULL)
        return false;
    scan_list(text, text + length, most, items, &count);
    free(list->items);
    *list = (struct number_list){items, count};
    return true;
}

bool parse_numbers(const char *text, struct number_list *numbers)
{
    return parse_list(text, strlen(text), UINT64_MAX, numbers);
}

bool parse_tokens(const char *text, size_t length, struct token_list *tokens)
{
    struct number_list numbers = {0};
    if (!parse_list(text, length, INT32_MAX, &numbers))
        return false;
    lckv_token *ids = calloc(numbers.count + 1, sizeof *ids);
    if (ids != NULL) {
        for (size_t i = 0; i < numbers.count; i++)
            ids[i] = (lckv_token)numbers.items[i];
        free(tokens->ids);
        *tokens = (struct token_list){ids, numbers.count};
    }
    free(numbers.items);
    return ids != NULL;
}

bool read_whole(const char *path, struct bytes *bytes)
{
    bool is_input = strcmp(path, "-") == 0;
    FILE *file = is_input ? stdin : fopen(path, "rb");
    if (file == NULL)
        return false;
    struct bytes whole = {0};
    size_t capacity = 0;
    bool ok = true;
    for (;;) {
        if (capacity - whole.length < 2) {
            size_t larger = capacity == 0 ? 65536 : capacity * 2;
            char *data = larger > capacity ? realloc(whole.data, larger) : NULL;
            if (data == NULL) {
                ok = false;
                errno = ENOMEM;
                break;
            }
            whole.data = data;
            capacity = larger;
        }
        size_t n = fread(whole.data + whole.length, 1, capacity - whole.length - 1, file);
        whole.length += n;
        if (n == 0) {
            ok = !ferror(file);
            break;
        }
    }
    int reason = errno;
    if (!is_input)
        fclose(file);
    if (!ok) {
        free(whole.data);
        errno = reason;
        return false;
    }
    whole.data[whole.length] = '\0';
    *bytes = whole;
    return true;
}
