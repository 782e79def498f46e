/*
 * The kinds of layers in GGUF metadata: a list, a pattern that repeats, or what files of an
 * architecture leave out.
 */
#include "model/hparams_kinds.h"
#include "support.h"

#include <stdio.h>

#define N_LAYERS 8

static const struct {
    const char *architecture;
    int period;        /* sliding_window_pattern; -1: the key is missing */
    uint32_t window;   /* sliding_window; 0: the key is missing */
    const char *kinds; /* "s" slides, "f" is full; NULL: not said */
} files[] = {
    {"gemma3", -1, 512, "sssssfss"}, {"gemma3", -1, 0, NULL},
    {"gemma3", 3, 512, "ssfssfss"},  {"gemma3", 1, 512, "ffffffff"},
    {"gemma3", 0, 512, "ssssssss"},  {"gemma4", -1, 512, NULL},
    {"llama", -1, 512, NULL},        {"gemma3n", -1, 512, "ssssfsss"},
};

START_TEST(a_file_says_which_layers_slide)
{
    lckv_allocator chosen;
    struct arena arena;
    struct metadata metadata;
    bool sliding[N_LAYERS] = {false}, found = false;
    char key[64];
    const char *name = files[_i].architecture;
    const struct hparams h = {.architecture =
                                  architecture_from_gguf((struct text){name, strlen(name)}),
                              .architecture_name = name,
                              .n_layers = N_LAYERS};
    ck_assert_ok(memory_choose(NULL, &chosen));
    arena_init(&arena, &chosen);
    metadata_init(&metadata, &arena);
    snprintf(key, sizeof key, "%s.attention.sliding_window_pattern", name);
    if (files[_i].period >= 0)
        ck_assert_ok(metadata_set_u32(&metadata, key, (uint32_t)files[_i].period));
    snprintf(key, sizeof key, "%s.attention.sliding_window", name);
    if (files[_i].window > 0)
        ck_assert_ok(metadata_set_u32(&metadata, key, files[_i].window));
    ck_assert_ok(hparams_kinds_from_gguf(&metadata, &h, sliding, &found));
    ck_assert_int_eq(found, files[_i].kinds != NULL);
    for (int i = 0; found && i < N_LAYERS; i++)
        ck_assert_int_eq(sliding[i], files[_i].kinds[i] == 's');
    arena_release(&arena);
}
END_TEST

static void add_kinds(Suite *suite)
{
    TCase *tcase = tcase_create("kinds");
    tcase_add_loop_test(tcase, a_file_says_which_layers_slide, 0, COUNT(files));
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("kinds", add_kinds)
