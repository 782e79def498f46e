/*
 * Layer plans: parsing, sources and slots, and groups. The expected groups and slots were
 * worked out by hand from the rules of iterated encoding. test_plan_text.c has plans as text,
 * test_masks.c what layers attend to.
 */
#include "plan_support.h"

#include <pthread.h>
#include <stdio.h>

#include "allocator.h"

/* ---- Slots and groups ---- */

/*
 * `slots` lists the layers that write them, with * where only windowed layers read. `groups` lists
 * ranges of layers, with * if they are cyclic.
 */
static const struct {
    const char *text;
    uint32_t n_layers;
    const char *slots;
    const char *groups;
    uint32_t n_upward;
} plans[] = {
    {"0_1_2_3_4_5_6_7", 8, "0 1 2 3 4 5 6 7 ", "0-7 ", 0},
    {"0_6_6_6_6_6_6_7", 8, "0 6 7 ", "0-0 1-6* 7-7 ", 5},
    {"0_4_4_4_4_4_4_7", 8, "0 4 7 ", "0-0 1-4* 5-7 ", 3},
    {"7_7_7_7_7_7_7_7", 8, "7 ", "0-7* ", 7},
    {"0_1_2_3_3_3_3_3", 8, "0 1 2 3 ", "0-7 ", 0},
    {"0s_1s_2s_3_3_3_3_3", 8, "0* 1* 2* 3 ", "0-7 ", 0},
    {"0_0_2_2_4_4_6_6", 8, "0 2 4 6 ", "0-7 ", 0},
    {"0_1s_1s_3s_3s_0_6s_6s", 8, "0 1* 3* 6* ", "0-7 ", 0},
    {"1_1_3_3", 4, "1 3 ", "0-1* 2-3* ", 2},
    {"1_2s_0", 3, "0 1 2* ", "0-2* ", 2},
    /*
     * The group of layer 0 reaches layer 2. Layer 1 inside it reads layer 4, so the group reaches
     * 4, as does that of layer 2.
     */
    {"2_4_2_3_4_5", 6, "2 3 4 5 ", "0-4* 5-5 ", 2},
    /*
     * A chain: layer 0 reads 1, layer 1 reads 3, and layer 3 reads 5, so the group of layer 0
     * reaches 5.
     */
    {"1_3_2_5_4_5_6", 7, "1 2 3 4 5 6 ", "0-5* 6-6 ", 3},
    /* A slot that a windowed and an unwindowed layer read keeps everything. */
    {"0s_0", 2, "0 ", "0-1 ", 0},
    {"0_0s", 2, "0 ", "0-1 ", 0},
    {"0", 1, "0 ", "0-0 ", 0},
    {"0s", 1, "0* ", "0-0 ", 0},
    {"00_001", 2, "0 1 ", "0-1 ", 0},
    {NULL, 3, "0 1 2 ", "0-2 ", 0},
};

START_TEST(slots_and_groups_follow_from_the_sources)
{
    struct lckv_plan *plan = parse(plans[_i].text, plans[_i].n_layers);
    char slots[128] = "", groups[128] = "";
    uint32_t n_windowed = 0, n_readers = 0;
    for (uint32_t s = 0; s < plan->n_slots; s++) {
        const struct plan_slot *slot = &plan->slots[s];
        size_t used = strlen(slots);
        snprintf(slots + used, sizeof slots - used, "%u%s ", slot->layer,
                 slot->windowed ? "*" : "");
        ck_assert_int_eq(plan->layers[slot->layer].slot, (int)s);
        n_windowed += slot->windowed;
        n_readers += slot->n_readers;
    }
    for (uint32_t g = 0; g < plan->n_groups; g++) {
        size_t used = strlen(groups);
        snprintf(groups + used, sizeof groups - used, "%u-%u%s ", plan->groups[g].first,
                 plan->groups[g].last, plan->groups[g].cyclic ? "*" : "");
    }
    ck_assert_str_eq(slots, plans[_i].slots);
    ck_assert_str_eq(groups, plans[_i].groups);
    ck_assert_uint_eq(plan->n_windowed_slots, n_windowed);
    ck_assert_uint_eq(plan->n_upward, plans[_i].n_upward);
    ck_assert_uint_eq(n_readers, plan->n_layers);
    ck_assert_uint_eq(plan->last_kv_layer, plan->slots[plan->n_slots - 1].layer);
    plan_release(plan);
}
END_TEST

START_TEST(layers_know_their_source_and_slot)
{
    struct lckv_plan *plan = parse("0_3s_3_2_2s", 5);
    static const struct plan_layer expected[] = {
        {.source = 0, .slot = 0, .source_slot = 0},
        {.source = 3, .windowed = true, .upward = true, .slot = -1, .source_slot = 2},
        {.source = 3, .upward = true, .slot = 1, .source_slot = 2},
        {.source = 2, .slot = 2, .source_slot = 1},
        {.source = 2, .windowed = true, .slot = -1, .source_slot = 1},
    };
    for (uint32_t i = 0; i < 5; i++) {
        ck_assert_uint_eq(plan->layers[i].source, expected[i].source);
        ck_assert_int_eq(plan->layers[i].windowed, expected[i].windowed);
        ck_assert_int_eq(plan->layers[i].upward, expected[i].upward);
        ck_assert_int_eq(plan->layers[i].slot, expected[i].slot);
        ck_assert_uint_eq(plan->layers[i].source_slot, expected[i].source_slot);
    }
    ck_assert_uint_eq(plan->slots[1].n_readers, 2);
    plan_release(plan);
}
END_TEST

START_TEST(standard_means_own_keys_and_no_window)
{
    static const struct {
        const char *text;
        bool standard;
    } cases[] = {{NULL, true}, {"0_1_2", true}, {"0_1s_2", false}, {"0_1_1", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct lckv_plan *plan = parse(cases[i].text, 3);
        ck_assert_int_eq(plan->standard, cases[i].standard);
        plan_release(plan);
    }
}
END_TEST

/* ---- Wrong plans ---- */

static const struct {
    const char *text;
    uint32_t n_layers;
    const char *message;
} wrong[] = {
    {"0_9_2", 3, "plan \"0_9_2\": entry 1 is \"9\", expected a layer below 3"},
    {"0_1_3", 3, "entry 2 is \"3\", expected a layer below 3"},
    {"3s_1_2", 3, "entry 0 is \"3s\", expected a layer below 3"},
    {"0_4294967296", 2, "entry 1 is \"4294967296\", expected a layer below 2"},
    {"0_18446744073709551616", 2, "expected a layer below 2"},
    {"", 1, "entry 0 is \"\", expected the number of a layer"},
    {"", 3, "entry 0 is \"\", expected the number of a layer"},
    {"s", 1, "entry 0 is \"s\", expected the number"},
    {"0_", 2, "entry 1 is \"\", expected the number"},
    {"_0", 2, "entry 0 is \"\", expected the number"},
    {"0__1", 3, "entry 1 is \"\", expected the number"},
    {"0_-1", 2, "entry 1 is \"-1\", expected the number"},
    {"0_+1", 2, "entry 1 is \"+1\", expected the number"},
    {"0_ 1", 2, "entry 1 is \" 1\", expected the number"},
    {"0_1\n", 2, "entry 1 is \"1\\n\", expected the number"},
    {"0_1ss", 2, "entry 1 is \"1ss\", expected the number"},
    {"0_1S", 2, "entry 1 is \"1S\", expected the number"},
    {"0_s1", 2, "entry 1 is \"s1\", expected the number"},
    {"0_0x1", 2, "entry 1 is \"0x1\", expected the number"},
    {"0_1.0", 2, "entry 1 is \"1.0\", expected the number"},
    {"0,1", 2, "entry 0 is \"0,1\", expected the number"},
    {"0_1", 3, "plan \"0_1\": 2 entries, expected 3, one for each layer"},
    {"0_1_2_0", 3, "plan \"0_1_2_0\": 4 entries, expected 3, one for each layer"},
    {"0_1_2_", 3, "4 entries, expected 3"},
};

START_TEST(wrong_plans_are_refused_by_entry)
{
    struct lckv_plan *plan = NULL;
    ck_assert_status(plan_parse(wrong[_i].text, strlen(wrong[_i].text), wrong[_i].n_layers,
                                &memory_default_allocator, &plan),
                     LCKV_BAD_PLAN);
    ck_assert_error_has(wrong[_i].message);
    ck_assert_ptr_null(plan);
}
END_TEST

START_TEST(a_plan_is_its_length_and_may_hold_any_byte)
{
    struct lckv_plan *plan;
    ck_assert_ok(plan_parse("0_1_2", 3, 2, &memory_default_allocator, &plan));
    plan_release(plan);
    ck_assert_status(plan_parse("0_1\0", 4, 2, &memory_default_allocator, &plan), LCKV_BAD_PLAN);
    ck_assert_error_has("entry 1 is \"1\\x00\"");
}
END_TEST

START_TEST(long_plans_are_not_echoed_whole)
{
    static char text[100000];
    struct lckv_plan *plan;
    memset(text, '1', sizeof text);
    ck_assert_status(plan_parse(text, sizeof text, 2, &memory_default_allocator, &plan),
                     LCKV_BAD_PLAN);
    ck_assert_error_has("expected a layer below 2");
    memset(text, '_', sizeof text);
    ck_assert_status(plan_parse(text, sizeof text, 2, &memory_default_allocator, &plan),
                     LCKV_BAD_PLAN);
    ck_assert_uint_lt(strlen(lckv_last_error()), 400);
}
END_TEST

START_TEST(the_number_of_layers_is_limited)
{
    struct lckv_plan *plan;
    ck_assert_status(plan_parse(NULL, 0, 0, &memory_default_allocator, &plan),
                     LCKV_INVALID_ARGUMENT);
    ck_assert_status(plan_parse(NULL, 0, PLAN_MAX_LAYERS + 1, &memory_default_allocator, &plan),
                     LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("n_layers is 1025, expected 1 to 1024");
    plan = parse(NULL, PLAN_MAX_LAYERS);
    ck_assert_uint_eq(plan->n_slots, PLAN_MAX_LAYERS);
    plan_release(plan);
}
END_TEST

/* ---- Memory and handles ---- */

START_TEST(every_refused_allocation_is_survived)
{
    lckv_status status = LCKV_OUT_OF_MEMORY;
    for (size_t n = 0; status != LCKV_OK; n++) {
        struct counting counting = {.n_allowed = n};
        const lckv_allocator allocator = counting_allocator(&counting);
        struct lckv_plan *plan = NULL;
        char text[1000];
        size_t length;
        status = plan_parse("0_2s_2", 6, 3, &allocator, &plan);
        if (status == LCKV_OK) {
            status = plan_describe(plan, text, sizeof text, &length);
            plan_release(plan);
        }
        ck_assert(status == LCKV_OK || status == LCKV_OUT_OF_MEMORY);
        ck_assert_uint_eq(counting.out, 0);
        ck_assert_uint_lt(n, 20);
    }
}
END_TEST

static void *retain_and_release(void *plan)
{
    for (int i = 0; i < 10000; i++) {
        plan_retain(plan);
        plan_release(plan);
    }
    plan_release(plan);
    return NULL;
}

START_TEST(plans_are_counted_across_threads)
{
    struct counting counting = {.n_allowed = 100};
    const lckv_allocator allocator = counting_allocator(&counting);
    struct lckv_plan *plan;
    pthread_t threads[2];
    ck_assert_ok(plan_parse(NULL, 0, 3, &allocator, &plan));
    for (int i = 0; i < 2; i++) {
        plan_retain(plan);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, retain_and_release, plan), 0);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_gt(counting.out, 0);
    plan_release(plan);
    ck_assert_uint_eq(counting.out, 0);
    plan_release(NULL);
}
END_TEST

static void add_parsing(Suite *suite)
{
    TCase *tcase = tcase_create("parsing");
    tcase_add_loop_test(tcase, slots_and_groups_follow_from_the_sources, 0,
                        sizeof plans / sizeof plans[0]);
    tcase_add_test(tcase, layers_know_their_source_and_slot);
    tcase_add_test(tcase, standard_means_own_keys_and_no_window);
    tcase_add_loop_test(tcase, wrong_plans_are_refused_by_entry, 0, sizeof wrong / sizeof wrong[0]);
    tcase_add_test(tcase, a_plan_is_its_length_and_may_hold_any_byte);
    tcase_add_test(tcase, long_plans_are_not_echoed_whole);
    tcase_add_test(tcase, the_number_of_layers_is_limited);
    tcase_add_test(tcase, every_refused_allocation_is_survived);
    tcase_add_test(tcase, plans_are_counted_across_threads);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("plan", add_parsing)
