/*
 * JSON and metadata: limits, typed look-ups, and metadata as text.
 */
#include "base/status.h"
#include "format/json.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
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

/* ---- Metadata ---- */

static struct arena arena;
static struct metadata metadata;

static void begin_metadata(void)
{
    arena_init(&arena, &memory_default_allocator);
    metadata_init(&metadata, &arena);
}

static void end_metadata(void)
{
    arena_release(&arena);
}

START_TEST(keeps_what_is_set)
{
    char word[] = "word";
    struct text texts[2] = {{word, 4}, {"a\0b", 3}};
    ck_assert_ok(metadata_set_u32(&metadata, "u", UINT32_MAX));
    ck_assert_ok(metadata_set_f32(&metadata, "f", 0.1f));
    ck_assert_ok(metadata_set_bool(&metadata, "b", true));
    ck_assert_ok(metadata_set_text(&metadata, "s", word, 4));
    ck_assert_ok(metadata_set_texts(&metadata, "ss", texts, 2));
    ck_assert_ok(metadata_set_i32s(&metadata, "is", (const int32_t[]){-1, 258}, 2));
    memset(word, '-', 4);

    uint32_t u;
    float f;
    bool b, found;
    struct text text;
    ck_assert_ok(metadata_get_u32(&metadata, "u", &u, &found));
    ck_assert(found && u == UINT32_MAX);
    ck_assert_ok(metadata_get_f32(&metadata, "f", &f, &found));
    ck_assert(found && f == 0.1f);
    ck_assert_ok(metadata_get_bool(&metadata, "b", &b, &found));
    ck_assert(found && b);
    ck_assert_ok(metadata_get_text(&metadata, "s", &text, &found));
    ck_assert(found && text.length == 4);
    ck_assert_str_eq(text.bytes, "word");
    const struct metadata_value *strings = metadata_find(&metadata, "ss");
    ck_assert_uint_eq(strings->count, 2);
    ck_assert_str_eq(strings->as.strings[0].bytes, "word");
    ck_assert_mem_eq(strings->as.strings[1].bytes, "a\0b", 4);
    const struct metadata_value *integers = metadata_find(&metadata, "is");
    ck_assert_uint_eq(integers->element_type, METADATA_I32);
    ck_assert_mem_eq(integers->as.elements, "\xff\xff\xff\xff\x02\x01\x00\x00", 8);
}
END_TEST

START_TEST(replaces_and_removes)
{
    char key[16];
    for (uint32_t i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "key%u", i);
        ck_assert_ok(metadata_set_u32(&metadata, key, i));
    }
    ck_assert_ok(metadata_set_text(&metadata, "key50", "new", 3));
    ck_assert_uint_eq(metadata.n_values, 100);
    metadata_remove(&metadata, "key0");
    metadata_remove(&metadata, "no such key");
    ck_assert_uint_eq(metadata.n_values, 99);
    ck_assert_ptr_null(metadata_find(&metadata, "key0"));
    ck_assert_uint_eq(metadata_find(&metadata, "key50")->type, METADATA_STRING);
    ck_assert_uint_eq(metadata_find(&metadata, "key99")->as.u, 99);
}
END_TEST

static void set_number(const char *key, uint32_t type, uint64_t bits)
{
    struct metadata_value value = {.key = {key, strlen(key)}, .type = type, .count = 1};
    value.as.u = bits;
    ck_assert_ok(metadata_set_value(&metadata, &value));
}

static void set_float(const char *key, uint32_t type, double number)
{
    struct metadata_value value = {.key = {key, strlen(key)}, .type = type, .count = 1};
    value.as.f = number;
    ck_assert_ok(metadata_set_value(&metadata, &value));
}

START_TEST(any_integer_serves_u32_if_it_fits)
{
    static const struct {
        uint32_t type;
        uint64_t bits;
        bool fits;
    } cases[] = {
        {METADATA_U8, 7, true},
        {METADATA_I8, 7, true},
        {METADATA_U16, 7, true},
        {METADATA_I16, 7, true},
        {METADATA_I32, 7, true},
        {METADATA_U64, 7, true},
        {METADATA_I64, 7, true},
        {METADATA_I32, (uint64_t)-1, false},
        {METADATA_I64, (uint64_t)INT64_MIN, false},
        {METADATA_U64, 1ull << 32, false},
        {METADATA_F32, 0, false},
        {METADATA_BOOL, 1, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t u = 5;
        set_number("key", cases[i].type, cases[i].bits);
        ck_assert_status(metadata_get_u32(&metadata, "key", &u, NULL),
                         cases[i].fits ? LCKV_OK : LCKV_BAD_FORMAT);
        ck_assert_uint_eq(u, cases[i].fits ? 7 : 5);
        if (!cases[i].fits)
            ck_assert_error_has("\"key\"");
    }
}
END_TEST

START_TEST(look_ups_check_types)
{
    uint32_t u = 5;
    float f = 5;
    bool b = true, found = true;
    struct text text;
    ck_assert_ok(metadata_get_u32(&metadata, "missing", &u, &found));
    ck_assert(!found && u == 5);
    set_float("inf", METADATA_F32, INFINITY);
    set_float("nan", METADATA_F32, NAN);
    set_float("large", METADATA_F64, 1e300);
    set_float("double", METADATA_F64, 0.5);
    ck_assert_status(metadata_get_f32(&metadata, "inf", &f, NULL), LCKV_BAD_FORMAT);
    ck_assert_error_has("\"inf\": expected a finite f32");
    ck_assert_status(metadata_get_f32(&metadata, "nan", &f, NULL), LCKV_BAD_FORMAT);
    ck_assert_status(metadata_get_f32(&metadata, "large", &f, NULL), LCKV_BAD_FORMAT);
    ck_assert(f == 5);
    ck_assert_ok(metadata_get_f32(&metadata, "double", &f, NULL));
    ck_assert(f == 0.5f);
    ck_assert_status(metadata_get_bool(&metadata, "double", &b, NULL), LCKV_BAD_FORMAT);
    ck_assert_error_has("\"double\": type f64, expected bool");
    ck_assert_status(metadata_get_text(&metadata, "double", &text, NULL), LCKV_BAD_FORMAT);
    ck_assert_error_has("expected string");
}
END_TEST

/* ---- Metadata as text ---- */

static void assert_text(const char *key, const char *expected)
{
    char buffer[256];
    size_t length = 0;
    size_t wanted = strlen(expected);
    const struct metadata_value *value = metadata_find(&metadata, key);
    ck_assert_ok(metadata_text(value, buffer, sizeof buffer, &length));
    ck_assert_str_eq(buffer, expected);
    ck_assert_uint_eq(length, wanted);
    length = 0;
    ck_assert_status(metadata_text(value, NULL, 0, &length), LCKV_BUFFER_TOO_SMALL);
    ck_assert_uint_eq(length, wanted);
    char *exact = malloc(wanted + 1);
    ck_assert_status(metadata_text(value, exact, wanted, &length), LCKV_BUFFER_TOO_SMALL);
    ck_assert_ok(metadata_text(value, exact, wanted + 1, &length));
    ck_assert_str_eq(exact, expected);
    free(exact);
}

START_TEST(scalars_as_text)
{
    set_number("u64", METADATA_U64, UINT64_MAX);
    set_number("i8", METADATA_I8, (uint64_t)-5);
    set_number("bool", METADATA_BOOL, 1);
    ck_assert_ok(metadata_set_text(&metadata, "s", "as \"it\" is\n", 11));
    assert_text("u64", "18446744073709551615");
    assert_text("i8", "-5");
    assert_text("bool", "true");
    assert_text("s", "as \"it\" is\n");
}
END_TEST

START_TEST(floats_as_their_shortest_text)
{
    static const struct {
        uint32_t type;
        double number;
        const char *text;
    } cases[] = {
        {METADATA_F32, 0.0, "0"},
        {METADATA_F32, -0.0, "-0"},
        {METADATA_F32, 1e-5f, "0.00001"},
        {METADATA_F32, 1e-6f, "1e-6"},
        {METADATA_F32, 0.1f, "0.1"},
        {METADATA_F64, 0.1f, "0.10000000149011612"},
        {METADATA_F32, 500000.0f, "500000"},
        {METADATA_F32, -12.75f, "-12.75"},
        {METADATA_F32, 3.4028235e38f, "3.4028235e38"},
        {METADATA_F64, 1.7976931348623157e308, "1.7976931348623157e308"},
        {METADATA_F64, 5e-324, "5e-324"},
        {METADATA_F64, 1e16, "10000000000000000"},
        {METADATA_F32, INFINITY, "inf"},
        {METADATA_F32, -INFINITY, "-inf"},
        {METADATA_F64, NAN, "nan"},
    };
    set_float("f", cases[_i].type, cases[_i].number);
    assert_text("f", cases[_i].text);
}
END_TEST

/*
 * A host program may have chosen a locale that writes 12,75. Few machines have one installed, so
 * this makes its own; glibc finds it through LOCPATH.
 */
START_TEST(text_is_free_of_the_locale)
{
    char directory[] = "/tmp/lckv-locale-XXXXXX";
    char command[512], text[8];
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(command, sizeof command,
             "cd %s && printf 'LC_NUMERIC\\ndecimal_point \"<U002C>\"\\nthousands_sep \"\"\\n"
             "grouping -1\\nEND LC_NUMERIC\\n' >source && localedef -c -i source ./comma "
             "2>/dev/null >&2; test -e comma/LC_NUMERIC",
             directory);
    bool made = system(command) == 0;
    ck_assert_int_eq(setenv("LOCPATH", directory, 1), 0);
    if (made) {
        ck_assert_ptr_nonnull(setlocale(LC_NUMERIC, "comma"));
        snprintf(text, sizeof text, "%.1f", 1.5);
        ck_assert_str_eq(text, "1,5");
        set_float("f", METADATA_F32, -12.75);
        assert_text("f", "-12.75");
        set_float("f", METADATA_F32, 3.4028235e38f);
        assert_text("f", "3.4028235e38");
        json_t *value = parse("{\"f\": 1.5}");
        double f = 0;
        ck_assert_ok(json_get_f64(value, "t", "f", &f, NULL));
        ck_assert_double_eq(f, 1.5);
        json_decref(value);
    } else {
        fprintf(stderr, "text_is_free_of_the_locale: skipped, localedef cannot make a locale\n");
    }
    snprintf(command, sizeof command, "rm -r %s", directory);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

START_TEST(arrays_as_json)
{
    static const struct text texts[] = {
        {"a\"\\\n", 4}, {"\xc3\xa9\xff", 3}, {"", 0}, {"\xe2\x82", 2}, {"\xed\xa0\x80", 3}};
    static const uint8_t floats[] = {0, 0, 0xc0, 0x3f, 0, 0, 0x80, 0x7f, 0xcd, 0xcc, 0xcc, 0xbd};
    struct metadata_value value = {
        .key = {"f", 1}, .type = METADATA_ARRAY, .element_type = METADATA_F32, .count = 3};
    value.as.elements = floats;
    ck_assert_ok(metadata_set_value(&metadata, &value));
    ck_assert_ok(metadata_set_texts(&metadata, "s", texts, 5));
    ck_assert_ok(metadata_set_i32s(&metadata, "i", (const int32_t[]){0, -1, INT32_MAX}, 3));
    ck_assert_ok(metadata_set_i32s(&metadata, "none", NULL, 0));
    value = (struct metadata_value){
        .key = {"b", 1}, .type = METADATA_ARRAY, .element_type = METADATA_BOOL, .count = 2};
    value.as.elements = (const uint8_t *)"\0\1";
    ck_assert_ok(metadata_set_value(&metadata, &value));
    assert_text("f", "[1.5, null, -0.1]");
    assert_text("s", "[\"a\\\"\\\\\\u000a\", \"\xc3\xa9\\ufffd\", \"\", \"\\ufffd\\ufffd\","
                     " \"\\ufffd\\ufffd\\ufffd\"]");
    assert_text("i", "[0, -1, 2147483647]");
    assert_text("none", "[]");
    assert_text("b", "[false, true]");
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

static void add_metadata(Suite *suite)
{
    TCase *tests = tcase_create("metadata");
    tcase_add_checked_fixture(tests, begin_metadata, end_metadata);
    tcase_add_test(tests, keeps_what_is_set);
    tcase_add_test(tests, replaces_and_removes);
    tcase_add_test(tests, any_integer_serves_u32_if_it_fits);
    tcase_add_test(tests, look_ups_check_types);
    tcase_add_test(tests, scalars_as_text);
    tcase_add_loop_test(tests, floats_as_their_shortest_text, 0, 15);
    tcase_add_test(tests, text_is_free_of_the_locale);
    tcase_add_test(tests, arrays_as_json);
    suite_add_tcase(suite, tests);
}

TEST_MAIN("json", add_json, add_metadata)
