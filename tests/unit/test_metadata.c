/*
 * Metadata: how values are kept, typed look-ups, and values as text.
 */
#include "format/json.h"
#include "format/metadata.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "folder.h"
#include "support.h"

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

START_TEST(replaces)
{
    char key[16];
    for (uint32_t i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "key%u", i);
        ck_assert_ok(metadata_set_u32(&metadata, key, i));
    }
    ck_assert_ok(metadata_set_text(&metadata, "key50", "new", 3));
    ck_assert_uint_eq(metadata.n_values, 100);
    ck_assert_ptr_null(metadata_find(&metadata, "key100"));
    ck_assert_str_eq(metadata.values[50].key.bytes, "key50"); /* the order is kept */
    ck_assert_uint_eq(metadata_find(&metadata, "key50")->type, METADATA_STRING);
    ck_assert_uint_eq(metadata_find(&metadata, "key99")->as.u, 99);
}
END_TEST

/* There are so many keys that comparing each with all before it would take minutes. */
START_TEST(many_keys_are_added_and_found_quickly)
{
    char key[128];
    for (uint32_t i = 0; i < 200000; i++) {
        snprintf(key, sizeof key, "%0100u", i);
        ck_assert_ok(metadata_set_u32(&metadata, key, i));
    }
    for (uint32_t i = 0; i < 200000; i++) {
        snprintf(key, sizeof key, "%0100u", i);
        ck_assert_uint_eq(metadata_find(&metadata, key)->as.u, i);
    }
    struct metadata_value again = metadata.values[7];
    ck_assert_status(metadata_add(&metadata, &again), LCKV_BAD_FORMAT);
    ck_assert_error_has("duplicate metadata key");
    ck_assert_uint_eq(metadata.n_values, 200000);
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
 * A host program may have chosen a locale that writes 12,75. Few machines have such a locale
 * installed, so this test makes one, which glibc finds through LOCPATH.
 */
START_TEST(text_is_free_of_the_locale)
{
    char command[FOLDER_PATH + 128], text[8];
    folder_make();
    folder_write_text("source", "LC_NUMERIC\n"
                                "decimal_point \"<U002C>\"\n"
                                "thousands_sep \"\"\n"
                                "grouping -1\n"
                                "END LC_NUMERIC\n");
    snprintf(command, sizeof command,
             "cd '%s' && localedef -c -i source ./comma 2>/dev/null >&2; test -e comma/LC_NUMERIC",
             folder);
    bool made = system(command) == 0;
    ck_assert_int_eq(setenv("LOCPATH", folder, 1), 0);
    if (made) {
        ck_assert_ptr_nonnull(setlocale(LC_NUMERIC, "comma"));
        snprintf(text, sizeof text, "%.1f", 1.5);
        ck_assert_str_eq(text, "1,5");
        set_float("f", METADATA_F32, -12.75);
        assert_text("f", "-12.75");
        set_float("f", METADATA_F32, 3.4028235e38f);
        assert_text("f", "3.4028235e38");
        struct json_document document;
        double f = 0;
        ck_assert_ok(json_parse("{\"f\": 1.5}", 10, "t", &memory_default_allocator, &document));
        ck_assert_ok(json_get_f64(document.root, "t", "f", &f, NULL));
        ck_assert_double_eq(f, 1.5);
        json_release(&document);
    } else {
        fprintf(stderr, "text_is_free_of_the_locale: skipped, localedef cannot make a locale\n");
    }
    folder_remove();
}
END_TEST

START_TEST(arrays_as_json)
{
    static const struct text texts[] = {{"a\"\\\n", 4},  {"\xc3\xa9\xff", 3}, {"", 0},
                                        {"\xe2\x82", 2}, {"\xed\xa0\x80", 3}, {"\x1f ~\x7f", 4}};
    static const uint8_t floats[] = {0, 0, 0xc0, 0x3f, 0, 0, 0x80, 0x7f, 0xcd, 0xcc, 0xcc, 0xbd};
    struct metadata_value value = {
        .key = {"f", 1}, .type = METADATA_ARRAY, .element_type = METADATA_F32, .count = 3};
    value.as.elements = floats;
    ck_assert_ok(metadata_set_value(&metadata, &value));
    ck_assert_ok(metadata_set_texts(&metadata, "s", texts, COUNT(texts)));
    ck_assert_ok(metadata_set_i32s(&metadata, "i", (const int32_t[]){0, -1, INT32_MAX}, 3));
    ck_assert_ok(metadata_set_i32s(&metadata, "none", NULL, 0));
    value = (struct metadata_value){
        .key = {"b", 1}, .type = METADATA_ARRAY, .element_type = METADATA_BOOL, .count = 2};
    value.as.elements = (const uint8_t *)"\0\1";
    ck_assert_ok(metadata_set_value(&metadata, &value));
    assert_text("f", "[1.5, null, -0.1]");
    assert_text("s", "[\"a\\\"\\\\\\u000a\", \"\xc3\xa9\\ufffd\", \"\", \"\\ufffd\\ufffd\","
                     " \"\\ufffd\\ufffd\\ufffd\", \"\\u001f ~\\u007f\"]");
    assert_text("i", "[0, -1, 2147483647]");
    assert_text("none", "[]");
    assert_text("b", "[false, true]");
}
END_TEST

/* The bytes are those of 1 and -1, or of 1 and the largest, in each type. */
START_TEST(arrays_of_every_type_as_json)
{
    static const struct {
        uint32_t type;
        const char *bytes, *text;
    } cases[] = {
        {METADATA_U8, "\x01\xFF", "[1, 255]"},
        {METADATA_I8, "\x01\xFF", "[1, -1]"},
        {METADATA_U16, "\x01\0\xFF\xFF", "[1, 65535]"},
        {METADATA_I16, "\x01\0\xFF\xFF", "[1, -1]"},
        {METADATA_U32, "\x01\0\0\0\xFF\xFF\xFF\xFF", "[1, 4294967295]"},
        {METADATA_I32, "\x01\0\0\0\xFF\xFF\xFF\xFF", "[1, -1]"},
        {METADATA_U64, "\x01\0\0\0\0\0\0\0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
         "[1, 18446744073709551615]"},
        {METADATA_I64, "\x01\0\0\0\0\0\0\0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", "[1, -1]"},
        {METADATA_F64, "\0\0\0\0\0\0\xF8\x3F\0\0\0\0\0\0\xF0\x7F", "[1.5, null]"},
        {METADATA_F64, "\x9A\x99\x99\x99\x99\x99\xB9\x3F\0\0\0\0\0\0\xF8\xFF", "[0.1, null]"},
    };
    struct metadata_value value = {.key = {"a", 1},
                                   .type = METADATA_ARRAY,
                                   .element_type = cases[_i].type,
                                   .count = 2,
                                   .as.elements = (const uint8_t *)cases[_i].bytes};
    ck_assert_ok(metadata_set_value(&metadata, &value));
    assert_text("a", cases[_i].text);
}
END_TEST

static void add_metadata(Suite *suite)
{
    TCase *tests = tcase_create("metadata");
    tcase_add_checked_fixture(tests, begin_metadata, end_metadata);
    tcase_add_test(tests, keeps_what_is_set);
    tcase_add_test(tests, replaces);
    tcase_add_test(tests, many_keys_are_added_and_found_quickly);
    tcase_add_test(tests, any_integer_serves_u32_if_it_fits);
    tcase_add_test(tests, look_ups_check_types);
    tcase_add_test(tests, scalars_as_text);
    tcase_add_loop_test(tests, floats_as_their_shortest_text, 0, 15);
    tcase_add_test(tests, text_is_free_of_the_locale);
    tcase_add_test(tests, arrays_as_json);
    tcase_add_loop_test(tests, arrays_of_every_type_as_json, 0, 10);
    suite_add_tcase(suite, tests);
}

TEST_MAIN("metadata", add_metadata)
