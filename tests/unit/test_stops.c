/*
 * Stop strings in streamed text: what is held back, what comes out, where it ends.
 */
#include "sample/stops.h"

#include <string.h>

#include "support.h"

/* Streams `input` in pieces of `piece` bytes and collects what comes out. */
static bool stream(const lckv_string *strings, size_t n_strings, const char *input, size_t piece,
                   char *output)
{
    struct stops stops;
    stops_init(&stops, strings, n_strings, &memory_default_allocator);
    size_t length = strlen(input), written = 0;
    bool found = false;
    for (size_t begin = 0; begin <= length && !found; begin += piece) {
        bool is_last = begin + piece > length;
        struct text ready, in = {input + begin, is_last ? length - begin : piece};
        ck_assert_ok(stops_push(&stops, in, is_last, &ready, &found));
        memcpy(output + written, ready.bytes, ready.length);
        written += ready.length;
    }
    output[written] = '\0';
    stops_release(&stops);
    return found;
}

#define STRING(literal)              \
    {                                \
        literal, sizeof(literal) - 1 \
    }

START_TEST(text_ends_before_the_stop_string_that_is_complete_first)
{
    static const lckv_string end[] = {STRING("END")}, aab[] = {STRING("aab")};
    static const lckv_string several[] = {STRING("abcd"), STRING("bc"), STRING("xbc")};
    static const lckv_string umlaut[] = {STRING("\xc3\xa9t")};
    static const struct {
        const lckv_string *strings;
        size_t n_strings;
        const char *input, *output;
        bool found;
    } table[] = {
        {NULL, 0, "anything", "anything", false},
        {end, 1, "the END of it", "the ", true},
        {end, 1, "ENDEND", "", true},
        {end, 1, "E EN ENE E", "E EN ENE E", false},
        {end, 1, "it is the EN", "it is the EN", false},
        {end, 1, "EEND", "E", true},
        {aab, 1, "aaaab", "aa", true},
        {several, 3, "1abcd", "1a", true},
        {several, 3, "1xbc", "1", true},
        {several, 3, "ab", "ab", false},
        {umlaut, 1, "\xc3\xa9\xc3\xa9t\xc3\xa9", "\xc3\xa9", true},
        {umlaut, 1, "\xc3\xa8t\xc3\xa9", "\xc3\xa8t\xc3\xa9", false},
    };
    for (size_t row = 0; row < COUNT(table); row++) {
        for (size_t piece = 1; piece < 20; piece++) { /* the pieces do not matter */
            char output[64];
            bool found =
                stream(table[row].strings, table[row].n_strings, table[row].input, piece, output);
            ck_assert_str_eq(output, table[row].output);
            ck_assert_int_eq(found, table[row].found);
        }
    }
}
END_TEST

START_TEST(only_what_may_begin_a_stop_string_waits)
{
    static const lckv_string strings[] = {STRING("<end>")};
    static const struct {
        const char *in, *out;
    } steps[] = {{"a ", "a "}, {"b <e", "b "}, {"n", ""}, {"x<", "<enx"}, {"", ""}, {"y", "<y"}};
    struct stops stops;
    stops_init(&stops, strings, 1, &memory_default_allocator);
    for (size_t i = 0; i < COUNT(steps); i++) {
        struct text ready;
        bool found;
        ck_assert_ok(stops_push(&stops, (struct text){steps[i].in, strlen(steps[i].in)}, false,
                                &ready, &found));
        ck_assert(!found);
        ck_assert_uint_eq(ready.length, strlen(steps[i].out));
        ck_assert_mem_eq(ready.bytes, steps[i].out, ready.length);
    }
    stops_release(&stops);
}
END_TEST

/*
 * A stop string may begin inside a character (it may be any bytes); what comes out is whole
 * characters.
 */
START_TEST(characters_are_not_torn_by_waiting_text)
{
    static const lckv_string strings[] = {STRING("\xa9!")};
    struct stops stops;
    struct text ready;
    bool found;
    stops_init(&stops, strings, 1, &memory_default_allocator);
    ck_assert_ok(stops_push(&stops, (struct text){"a\xc3\xa9", 3}, false, &ready, &found));
    ck_assert_uint_eq(ready.length, 1);
    ck_assert_ok(stops_push(&stops, (struct text){"b", 1}, false, &ready, &found));
    ck_assert_uint_eq(ready.length, 3);
    ck_assert_mem_eq(ready.bytes,
                     "\xc3\xa9"
                     "b",
                     3);
    stops_release(&stops);
}
END_TEST

static void add_stops(Suite *suite)
{
    const TTest *const tests[] = {text_ends_before_the_stop_string_that_is_complete_first,
                                  only_what_may_begin_a_stop_string_waits,
                                  characters_are_not_torn_by_waiting_text};
    add_tests(suite, "stop strings", tests, COUNT(tests));
}

TEST_MAIN("stops", add_stops)
