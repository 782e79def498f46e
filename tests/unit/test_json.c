/*
 * JSON: what is valid and what is not, values, limits, and what parsing costs. test_json_values.c
 * has numbers and typed look-ups.
 */
#include "format/json.h"

#include "base/hash.h"

#include <stdio.h>
#include <time.h>

#include "allocator.h"
#include "support.h"

/* Parses a copy of exactly this size, so that a sanitizer sees a read behind the end. */
static lckv_status parse_bytes(const char *bytes, size_t length, const lckv_allocator *allocator,
                               struct json_document *document)
{
    char *copy = malloc(length + (length == 0));
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, length);
    lckv_status status = json_parse(copy, length, "t.json", allocator, document);
    free(copy);
    return status;
}

static struct json_document parse(const char *text)
{
    struct json_document document;
    ck_assert_ok(parse_bytes(text, strlen(text), &memory_default_allocator, &document));
    return document;
}

static void assert_text(struct text text, const char *bytes, size_t length)
{
    ck_assert_uint_eq(text.length, length);
    ck_assert_mem_eq(text.bytes, bytes, length);
}

/* ---- What is valid ---- */

static const struct {
    const char *text;
    const char *written; /* NULL if it is the same text */
} valid[] = {
    {"null", NULL},
    {"true", NULL},
    {"false", NULL},
    {" \t\r\n0 \t\r\n", "0"},
    {"-0", NULL},
    {"-1.5e+10", NULL},
    {"0.0E-0", NULL},
    {"1e999999999999999999999", NULL},
    {"123456789012345678901234567890", NULL},
    {"\"\"", NULL},
    {"[]", NULL},
    {"{}", NULL},
    {"[ ]", "[]"},
    {"{ }", "{}"},
    {"[1]", NULL},
    {"[1,-2 ,true\n, null]", "[1, -2, true, null]"},
    {"[[],[[]],{}]", "[[], [[]], {}]"},
    {"{\"\":0}", "{\"\": 0}"},
    {"{\"a\":{\"a\":[1,2]},\"b\" : \"c\"}", "{\"a\": {\"a\": [1, 2]}, \"b\": \"c\"}"},
    {"{\"a\":1,\"A\":1,\"a \":1,\"\\u0000\":1}", "{\"a\": 1, \"A\": 1, \"a \": 1, \"\\u0000\": 1}"},
    {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\\"\\\\/\\u0008\\u000c\\u000a\\u000d\\u0009\""},
    {"\"a\\u0041\\u00e9\\u20ac\\uD83D\\uDE00z\"", "\"aA\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80z\""},
    {"\"\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF"
     "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF\"",
     "\"\\u007f\xC2\x80\xDF\xBF\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF"
     "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF\""},
    {"\"[{]}\\\"[\"", NULL},
};

START_TEST(accepts_and_keeps_what_is_valid)
{
    struct json_document document = parse(valid[_i].text);
    const char *expected = valid[_i].written != NULL ? valid[_i].written : valid[_i].text;
    char written[256];
    size_t length = json_write(document.root, written, sizeof written);
    assert_text((struct text){written, length}, expected, strlen(expected));
    json_release(&document);
    /* What was written must be valid, too, and the same value. */
    document = parse(expected);
    length = json_write(document.root, written, sizeof written);
    assert_text((struct text){written, length}, expected, strlen(expected));
    json_release(&document);
}
END_TEST

/* ---- What is not ---- */

#define END "found the end of the text"

static const struct {
    const char *text;
    const char *message;
} malformed[] = {
    {"", "t.json: line 1, column 1: not valid JSON: expected a value, " END},
    {" \n ", "line 2, column 2: not valid JSON: expected a value, " END},
    {"{", "line 1, column 2: not valid JSON: expected a name in quotes, " END},
    {"[", "line 1, column 2: not valid JSON: expected a value, " END},
    {"]", "expected a value, found \"]\""},
    {"[1", "expected a comma or ], " END},
    {"[1 2]", "line 1, column 4: not valid JSON: expected a comma or ], found \"2]\""},
    {"[1,]", "line 1, column 4: not valid JSON: expected a value, found \"]\""},
    {"[,1]", "expected a value, found \",1]\""},
    {"[1}", "expected a comma or ], found \"}\""},
    {"[1]]", "line 1, column 4: not valid JSON: expected nothing behind the value, found \"]\""},
    {"1 1", "expected nothing behind the value, found \"1\""},
    {"{\"a\": 1} x", "line 1, column 10: not valid JSON: expected nothing behind the value"},
    {"{\"a\":1,}", "expected a name in quotes, found \"}\""},
    {"{a:1}", "expected a name in quotes, found \"a:1}\""},
    {"{1:1}", "expected a name in quotes"},
    {"{null:1}", "expected a name in quotes"},
    {"{\"a\"}", "expected a colon, found \"}\""},
    {"{\"a\" 1}", "expected a colon, found \"1}\""},
    {"{\"a\":}", "expected a value, found \"}\""},
    {"{\"a\":1]", "expected a comma or }, found \"]\""},
    {"{\"a\": 'b'}", "expected a value, found \"'b'}\""},
    {"\"", "line 1, column 2: not valid JSON: expected the closing quote of a string, " END},
    {"[\"unterminated", "expected the closing quote of a string, " END},
    {"[\"unterminated\\", "expected an escape that JSON has"},
    {"[\"unterminated\\\"", "expected the closing quote of a string"},
    /* Words */
    {"nul", "expected a value, found \"nul\""},
    {"nULL", "expected a value"},
    {"True", "expected a value, found \"True\""},
    {"truefalse", "line 1, column 5: not valid JSON: expected nothing behind the value"},
    {"{\"a\": NaN}", "line 1, column 7: not valid JSON: expected a value, found \"NaN}\""},
    {"{\"a\": Infinity}", "expected a value, found \"Infinity}\""},
    {"{\"a\":\n-Infinity}", "line 2, column 2: not valid JSON: expected a digit"},
    {"[1, // one\n2]", "expected a value, found \"// one"},
    {"/**/1", "expected a value"},
    /* Numbers */
    {"-", "line 1, column 2: not valid JSON: expected a digit, " END},
    {"+1", "expected a value, found \"+1\""},
    {".5", "expected a value, found \".5\""},
    {"{\"a\": 0123}", "line 1, column 7: not valid JSON: expected a number without leading zeros"},
    {"-01", "expected a number without leading zeros, found \"-01\""},
    {"00", "expected a number without leading zeros"},
    {"{\"a\": 00000000000000000000000}", "expected a number without leading zeros"},
    {"1.", "expected a digit behind the point, " END},
    {"1.e5", "expected a digit behind the point, found \"e5\""},
    {"1e", "expected a digit of the exponent, " END},
    {"1e+", "expected a digit of the exponent"},
    {"1E-x", "expected a digit of the exponent, found \"x\""},
    {"1.2.3", "expected nothing behind the value, found \".3\""},
    {"1e5.5", "expected nothing behind the value, found \".5\""},
    {"0x10", "expected nothing behind the value, found \"x10\""},
    {"1_000", "expected nothing behind the value"},
    {"--1", "expected a digit"},
    /* Control characters and white space that JSON does not have */
    {"\"a\nb\"", "line 1, column 3: not valid JSON: expected control characters in a string to be"},
    {"\"\x1F\"", "expected control characters in a string to be escaped, found \"\\x1f"},
    {"\"\t\"", "expected control characters"},
    {"[1,\f2]", "expected a value, found \"\\x0c2]\""},
    {"\xC2\xA0[]", "expected a value"},
    /* Encodings */
    {"\xEF\xBB\xBF{}",
     "line 1, column 1: not valid JSON: expected UTF-8 without a byte order mark, "
     "found a byte order mark"},
    {"\xFF\xFE{", "found UTF-16 or UTF-32"},
    {"\xFE\xFF{", "found UTF-16 or UTF-32"},
    /* UTF-8 */
    {"{\"a\": \"\xFF\"}", "line 1, column 8: not valid JSON: expected UTF-8 in a string, found"},
    {"\"\x80\"", "expected UTF-8 in a string"},
    {"\"\xC3\"", "expected UTF-8 in a string"},
    {"\"\xC0\xAF\"", "expected UTF-8 in a string"},         /* overlong */
    {"\"\xE0\x80\xAF\"", "expected UTF-8 in a string"},     /* overlong */
    {"\"\xED\xA0\x80\"", "expected UTF-8 in a string"},     /* a surrogate */
    {"\"\xF4\x90\x80\x80\"", "expected UTF-8 in a string"}, /* above U+10FFFF */
    {"\"\xF8\x88\x80\x80\x80\"", "expected UTF-8 in a string"},
    {"\"\xE2\x82", "expected UTF-8 in a string"},
    {"[\"\xC3\xA9\xC3\xA9\", \xFF]", "line 1, column 8"}, /* columns count characters */
    /* Escapes */
    {"\"\\x41\"", "line 1, column 2: not valid JSON: expected an escape that JSON has"},
    {"\"\\'\"", "expected an escape that JSON has, found \"\\\\'"},
    {"\"\\\n\"", "expected an escape that JSON has"},
    {"\"\\", "expected an escape that JSON has"},
    {"\"\\U0041\"", "expected an escape that JSON has"},
    {"\"\\u\"", "expected \\u with four digits"},
    {"\"\\u004\"", "expected \\u with four digits"},
    {"\"\\u00g0\"", "expected \\u with four digits"},
    {"\"\\u", "expected \\u with four digits"},
    {"{\"a\": \"\\ud800\"}",
     "line 1, column 8: not valid JSON: expected \\u with four digits, and "},
    {"\"\\ud800x\"", "both halves of a surrogate pair"},
    {"\"\\ud800\\n\"", "both halves of a surrogate pair"},
    {"\"\\ud800\\u0041\"", "both halves of a surrogate pair"},
    {"\"\\ud800\\ud800\"", "both halves of a surrogate pair"},
    {"\"\\udc00\"", "both halves of a surrogate pair"},
    {"\"\\udc00\\ud800\"", "both halves of a surrogate pair"},
    {"\"\\ud800\\", "both halves of a surrogate pair"},
    /* Names */
    {"{\"a\": 1, \"a\": 2}", "line 1, column 10: not valid JSON: duplicate name \"a\""},
    {"{\"b\": 1,\n \"a\\u0062\": 2,\n  \"ab\": 3}", "line 3, column 3: not valid JSON: duplicate"},
    {"[{}, {\"\": 1, \"x\": {\"\": 2}, \"\": 3}]", "line 1, column 28: not valid JSON: duplicate"},
};

START_TEST(refuses_what_is_malformed)
{
    struct json_document document;
    ck_assert_status(parse_bytes(malformed[_i].text, strlen(malformed[_i].text),
                                 &memory_default_allocator, &document),
                     LCKV_BAD_FORMAT);
    ck_assert_error_has("t.json: line ");
    ck_assert_error_has(malformed[_i].message);
    ck_assert_ptr_null(document.root);
    json_release(&document);
}
END_TEST

#define RICH                                                                                 \
    "{\"a\": [1, -2.5e-3, true, false, null, {}], \"\\u00e9\\ud83d\\ude00\": \"\xC3\xA9\", " \
    "\"c\": {\"d\": [[\"x\\ny\"]]}}"

START_TEST(refuses_every_beginning_and_a_nul_anywhere)
{
    char text[] = RICH;
    struct json_document document = parse(text);
    json_release(&document);
    for (size_t length = 0; length < strlen(text); length++)
        ck_assert_status(parse_bytes(text, length, &memory_default_allocator, &document),
                         LCKV_BAD_FORMAT);
    for (size_t at = 0; text[at] != '\0'; at++) {
        char kept = text[at];
        text[at] = '\0';
        ck_assert_status(parse_bytes(text, sizeof text - 1, &memory_default_allocator, &document),
                         LCKV_BAD_FORMAT);
        text[at] = kept;
    }
}
END_TEST

/* Whatever a byte is changed to, the result is a value that can be written, or a message. */
START_TEST(any_byte_anywhere_does_no_harm)
{
    char text[] = RICH, written[2 * sizeof text];
    struct json_document document;
    for (size_t at = 0; text[at] != '\0'; at++) {
        char kept = text[at];
        for (int byte = 0; byte < 256; byte++) {
            text[at] = (char)byte;
            lckv_status status =
                parse_bytes(text, sizeof text - 1, &memory_default_allocator, &document);
            if (status == LCKV_OK)
                ck_assert_uint_le(json_write(document.root, written, sizeof written),
                                  sizeof written);
            else
                ck_assert_status(status, LCKV_BAD_FORMAT);
            json_release(&document);
        }
        text[at] = kept;
    }
}
END_TEST

/* ---- Limits ---- */

START_TEST(refuses_nesting_bombs)
{
    static char text[1 << 20];
    static const char brackets[][2] = {{'[', ']'}, {'{', '}'}};
    struct json_document document;
    memset(text, '[', sizeof text);
    ck_assert_status(parse_bytes(text, sizeof text, &memory_default_allocator, &document),
                     LCKV_BAD_FORMAT);
    ck_assert_error_has("line 1, column 65: nested deeper than 64 levels");
    for (size_t i = 0; i + 5 <= sizeof text; i += 5)
        memcpy(text + i, "{\"a\":", 5);
    ck_assert_status(parse_bytes(text, sizeof text, &memory_default_allocator, &document),
                     LCKV_BAD_FORMAT);
    ck_assert_error_has("nested deeper than 64 levels");

    for (size_t depth = JSON_MAX_DEPTH; depth <= JSON_MAX_DEPTH + 1; depth++) {
        memset(text, '[', depth - 1);
        memcpy(text + depth - 1, brackets[_i], 2);
        memset(text + depth + 1, ']', depth - 1);
        lckv_status expected = depth == JSON_MAX_DEPTH ? LCKV_OK : LCKV_BAD_FORMAT;
        ck_assert_status(parse_bytes(text, 2 * depth, &memory_default_allocator, &document),
                         expected);
        json_release(&document);
    }
}
END_TEST

START_TEST(depth_is_of_what_is_open)
{
    char text[1024];
    memset(text, '[', sizeof text);
    memcpy(text, "[\"\\\"", 4);
    memcpy(text + sizeof text - 2, "\"]", 2);
    struct json_document document;
    ck_assert_ok(parse_bytes(text, sizeof text, &memory_default_allocator, &document));
    ck_assert_uint_eq(json_text(json_first(document.root)).length, sizeof text - 5);
    json_release(&document);
    /* Writes a hundred lists side by side, each with one inside. */
    text[0] = '[';
    for (size_t i = 0; i < 100; i++)
        memcpy(text + 1 + 5 * i, "[[]],", 5);
    text[500] = ']';
    ck_assert_ok(parse_bytes(text, 501, &memory_default_allocator, &document));
    ck_assert_uint_eq(json_count(document.root), 100);
    json_release(&document);
}
END_TEST

START_TEST(refuses_more_than_the_limit)
{
    struct json_document document;
    ck_assert_status(
        json_parse("1", (size_t)JSON_MAX_BYTES + 1, "t.json", &memory_default_allocator, &document),
        LCKV_BAD_FORMAT);
    ck_assert_error_has("t.json: 268435457 bytes of JSON, expected at most 268435456");
    json_release(&document);
}
END_TEST

/* ---- Names ---- */

/* Makes {"00000000": 1, ...}, of which the last name is `last`. The caller frees it. */
static char *many_names(size_t n_names, const char *last, size_t *length)
{
    char *text = malloc(16 * n_names + 64);
    ck_assert_ptr_nonnull(text);
    *length = 0;
    for (size_t i = 0; i < n_names; i++) {
        char name[24];
        snprintf(name, sizeof name, "%08zx", i);
        *length += (size_t)sprintf(text + *length, "%c\"%s\":1", i == 0 ? '{' : ',',
                                   i + 1 < n_names ? name : last);
    }
    text[(*length)++] = '}';
    return text;
}

/* Processor time of parsing, in seconds. */
static double seconds_to_parse(size_t n_names, lckv_status expected)
{
    size_t length;
    char *text = many_names(n_names, expected == LCKV_OK ? "last" : "00000000", &length);
    struct json_document document;
    clock_t begin = clock();
    ck_assert_status(json_parse(text, length, "t.json", &memory_default_allocator, &document),
                     expected);
    double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
    json_release(&document);
    free(text);
    return seconds;
}

/* If each were compared with each, 500,000 names would take minutes. */
START_TEST(many_names_take_linear_time)
{
    ck_assert_double_lt(seconds_to_parse(500000, LCKV_OK), 30);
    ck_assert_double_lt(seconds_to_parse(500000, LCKV_BAD_FORMAT), 30);
    ck_assert_error_has("duplicate name \"00000000\"");
}
END_TEST

/* Names that all belong in one place of the table are refused before they take long. */
START_TEST(names_made_to_collide_are_refused)
{
    const size_t n_names = HASH_MAX_PROBES + 1, n_slots = 2048;
    char *text = malloc(32 * n_names), name[16];
    size_t length = 0, n = 0;
    struct json_document document;
    ck_assert_ptr_nonnull(text);
    for (unsigned i = 0; n < n_names; i++) {
        size_t name_length = (size_t)snprintf(name, sizeof name, "%x", i);
        if (hash_bytes(name, name_length) % n_slots == 7)
            length += (size_t)sprintf(text + length, "%c\"%s\":0", n++ == 0 ? '{' : ',', name);
    }
    text[length] = '}';
    ck_assert_status(json_parse(text, length + 1, "t.json", &memory_default_allocator, &document),
                     LCKV_BAD_FORMAT);
    ck_assert_error_has("too many names of one object collide");
    /* The names without the last are accepted. */
    while (text[length] != ',')
        length--;
    text[length] = '}';
    ck_assert_ok(json_parse(text, length + 1, "t.json", &memory_default_allocator, &document));
    ck_assert_uint_eq(json_count(document.root), n_names - 1);
    json_release(&document);
    free(text);
}
END_TEST

/* ---- Memory ---- */

static const char *const small_values[] = {"1",    "{}",        "[]",      "\"\"",
                                           "null", "[[[[1]]]]", "{\"\":0}"};

/*
 * Checks the most bytes that parsing takes at any time, for each byte of an array of these values.
 */
START_TEST(memory_is_of_the_order_of_the_text)
{
    const size_t n_values = 100000;
    size_t n = strlen(small_values[_i]) + 1, length = n_values * n + 1;
    char *text = malloc(length);
    ck_assert_ptr_nonnull(text);
    for (size_t i = 0; i < n_values; i++) {
        text[i * n] = i == 0 ? '[' : ',';
        memcpy(text + i * n + 1, small_values[_i], n - 1);
    }
    text[length - 1] = ']';
    struct counting counting = {.n_allowed = SIZE_MAX};
    lckv_allocator allocator = counting_allocator(&counting);
    struct json_document document;
    ck_assert_ok(json_parse(text, length, "t.json", &allocator, &document));
    ck_assert_uint_eq(json_count(document.root), n_values);
    ck_assert_uint_le(counting.most, 10 * length);
    json_release(&document);
    ck_assert_uint_eq(counting.out, 0);
    free(text);
}
END_TEST

START_TEST(memory_of_names_is_of_the_order_of_the_text)
{
    size_t length;
    char *text = many_names(140000, "last", &length); /* a little more than half of 2^18 */
    struct counting counting = {.n_allowed = SIZE_MAX};
    lckv_allocator allocator = counting_allocator(&counting);
    struct json_document document;
    ck_assert_ok(json_parse(text, length, "t.json", &allocator, &document));
    ck_assert_uint_le(counting.most, 10 * length);
    json_release(&document);
    ck_assert_uint_eq(counting.out, 0);
    free(text);
}
END_TEST

START_TEST(what_is_malformed_takes_no_more_than_its_copy)
{
    size_t length = 100000;
    char *text = malloc(length);
    ck_assert_ptr_nonnull(text);
    for (size_t i = 0; i < length; i += 2)
        memcpy(text + i, i == 0 ? "[1" : ",1", 2);
    struct counting counting = {.n_allowed = SIZE_MAX};
    lckv_allocator allocator = counting_allocator(&counting);
    struct json_document document;
    ck_assert_status(json_parse(text, length, "t.json", &allocator, &document), LCKV_BAD_FORMAT);
    ck_assert_uint_le(counting.most, length);
    ck_assert_uint_eq(counting.out, 0);
    free(text);
}
END_TEST

START_TEST(every_allocation_may_fail)
{
    lckv_status status = LCKV_OUT_OF_MEMORY;
    size_t n_allowed = 0;
    for (; status != LCKV_OK; n_allowed++) {
        struct counting counting = {.n_allowed = n_allowed};
        lckv_allocator allocator = counting_allocator(&counting);
        struct json_document document;
        status = parse_bytes(RICH, strlen(RICH), &allocator, &document);
        if (status != LCKV_OK) {
            ck_assert_status(status, LCKV_OUT_OF_MEMORY);
            ck_assert_error_has("out of memory");
            ck_assert_ptr_null(document.root);
        }
        json_release(&document);
        ck_assert_uint_eq(counting.out, 0);
    }
    ck_assert_uint_ge(n_allowed, 4); /* the copy, the values, the names, and once more */
}
END_TEST

static void add_grammar(Suite *suite)
{
    TCase *tcase = tcase_create("grammar");
    tcase_add_loop_test(tcase, accepts_and_keeps_what_is_valid, 0, COUNT(valid));
    tcase_add_loop_test(tcase, refuses_what_is_malformed, 0, COUNT(malformed));
    tcase_add_test(tcase, refuses_every_beginning_and_a_nul_anywhere);
    tcase_add_test(tcase, any_byte_anywhere_does_no_harm);
    suite_add_tcase(suite, tcase);
}

static void add_costs(Suite *suite)
{
    TCase *tcase = tcase_create("limits, names and memory");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, refuses_nesting_bombs, 0, 2);
    tcase_add_test(tcase, depth_is_of_what_is_open);
    tcase_add_test(tcase, refuses_more_than_the_limit);
    tcase_add_test(tcase, many_names_take_linear_time);
    tcase_add_test(tcase, names_made_to_collide_are_refused);
    tcase_add_loop_test(tcase, memory_is_of_the_order_of_the_text, 0, COUNT(small_values));
    tcase_add_test(tcase, memory_of_names_is_of_the_order_of_the_text);
    tcase_add_test(tcase, what_is_malformed_takes_no_more_than_its_copy);
    tcase_add_test(tcase, every_allocation_may_fail);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("json", add_grammar, add_costs)
