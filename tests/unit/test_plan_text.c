/*
 * Layer plans as text: they are written as they are read, and drawn.
 */
#include "plan_support.h"

START_TEST(a_plan_is_written_as_it_is_read)
{
    static const struct {
        const char *text, *written;
        uint32_t n_layers;
    } texts[] = {
        {"0_6_6_6_6_6_6_7", "0_6_6_6_6_6_6_7", 8},
        {"0_1s_1s_3s_3s_0_6s_6s", "0_1s_1s_3s_3s_0_6s_6s", 8},
        {"00_001s", "0_1s", 2},
        {NULL, "0_1_2", 3},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct lckv_plan *plan = parse(texts[i].text, texts[i].n_layers);
        char text[64];
        size_t length;
        ck_assert_ok(plan_text(plan, text, sizeof text, &length));
        ck_assert_str_eq(text, texts[i].written);
        ck_assert_uint_eq(length, strlen(text));
        plan_release(plan);
    }
}
END_TEST

typedef lckv_status (*writes_text)(const struct lckv_plan *plan, char *buffer, size_t capacity,
                                   size_t *length);

START_TEST(a_buffer_that_is_too_small_gets_the_length_only)
{
    static const writes_text writers[] = {plan_text, plan_describe};
    struct lckv_plan *plan = parse("0_2s_2", 3);
    for (size_t i = 0; i < 2; i++) {
        size_t needed = 0, length = 0;
        ck_assert_status(writers[i](plan, NULL, 0, &needed), LCKV_BUFFER_TOO_SMALL);
        ck_assert_uint_gt(needed, 5);
        char *buffer = malloc(needed + 1);
        memset(buffer, '#', needed + 1);
        ck_assert_status(writers[i](plan, buffer, needed, &length), LCKV_BUFFER_TOO_SMALL);
        ck_assert_uint_eq(length, needed);
        for (size_t k = 0; k <= needed; k++)
            ck_assert_int_eq(buffer[k], '#');
        ck_assert_ok(writers[i](plan, buffer, needed + 1, &length));
        ck_assert_uint_eq(length, needed);
        ck_assert_uint_eq(strlen(buffer), needed);
        free(buffer);
    }
    plan_release(plan);
}
END_TEST

static const struct {
    const char *text;
    uint32_t n_layers;
    const char *picture;
} pictures[] = {
    {"0_6_6_6_6_6_6_7", 8,
     "8 layers, 3 KV slots (standard: 8)\n"
     "\n"
     "layer  writes    reads\n"
     "    7  slot 2    itself\n"
     "    6  slot 1    itself            ◄─┐\n"
     "    5            layer 6 above     ──┤\n"
     "    4            layer 6 above     ──┤\n"
     "    3            layer 6 above     ──┤\n"
     "    2            layer 6 above     ──┤\n"
     "    1            layer 6 above     ──┘\n"
     "    0  slot 0    itself\n"
     "\n"
     "A prompt goes through layer 0 once, layers 1-6 repeatedly, layer 7 once.\n"
     "above: sees the tokens before, not its own.\n"},
    {"0_1s_1s_3s_3s_0_6s_6s", 8,
     "8 layers, 4 KV slots (standard: 8)\n"
     "\n"
     "layer  writes            reads\n"
     "    7                    layer 6, window     ──┐\n"
     "    6  slot 3, window    itself, window      ◄─┘\n"
     "    5                    layer 0             ────┐\n"
     "    4                    layer 3, window     ──┐ │\n"
     "    3  slot 2, window    itself, window      ◄─┘ │\n"
     "    2                    layer 1, window     ──┐ │\n"
     "    1  slot 1, window    itself, window      ◄─┘ │\n"
     "    0  slot 0            itself              ◄───┘\n"
     "\n"
     "A prompt goes through layers 0-7 once.\n"
     "window: sees the last tokens only; a slot so marked keeps no others.\n"},
    {"1_2_0", 3,
     "3 layers, 3 KV slots (standard: 3)\n"
     "\n"
     "layer  writes    reads\n"
     "    2  slot 2    layer 0           ◄───┬─┐\n"
     "    1  slot 1    layer 2 above     ◄─┬─┘ │\n"
     "    0  slot 0    layer 1 above     ◄─┴───┘\n"
     "\n"
     "A prompt goes through layers 0-2 repeatedly.\n"
     "above: sees the tokens before, not its own.\n"},
    /* Layer 2's stroke passes behind the line from 3 to 1. */
    {"2_3_2_3_0", 5,
     "5 layers, 3 KV slots (standard: 5)\n"
     "\n"
     "layer  writes    reads\n"
     "    4            layer 0           ──────┐\n"
     "    3  slot 2    itself            ◄───┐ │\n"
     "    2  slot 1    itself            ◄─┐ │ │\n"
     "    1            layer 3 above     ──│─┘ │\n"
     "    0  slot 0    layer 2 above     ◄─┴───┘\n"
     "\n"
     "A prompt goes through layers 0-3 repeatedly, layer 4 once.\n"
     "above: sees the tokens before, not its own.\n"},
    /* A window on a slot that keeps all. */
    {"0_0s", 2,
     "2 layers, 1 KV slot (standard: 2)\n"
     "\n"
     "layer  writes    reads\n"
     "    1            layer 0, window     ──┐\n"
     "    0  slot 0    itself              ◄─┘\n"
     "\n"
     "A prompt goes through layers 0-1 once.\n"
     "window: sees the last tokens only.\n"},
    {"0", 1,
     "1 layer, 1 KV slot (standard: 1)\n"
     "\n"
     "layer  writes    reads\n"
     "    0  slot 0    itself\n"
     "\n"
     "A prompt goes through layer 0 once.\n"},
};

START_TEST(a_plan_is_drawn)
{
    struct lckv_plan *plan = parse(pictures[_i].text, pictures[_i].n_layers);
    char text[2000];
    size_t length;
    ck_assert_ok(plan_describe(plan, text, sizeof text, &length));
    ck_assert_str_eq(text, pictures[_i].picture);
    plan_release(plan);
}
END_TEST

static void add_text(Suite *suite)
{
    TCase *tcase = tcase_create("text");
    tcase_add_test(tcase, a_plan_is_written_as_it_is_read);
    tcase_add_test(tcase, a_buffer_that_is_too_small_gets_the_length_only);
    tcase_add_loop_test(tcase, a_plan_is_drawn, 0, sizeof pictures / sizeof pictures[0]);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("plan text", add_text)
