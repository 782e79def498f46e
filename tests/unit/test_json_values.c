/*
 * JSON: walking over values, strings, numbers, typed look-ups, and members as metadata. test_json.c
 * has what is valid.
 */
#include "format/json.h"

#include <math.h>
#include <stdio.h>

#include "random.h"
#include "support.h"

static struct json_document parse(const char *text)
{
    struct json_document document;
    ck_assert_ok(json_parse(text, strlen(text), "t.json", &memory_default_allocator, &document));
    return document;
}

static void assert_text(struct text text, const char *bytes, size_t length)
{
    ck_assert_uint_eq(text.length, length);
    ck_assert_mem_eq(text.bytes, bytes, length + 1); /* and the NUL */
}

/* ---- Walking ---- */

START_TEST(arrays_are_walked_in_order)
{
    struct json_document document = parse("[[1, [2, 3]], {\"a\": [4]}, [], {}, 5]");
    static const enum json_type types[] = {JSON_ARRAY, JSON_OBJECT, JSON_ARRAY, JSON_OBJECT,
                                           JSON_NUMBER};
    static const size_t counts[] = {2, 1, 0, 0, 0};
    const struct json_value *root = document.root;
    size_t i = 0;
    ck_assert_uint_eq(json_count(root), COUNT(types));
    for (const struct json_value *value = json_first(root); value != NULL;
         value = json_next(root, value), i++) {
        ck_assert_uint_lt(i, COUNT(types));
        ck_assert(json_is(value, types[i]));
        ck_assert_uint_eq(json_count(value), counts[i]);
        ck_assert((json_first(value) != NULL) == (counts[i] > 0));
    }
    ck_assert_uint_eq(i, COUNT(types));
    json_release(&document);
}
END_TEST

START_TEST(objects_are_walked_in_order_with_their_names)
{
    struct json_document document =
        parse("{\"one\": {\"deep\": {\"one\": 0}}, \"t\\u0077o\": [[], 2], \"\": 3}");
    static const char *const names[] = {"one", "two", ""};
    const struct json_value *root = document.root;
    size_t i = 0;
    for (const struct json_value *value = json_first(root); value != NULL;
         value = json_next(root, value), i++) {
        ck_assert_uint_lt(i, COUNT(names));
        assert_text(json_name(value), names[i], strlen(names[i]));
        ck_assert_ptr_eq(json_find(root, names[i]), value);
    }
    ck_assert_uint_eq(i, COUNT(names));
    ck_assert_ptr_null(json_find(root, "deep"));
    ck_assert_ptr_null(json_find(root, "t"));
    ck_assert_ptr_null(json_find(root, "twos"));
    ck_assert_ptr_nonnull(json_find(json_find(json_find(root, "one"), "deep"), "one"));
    json_release(&document);
}
END_TEST

START_TEST(a_value_that_is_not_there_is_nothing)
{
    struct json_document document = parse("[true]");
    int64_t integer;
    double number;
    ck_assert(!json_is(NULL, JSON_NULL));
    ck_assert_ptr_null(json_find(NULL, "a"));
    ck_assert_ptr_null(json_find(document.root, "a"));
    ck_assert_ptr_null(json_first(NULL));
    ck_assert_uint_eq(json_count(NULL), 0);
    ck_assert_uint_eq(json_count(json_first(document.root)), 0);
    ck_assert_uint_eq(json_text(NULL).length, 0);
    ck_assert_uint_eq(json_text(document.root).length, 0);
    ck_assert(!json_integer(NULL, &integer) && !json_number(NULL, &number));
    ck_assert(!json_integer(json_first(document.root), &integer));
    ck_assert(!json_number(json_first(document.root), &number));
    json_release(&document);
    json_release(&document); /* once more does nothing */
    ck_assert_ptr_null(document.root);
}
END_TEST

/* What is made of two objects is walked as any other. */
START_TEST(objects_are_completed)
{
    static const struct {
        const char *object, *others, *names[5];
    } cases[] = {
        {"{\"a\": [1, 2], \"b\": {\"c\": 3}}",
         "{\"b\": 4, \"d\": {\"e\": [5]}, \"a\": 6, \"f\": 7}",
         {"a", "b", "d", "f"}},
        {"{}", "{\"b\": 4}", {"b"}},
        {"{\"a\": null}", "{\"a\": 4}", {"a"}},
        {"{}", "{}", {NULL}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct json_document object = parse(cases[i].object), others = parse(cases[i].others);
        struct json_value *nodes = NULL;
        size_t n_nodes = 0, n = 0;
        ck_assert_ok(
            json_complete(object.root, others.root, &memory_default_allocator, &nodes, &n_nodes));
        for (const struct json_value *value = json_first(nodes); value != NULL;
             value = json_next(nodes, value), n++) {
            const struct json_value *first = json_find(object.root, cases[i].names[n]);
            const struct json_value *second = json_find(others.root, cases[i].names[n]);
            char text[64], expected[64];
            const size_t length = json_write(value, text, sizeof text);
            assert_text(json_name(value), cases[i].names[n], strlen(cases[i].names[n]));
            ck_assert_uint_eq(json_write(first != NULL ? first : second, expected, sizeof expected),
                              length);
            ck_assert_mem_eq(text, expected, length);
        }
        ck_assert_ptr_null(cases[i].names[n]);
        ck_assert_uint_eq(json_count(nodes), n);
        memory_free(&memory_default_allocator, nodes, n_nodes, sizeof *nodes);
        json_release(&object);
        json_release(&others);
    }
}
END_TEST

/* ---- Strings ---- */

START_TEST(strings_are_decoded)
{
    static const struct {
        const char *text, *bytes;
        size_t length;
    } cases[] = {
        {"[\"plain\"]", "plain", 5},
        {"[\"\"]", "", 0},
        {"[\"x\\u0000y\"]", "x\0y", 3},
        {"[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]", "\"\\/\b\f\n\r\t", 8},
        {"[\"a\\u0041b\\u00E9c\\u20acd\"]",
         "aAb\xC3\xA9"
         "c\xE2\x82\xAC"
         "d",
         10},
        {"[\"\\uD834\\uDD1E\\uDBFF\\udfff\\uFFFF\"]",
         "\xF0\x9D\x84\x9E\xF4\x8F\xBF\xBF\xEF\xBF\xBF", 11},
        {"[\"\xC3\xA9\\n\xE2\x82\xAC\\\\\xF0\x9F\x98\x80\"]",
         "\xC3\xA9\n\xE2\x82\xAC\\\xF0\x9F\x98\x80", 11},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct json_document document = parse(cases[i].text);
        ck_assert(json_is(json_first(document.root), JSON_STRING));
        assert_text(json_text(json_first(document.root)), cases[i].bytes, cases[i].length);
        json_release(&document);
    }
}
END_TEST

/* Tests each escape alone, between two characters that stay. */
START_TEST(every_code_point_can_be_escaped)
{
    char text[32], expected[8];
    for (uint32_t code = 0; code < 0x10000; code++) {
        if (code >= 0xD800 && code < 0xE000)
            continue;
        snprintf(text, sizeof text, "\"<\\u%04x>\"", code);
        struct json_document document = parse(text);
        size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : 3;
        expected[0] = '<';
        for (uint32_t i = 0; i < n; i++)
            expected[n - i] = (char)(0x80 | (code >> 6 * i & 0x3F));
        expected[1] = (char)(n == 1 ? code : n == 2 ? 0xC0 | code >> 6 : 0xE0 | code >> 12);
        memcpy(expected + 1 + n, ">", 2);
        assert_text(json_text(document.root), expected, n + 2);
        json_release(&document);
    }
}
END_TEST

/* ---- Numbers ---- */

START_TEST(integers_are_exact_to_64_bits)
{
    static const struct {
        const char *text;
        bool exact;
        int64_t integer;
    } cases[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"7", true, 7},
        {"-123456789012", true, -123456789012},
        {"9007199254740993", true, 9007199254740993},
        {"9223372036854775807", true, INT64_MAX},
        {"9223372036854775808", false, 0},
        {"9223372036854775810", false, 0},
        {"-9223372036854775808", true, INT64_MIN},
        {"-9223372036854775809", false, 0},
        {"18446744073709551616", false, 0},
        {"18446744073709551617", false, 0},
        {"1000000000000000019884624838656", false, 0},
        {"1.0", false, 0},
        {"1e0", false, 0},
        {"\"1\"", false, 0},
        {"true", false, 0},
        {"[1]", false, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct json_document document = parse(cases[i].text);
        int64_t integer = 5;
        ck_assert_msg(json_integer(document.root, &integer) == cases[i].exact, "%s", cases[i].text);
        ck_assert_int_eq(integer, cases[i].exact ? cases[i].integer : 5);
        json_release(&document);
    }
}
END_TEST

/* Compares the double of a text with that of the C library, whose locale is "C" here. */
static void assert_nearest(const char *text)
{
    struct json_document document = parse(text);
    double number = 5, expected = strtod(text, NULL);
    bool finite = json_number(document.root, &number);
    ck_assert_msg(finite == (bool)isfinite(expected), "%s", text);
    if (!finite)
        expected = 5;
    ck_assert_msg(memcmp(&number, &expected, sizeof number) == 0, "%s: %.17g, expected %.17g", text,
                  number, expected);
    json_release(&document);
}

START_TEST(numbers_become_the_nearest_double)
{
    static const char *const texts[] = {
        "0",
        "-0",
        "0.0",
        "-0.0e5",
        "0e999999999999999999999",
        "1",
        "-1.5",
        "1e5",
        "1E+5",
        "1e-5",
        "0.1",
        "1e22",
        "1e23",
        "123456789012345678901234567890",
        "8.5e307",
        "0.000001e6",
        "9007199254740992",
        "9007199254740993",
        "9007199254740993.0",
        "9007199254740995",
        "9007199254740993.00000000000000000000000000000000000000000000000001",
        /*
         * The largest double, and the smallest number that is too large for one; the smallest
         * normal and subnormal doubles.
         */
        "1.7976931348623157e308",
        "1.7976931348623158e308",
        "1.7976931348623159e308",
        "1e309",
        "-1e999",
        "1e99999999999999999999999999",
        "1e-99999999999999999999999999",
        "2.2250738585072014e-308",
        "2.2250738585072011e-308",
        "4.9406564584124654e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "5e-324",
        "1e-400",
        /* Other programs are known to have rounded these wrongly. */
        "2."
        "225073858507201136057409796709131975934819546351645648023426109724822222021076945516529523"
        "908135087914149158913039621106870086438694594645527657207407820621743379988141063267329253"
        "552286881372149012981122451451889849057222307285255133155755015914397476397983411801999323"
        "962548289017107081850690630666655994938275772572015763062690663332647565300009245888316433"
        "037779791869612049497390377829704905051080609940730262937128958950003583799967207254304360"
        "284078895771796150945516748243471030702609144621572289880258182545180325707018860872113128"
        "079512233426288368622321503775666622503982534335974568884423900265498198385487948292206894"
        "721689831099698365846814022854243330660339850886445804001034933970427567186443383770486037"
        "861622771738545623065874679014086723327636718751",
        "6.631236846766476e-316",
        "3.237883913302901e-319",
        "7.8459735791271921e65",
        "358416272e-33",
    };
    for (size_t i = 0; i < COUNT(texts); i++)
        assert_nearest(texts[i]);
}
END_TEST

/* Numbers half way between two doubles, and a little more, in any number of digits. */
START_TEST(digits_far_behind_decide)
{
    static char text[4096];
    static const char tails[] = "01";
    for (size_t zeros = 0; zeros < 3000; zeros += 60) {
        for (size_t tail = 0; tail < 2; tail++) {
            size_t length = (size_t)sprintf(text, "9007199254740993.");
            memset(text + length, '0', zeros);
            length += zeros;
            text[length++] = tails[tail];
            text[length] = '\0';
            assert_nearest(text);
            /* Writes the same with the digits before the point, and an exponent for them. */
            sprintf(text + length, "e-%zu", zeros + 1);
            memmove(text + 16, text + 17, strlen(text + 17) + 1);
            assert_nearest(text);
        }
        /* Writes it as a small number: 0.000...9007199254740993 times a power of ten. */
        size_t length = (size_t)sprintf(text, "0.");
        memset(text + length, '0', zeros);
        sprintf(text + length + zeros, "9007199254740993e%zu", zeros + 16);
        assert_nearest(text);
    }
}
END_TEST

/*
 * The longest decisions: odd multiples of 2^-1075 lie half way between two doubles, and have up to
 * 767 digits. Each is tested exactly, a little less, and a little more.
 */
START_TEST(all_digits_of_the_longest_half_ways_decide)
{
    static const uint64_t odds[] = {
        1, 3, 5, 0xFFFFFFFF, (UINT64_C(1) << 53) - 1, (UINT64_C(1) << 53) + 1};
    for (size_t i = 0; i < COUNT(odds); i++) {
        uint8_t digits[800] = {1}; /* 5^1075 * odd, the last digit first */
        for (int step = 0; step <= 1075; step++) {
            uint64_t carry = 0, factor = step < 1075 ? 5 : odds[i];
            for (size_t at = 0; at < COUNT(digits); at++, carry /= 10) {
                carry += digits[at] * factor;
                digits[at] = carry % 10;
            }
        }
        char text[COUNT(digits) + 32];
        size_t length = 0, n = COUNT(digits);
        while (digits[n - 1] == 0)
            n--;
        while (n > 0)
            text[length++] = (char)('0' + digits[--n]);
        sprintf(text + length, "e-1075");
        assert_nearest(text);
        sprintf(text + length, "0000000001e-1085");
        assert_nearest(text);
        text[length - 1]--; /* a 5, because the number is odd */
        sprintf(text + length, "9999999999e-1085");
        assert_nearest(text);
    }
}
END_TEST

START_TEST(random_numbers_become_the_nearest_double)
{
    char text[64];
    random_seed = 1;
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = (uint64_t)random_bits() << 32 | random_bits();
        double number;
        memcpy(&number, &bits, sizeof number);
        if (!isfinite(number))
            continue;
        snprintf(text, sizeof text, "%.*e", (int)(bits % 20), number);
        assert_nearest(text);
        if (fabs(number) < 1e20 && fabs(number) > 1e-20) {
            snprintf(text, sizeof text, "%.*f", (int)(bits % 25), number);
            assert_nearest(text);
        }
    }
}
END_TEST

/* Tokenizer configurations write "no limit" as an integer of 31 digits. */
START_TEST(integers_beyond_64_bits_are_numbers)
{
    struct json_document document =
        parse("{\"model_max_length\": 1000000000000000019884624838656}");
    double number;
    ck_assert_ok(json_get_f64(document.root, "t", "model_max_length", &number, NULL));
    ck_assert_double_eq(number, 1e30);
    json_release(&document);
}
END_TEST

/* ---- Look-ups ---- */

START_TEST(finds_members_of_their_types)
{
    struct json_document document =
        parse("{\"u\": 4294967295, \"f\": 1e-5, \"i\": -3, \"b\": true, \"s\": \"text\","
              " \"o\": {}, \"a\": [], \"n\": null}");
    const struct json_value *root = document.root, *item = NULL;
    uint32_t u = 0;
    double f = 0;
    bool b = false, found = false;
    struct text text = {NULL, 0};
    ck_assert_ok(json_get_u32(root, "t", "u", &u, &found));
    ck_assert(found);
    ck_assert_uint_eq(u, UINT32_MAX);
    ck_assert_ok(json_get_f64(root, "t", "f", &f, &found));
    ck_assert_double_eq(f, 1e-5);
    ck_assert_ok(json_get_f64(root, "t", "i", &f, &found));
    ck_assert_double_eq(f, -3);
    ck_assert_ok(json_get_bool(root, "t", "b", &b, &found));
    ck_assert(b);
    ck_assert_ok(json_get_text(root, "t", "s", &text, &found));
    assert_text(text, "text", 4);
    ck_assert_ok(json_get_object(root, "t", "o", &item));
    ck_assert(json_is(item, JSON_OBJECT));
    ck_assert_ok(json_get_array(root, "t", "a", &item));
    ck_assert(json_is(item, JSON_ARRAY));
    json_release(&document);
}
END_TEST

START_TEST(missing_and_null_leave_the_default)
{
    static const char *const names[] = {"missing", "null"};
    struct json_document document = parse("{\"null\": null}");
    const struct json_value *root = document.root, *item = root;
    const char *name = names[_i];
    uint32_t u = 5;
    double f = 6;
    bool b = true, found = true;
    struct text text = {"x", 1};
    ck_assert_ok(json_get_u32(root, "t", name, &u, &found));
    ck_assert(!found);
    ck_assert_ok(json_get_u32(root, "t", name, &u, NULL));
    ck_assert_ok(json_get_f64(root, "t", name, &f, NULL));
    ck_assert_ok(json_get_bool(root, "t", name, &b, NULL));
    found = true;
    ck_assert_ok(json_get_text(root, "t", name, &text, &found));
    ck_assert(!found);
    ck_assert(u == 5 && f == 6 && b && text.length == 1);
    ck_assert_ok(json_get_object(root, "t", name, &item));
    ck_assert_ptr_null(item);
    item = root;
    ck_assert_ok(json_get_array(root, "t", name, &item));
    ck_assert_ptr_null(item);
    json_release(&document);
}
END_TEST

START_TEST(refuses_other_types_by_name)
{
    struct json_document document = parse("{\"real\": 1.0, \"negative\": -1, \"large\": 4294967296,"
                                          " \"infinite\": 1e999, \"s\": \"1\"}");
    const struct json_value *root = document.root, *item;
    uint32_t u = 5;
    double f = 6;
    bool b;
    struct text text;
    ck_assert_status(json_get_u32(root, "t.json", "real", &u, NULL), LCKV_BAD_FORMAT);
    ck_assert_error_has("t.json: real: expected an integer from 0 to 4294967295");
    ck_assert_status(json_get_u32(root, "t.json", "negative", &u, NULL), LCKV_BAD_FORMAT);
    ck_assert_status(json_get_u32(root, "t.json", "large", &u, NULL), LCKV_BAD_FORMAT);
    ck_assert_status(json_get_u32(root, "t.json", "s", &u, NULL), LCKV_BAD_FORMAT);
    ck_assert_uint_eq(u, 5);
    ck_assert_status(json_get_f64(root, "t.json", "s", &f, NULL), LCKV_BAD_FORMAT);
    ck_assert_error_has("t.json: s: expected a finite number");
    ck_assert_status(json_get_f64(root, "t.json", "infinite", &f, NULL), LCKV_BAD_FORMAT);
    ck_assert_error_has("t.json: infinite: expected a finite number");
    ck_assert_double_eq(f, 6);
    ck_assert_status(json_get_bool(root, "t.json", "negative", &b, NULL), LCKV_BAD_FORMAT);
    ck_assert_error_has("negative: expected true or false");
    ck_assert_status(json_get_text(root, "t.json", "real", &text, NULL), LCKV_BAD_FORMAT);
    ck_assert_error_has("real: expected a string");
    ck_assert_status(json_get_object(root, "t.json", "s", &item), LCKV_BAD_FORMAT);
    ck_assert_error_has("s: expected an object");
    ck_assert_status(json_get_array(root, "t.json", "s", &item), LCKV_BAD_FORMAT);
    ck_assert_error_has("s: expected an array");
    ck_assert_status(json_get_u32(json_find(root, "s"), "t.json", "u", &u, NULL), LCKV_BAD_FORMAT);
    ck_assert_error_has("t.json: expected an object with the member u");
    json_release(&document);
}
END_TEST

/* ---- As text ---- */

START_TEST(writes_what_fits_and_says_how_much_there_is)
{
    struct json_document document = parse("[\"a\\u0001\", 1.50, {\"b\": []}]");
    static const char expected[] = "[\"a\\u0001\", 1.50, {\"b\": []}]";
    const size_t length = sizeof expected - 1;
    for (size_t capacity = 0; capacity <= length; capacity++) {
        char written[sizeof expected];
        memset(written, 'x', sizeof written);
        ck_assert_uint_eq(json_write(document.root, written, capacity), length);
        ck_assert_mem_eq(written, expected, capacity);
        ck_assert_int_eq(written[capacity], 'x');
    }
    ck_assert_uint_eq(json_write(document.root, NULL, 0), length);
    json_release(&document);
}
END_TEST

START_TEST(members_become_metadata_as_they_were_written)
{
    static const char *const expected[][2] = {
        {"epsilon", "1e-05"}, {"theta", "10000.0"},     {"text", "a\"b"},
        {"none", "null"},     {"list", "[1.0, \"x\"]"}, {"object", "{\"factor\": 8.00}"}};
    struct json_document document =
        parse("{\"epsilon\": 1e-05, \"theta\": 10000.0, \"text\": \"a\\\"b\", \"none\": null,"
              " \"list\": [ 1.0,\n\"x\" ], \"object\": {\"factor\":8.00}}");
    struct arena arena;
    struct metadata metadata;
    arena_init(&arena, &memory_default_allocator);
    metadata_init(&metadata, &arena);
    ck_assert_ok(json_to_metadata(document.root, &metadata));
    json_release(&document);
    ck_assert_uint_eq(metadata.n_values, COUNT(expected));
    for (size_t i = 0; i < COUNT(expected); i++) {
        struct text text;
        ck_assert_str_eq(metadata.values[i].key.bytes, expected[i][0]);
        ck_assert_ok(metadata_get_text(&metadata, expected[i][0], &text, NULL));
        assert_text(text, expected[i][1], strlen(expected[i][1]));
    }
    arena_release(&arena);
}
END_TEST

static void add_values(Suite *suite)
{
    const TTest *const tests[] = {
        arrays_are_walked_in_order,
        objects_are_walked_in_order_with_their_names,
        a_value_that_is_not_there_is_nothing,
        objects_are_completed,
        strings_are_decoded,
        every_code_point_can_be_escaped,
        integers_are_exact_to_64_bits,
        numbers_become_the_nearest_double,
        digits_far_behind_decide,
        all_digits_of_the_longest_half_ways_decide,
        random_numbers_become_the_nearest_double,
        integers_beyond_64_bits_are_numbers,
        writes_what_fits_and_says_how_much_there_is,
        members_become_metadata_as_they_were_written,
    };
    add_tests(suite, "values", tests, COUNT(tests));
}

static void add_look_ups(Suite *suite)
{
    TCase *tcase = tcase_create("look-ups");
    tcase_add_test(tcase, finds_members_of_their_types);
    tcase_add_loop_test(tcase, missing_and_null_leave_the_default, 0, 2);
    tcase_add_test(tcase, refuses_other_types_by_name);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("json_values", add_values, add_look_ups)
