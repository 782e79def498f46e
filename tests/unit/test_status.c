/*
 * Statuses and messages: what fail() keeps for each thread, text that is quoted in messages, and
 * failures that are kept for later.
 */
#include "base/failure.h"
#include "base/status.h"

#include <pthread.h>
#include <string.h>

#include "support.h"

START_TEST(fail_stores_the_message_and_returns_the_status)
{
    ck_assert_int_eq(fail(LCKV_IO, "%s: line %d", "a.json", 3), LCKV_IO);
    ck_assert_str_eq(status_message(), "a.json: line 3");
    ck_assert_str_eq(lckv_last_error(), "a.json: line 3");
}
END_TEST

START_TEST(fail_in_puts_the_context_before_the_message)
{
    fail(LCKV_BAD_FORMAT, "needs 4 bytes");
    ck_assert_int_eq(fail_in(LCKV_BAD_FORMAT, "tensor %d", 7), LCKV_BAD_FORMAT);
    ck_assert_str_eq(status_message(), "tensor 7: needs 4 bytes");
}
END_TEST

START_TEST(a_message_may_quote_the_last_one)
{
    fail(LCKV_IO, "inner");
    fail(LCKV_IO, "outer (%s)", status_message());
    ck_assert_str_eq(status_message(), "outer (inner)");
}
END_TEST

START_TEST(long_messages_are_cut_at_a_whole_character)
{
    char text[4000];
    for (size_t i = 0; i + 1 < sizeof text; i += 2)
        memcpy(text + i, "é", 2);
    for (size_t shift = 0; shift < 2; shift++) {
        text[sizeof text - 2] = '\0';
        fail(LCKV_IO, "%s%s", shift == 0 ? "" : "x", text);
        const char *message = status_message();
        size_t length = strlen(message);
        ck_assert_uint_ge(length, 1020);
        ck_assert_uint_le(length, 1023);
        ck_assert_str_eq(message + length - 5, "é...");
        fail_in(LCKV_IO, "file");
        length = strlen(message);
        ck_assert_uint_le(length, 1023);
        ck_assert_msg(strncmp(message, shift == 0 ? "file: éé" : "file: xé", 8) == 0, "%s",
                      message);
        ck_assert_str_eq(message + length - 3, "...");
    }
}
END_TEST

static void *fail_elsewhere(void *unused)
{
    (void)unused;
    fail(LCKV_IO, "of the other thread");
    return NULL;
}

START_TEST(each_thread_has_its_own_message)
{
    pthread_t thread;
    fail(LCKV_IO, "mine");
    ck_assert_int_eq(pthread_create(&thread, NULL, fail_elsewhere, NULL), 0);
    pthread_join(thread, NULL);
    ck_assert_str_eq(status_message(), "mine");
}
END_TEST

START_TEST(statuses_have_names)
{
    ck_assert_str_eq(status_name(LCKV_OK), "LCKV_OK");
    ck_assert_str_eq(status_name(LCKV_OUT_OF_WINDOW), "LCKV_OUT_OF_WINDOW");
    ck_assert_str_eq(status_name(LCKV_INTERNAL), "LCKV_INTERNAL");
    ck_assert_str_eq(status_name(LCKV_INTERNAL + 1), "unknown status");
    ck_assert_str_eq(status_name(-1), "unknown status");
}
END_TEST

static const struct {
    const char *text;
    size_t length;
    const char *quoted;
} quotes[] = {
    {"", 0, "\"\""},
    {"plain text", 10, "\"plain text\""},
    {"a\nb\tc\r", 6, "\"a\\nb\\tc\\r\""},
    {"\x1b[31m\x7f\0!", 8, "\"\\x1b[31m\\x7f\\x00!\""},
    {"say \"\\\"", 7, "\"say \\\"\\\\\\\"\""},
    {"naïve 語 🙂", 15, "\"naïve 語 🙂\""},
    {"\xC3", 1, "\"\\xc3\""},                            /* half a character */
    {"\xC0\xAF", 2, "\"\\xc0\\xaf\""},                   /* overlong */
    {"\xED\xA0\x80", 3, "\"\\xed\\xa0\\x80\""},          /* a surrogate */
    {"\xF4\x90\x80\x80", 4, "\"\\xf4\\x90\\x80\\x80\""}, /* above U+10FFFF */
    {"\xC2\x9B", 2, "\"\\xc2\\x9b\""},                   /* a C1 control: terminals obey it */
};

START_TEST(quoted_text_is_printable)
{
    struct quoted result = quoted(quotes[_i].text, quotes[_i].length);
    ck_assert_str_eq(result.text, quotes[_i].quoted);
}
END_TEST

START_TEST(quoted_text_is_cut_to_its_buffer)
{
    char text[300];
    memset(text, 'a', sizeof text);
    for (size_t length = 0; length < sizeof text; length++) {
        struct quoted result = quoted(text, length);
        size_t used = strlen(result.text);
        ck_assert_uint_lt(used, sizeof result.text);
        ck_assert_int_eq(result.text[used - 1], '"');
        if (length <= 93) /* two quotes and a NUL in 96 bytes */
            ck_assert_uint_eq(used, length + 2);
        else
            ck_assert_str_eq(result.text + used - 5, "a...\"");
    }
    memset(text, '\1', sizeof text);
    ck_assert_str_eq(quoted(text, sizeof text).text + 85, "\\x01...\"");
    ck_assert_str_eq(quoted_string("x").text, "\"x\"");
}
END_TEST

START_TEST(a_failure_keeps_the_message_of_a_failed_call)
{
    struct failure failure;
    char text[8];
    failure_init(&failure);
    ck_assert_uint_eq(failure_copy(&failure, text, sizeof text), 0);
    fail(LCKV_IO, "something long");
    ck_assert_int_eq(failure_keep(&failure, LCKV_IO), LCKV_IO);
    fail(LCKV_IO, "later");
    ck_assert_int_eq(failure_keep(&failure, LCKV_OK), LCKV_OK);
    ck_assert_uint_eq(failure_copy(&failure, text, sizeof text), 14);
    ck_assert_str_eq(text, "somethi");
    failure_destroy(&failure);
}
END_TEST

static void add_messages(Suite *suite)
{
    TCase *tcase = tcase_create("messages");
    tcase_add_test(tcase, fail_stores_the_message_and_returns_the_status);
    tcase_add_test(tcase, fail_in_puts_the_context_before_the_message);
    tcase_add_test(tcase, a_message_may_quote_the_last_one);
    tcase_add_test(tcase, long_messages_are_cut_at_a_whole_character);
    tcase_add_test(tcase, each_thread_has_its_own_message);
    tcase_add_test(tcase, statuses_have_names);
    tcase_add_loop_test(tcase, quoted_text_is_printable, 0, sizeof quotes / sizeof quotes[0]);
    tcase_add_test(tcase, quoted_text_is_cut_to_its_buffer);
    tcase_add_test(tcase, a_failure_keeps_the_message_of_a_failed_call);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("status", add_messages)
