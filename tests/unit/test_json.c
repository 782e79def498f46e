/*
 * JSON: limits and typed look-ups.
 */
#include "format/json.h"

#include <string.h>

#include "support.h"

static json_t *parse(const char *text)
{
    json_t *value = NULL;
    ck_assert_ok(json_parse(text, strlen(text), "t.json", &value));
    return value;
}

/* ---- Parsing ---- */

static const struct {
    const char *text;
    const char *message;
} malformed[] = {
    {"", "t.json: line 1"},
    {"{", "t.json: line 1"},
    {"{\"a\": NaN}", "line 1, column"},
    {"{\"a\": Infinity}", "line 1, column"},
    {"{\"a\":\n-Infinity}", "line 2, column"},
    {"{\"a\": 1e999}", "line 1, column"},
    {"{\"a\": 1, \"a\": 2}", "duplicate"},
    {"{\"a\": 1} x", "end of file expected"},
    {"{\"a\": 'b'}", "not valid JSON"},
    {"{\"a\": 0123}", "not valid JSON"},
    {"{\"a\": 00000000000000000000000}", "not valid JSON"},
    {"{\"a\": \"\xff\"}", "unable to decode byte 0xff"},
    {"{\"a\": \"\\ud800\"}", "not valid JSON"},
    {"{\"a\\u0000b\": 1}", "NUL"},
    {"[\"unterminated", "not valid JSON"},
    {"[\"unterminated\\", "not valid JSON"},
    {"7", "not valid JSON"},
    {"-", "not valid JSON"},
};

START_TEST(refuses_malformed_text)
{
    json_t *value = NULL;
    /* A copy of exactly this size: the end is not a NUL. */
    size_t length = strlen(malformed[_i].text);
    char *copy = malloc(length + (length == 0));
    memcpy(copy, malformed[_i].text, length);
    ck_assert_status(json_parse(copy, length, "t.json", &value), LCKV_BAD_FORMAT);
    ck_assert_error_has("t.json");
    ck_assert_error_has(malformed[_i].message);
    ck_assert_ptr_null(value);
    free(copy);
}
END_TEST

START_TEST(refuses_nesting_bombs)
{
    static char text[1 << 20];
    json_t *value = NULL;
    memset(text, '[', sizeof text);
    ck_assert_status(json_parse(text, sizeof text, "t.json", &value), LCKV_BAD_FORMAT);
    ck_assert_error_has("nested deeper than 64");

    for (size_t depth = JSON_MAX_DEPTH; depth <= JSON_MAX_DEPTH + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        lckv_status expected = depth == JSON_MAX_DEPTH ? LCKV_OK : LCKV_BAD_FORMAT;
        ck_assert_status(json_parse(text, 2 * depth, "t.json", &value), expected);
    }
    json_decref(value);
}
END_TEST

START_TEST(brackets_in_strings_are_no_nesting)
{
    char text[1024];
    memset(text, '[', sizeof text);
    memcpy(text, "[\"\\\"", 4);
    memcpy(text + sizeof text - 2, "\"]", 2);
    json_t *value = NULL;
    ck_assert_ok(json_parse(text, sizeof text, "t.json", &value));
    ck_assert_uint_eq(json_string_length(json_array_get(value, 0)), sizeof text - 5);
    json_decref(value);
}
END_TEST

START_TEST(strings_may_hold_nul)
{
    json_t *value = parse("{\"a\": \"x\\u0000y\"}");
    struct text text;
    ck_assert_ok(json_get_text(value, "t.json", "a", &text, NULL));
    ck_assert_uint_eq(text.length, 3);
    ck_assert_mem_eq(text.bytes, "x\0y", 3);
    json_decref(value);
}
END_TEST

/* Tokenizer configurations write "no limit" as an integer of 31 digits. */
START_TEST(integers_beyond_64_bits_become_reals)
{
    json_t *value = parse("{\"model_max_length\": 1000000000000000019884624838656,"
                          " \"least\": -123456789012345678901, \"most\": 9223372036854775807,"
                          " \"beyond\": 9223372036854775808, \"text\": \"99999999999999999999999\","
                          " \"fraction\": 0.12345678901234567890123,"
                          " \"exponent\": 12345678901234567890123e-2}");
    double number;
    ck_assert_ok(json_get_f64(value, "t", "model_max_length", &number, NULL));
    ck_assert_double_eq(number, 1e30);
    ck_assert_ok(json_get_f64(value, "t", "least", &number, NULL));
    ck_assert_double_eq_tol(number, -123456789012345678901.0, 1e5);
    ck_assert_ok(json_get_f64(value, "t", "beyond", &number, NULL));
    ck_assert_double_eq_tol(number, 9223372036854775808.0, 1e4);
    ck_assert_int_eq(json_integer_value(json_object_get(value, "most")), INT64_MAX);
    ck_assert_str_eq(json_string_value(json_object_get(value, "text")), "99999999999999999999999");
    ck_assert_ok(json_get_f64(value, "t", "fraction", &number, NULL));
    ck_assert_double_eq(number, 0.12345678901234567890123);
    ck_assert_ok(json_get_f64(value, "t", "exponent", &number, NULL));
    ck_assert_double_eq(number, 12345678901234567890123e-2);
    json_decref(value);
}
END_TEST

/* ---- Look-ups ---- */

START_TEST(finds_members_of_their_types)
{
    json_t *value =
        parse("{\"u\": 4294967295, \"f\": 1e-5, \"i\": -3, \"b\": true, \"s\": \"text\","
              " \"o\": {}, \"a\": [], \"n\": null}");
    uint32_t u = 0;
    double f = 0;
    bool b = false, found = false;
    struct text text = {NULL, 0};
    json_t *item = NULL;
    ck_assert_ok(json_get_u32(value, "t", "u", &u, &found));
    ck_assert(found);
    ck_assert_uint_eq(u, UINT32_MAX);
    ck_assert_ok(json_get_f64(value, "t", "f", &f, &found));
    ck_assert_double_eq(f, 1e-5);
    ck_assert_ok(json_get_f64(value, "t", "i", &f, &found));
    ck_assert_double_eq(f, -3);
    ck_assert_ok(json_get_bool(value, "t", "b", &b, &found));
    ck_assert(b);
    ck_assert_ok(json_get_text(value, "t", "s", &text, &found));
    ck_assert_uint_eq(text.length, 4);
    ck_assert_ok(json_get_object(value, "t", "o", &item));
    ck_assert(json_is_object(item));
    ck_assert_ok(json_get_array(value, "t", "a", &item));
    ck_assert(json_is_array(item));
    json_decref(value);
}
END_TEST

START_TEST(missing_and_null_leave_the_default)
{
    static const char *const keys[] = {"missing", "null"};
    json_t *value = parse("{\"null\": null}");
    const char *key = keys[_i];
    uint32_t u = 5;
    double f = 6;
    bool b = true, found = true;
    struct text text = {"x", 1};
    json_t *item = value;
    ck_assert_ok(json_get_u32(value, "t", key, &u, &found));
    ck_assert(!found);
    ck_assert_ok(json_get_u32(value, "t", key, &u, NULL));
    ck_assert_ok(json_get_f64(value, "t", key, &f, NULL));
    ck_assert_ok(json_get_bool(value, "t", key, &b, NULL));
    ck_assert_ok(json_get_text(value, "t", key, &text, NULL));
    ck_assert(u == 5 && f == 6 && b && text.length == 1);
    ck_assert_ok(json_get_object(value, "t", key, &item));
    ck_assert_ptr_null(item);
    item = value;
    ck_assert_ok(json_get_array(value, "t", key, &item));
    ck_assert_ptr_null(item);
    json_decref(value);
}
END_TEST

START_TEST(refuses_other_types_by_name)
{
    json_t *value = parse("{\"real\": 1.0, \"negative\": -1, \"large\": 4294967296, \"s\": \"1\"}");
    uint32_t u = 5;
    double f;
    bool b;
    struct text text;
    json_t *item;
    ck_assert_status(json_get_u32(value, "t.json", "real", &u, NULL), LCKV_BAD_FORMAT);
    ck_assert_error_has("t.json: real: expected an integer");
    ck_assert_status(json_get_u32(value, "t.json", "negative", &u, NULL), LCKV_BAD_FORMAT);
    ck_assert_status(json_get_u32(value, "t.json", "large", &u, NULL), LCKV_BAD_FORMAT);
    ck_assert_status(json_get_u32(value, "t.json", "s", &u, NULL), LCKV_BAD_FORMAT);
    ck_assert_uint_eq(u, 5);
    ck_assert_status(json_get_f64(value, "t.json", "s", &f, NULL), LCKV_BAD_FORMAT);
    ck_assert_error_has("t.json: s: expected a finite number");
    ck_assert_status(json_get_bool(value, "t.json", "negative", &b, NULL), LCKV_BAD_FORMAT);
    ck_assert_error_has("negative: expected true or false");
    ck_assert_status(json_get_text(value, "t.json", "real", &text, NULL), LCKV_BAD_FORMAT);
    ck_assert_error_has("real: expected a string");
    ck_assert_status(json_get_object(value, "t.json", "s", &item), LCKV_BAD_FORMAT);
    ck_assert_error_has("s: expected an object");
    ck_assert_status(json_get_array(value, "t.json", "s", &item), LCKV_BAD_FORMAT);
    ck_assert_error_has("s: expected an array");
    ck_assert_status(json_get_u32(json_object_get(value, "s"), "t.json", "u", &u, NULL),
                     LCKV_BAD_FORMAT);
    ck_assert_error_has("t.json: expected an object with the member u");
    json_decref(value);
}
END_TEST

static void add_json(Suite *suite)
{
    TCase *tests = tcase_create("json");
    tcase_add_loop_test(tests, refuses_malformed_text, 0, sizeof malformed / sizeof malformed[0]);
    tcase_add_test(tests, refuses_nesting_bombs);
    tcase_add_test(tests, brackets_in_strings_are_no_nesting);
    tcase_add_test(tests, strings_may_hold_nul);
    tcase_add_test(tests, integers_beyond_64_bits_become_reals);
    tcase_add_test(tests, finds_members_of_their_types);
    tcase_add_loop_test(tests, missing_and_null_leave_the_default, 0, 2);
    tcase_add_test(tests, refuses_other_types_by_name);
    suite_add_tcase(suite, tests);
}

TEST_MAIN("json", add_json)
