/*
 * Which ids begin and end a text: from configurations, the tokenizer's files and GGUF keys, also
 * after GGUF keys are written and read again.
 */
#include "text/special_ids.h"

#include "text_support.h"

static const struct {
    const char *config, *generation;
    lckv_token bos, eos, padding;
    lckv_token ends[4]; /* -1 follows the last */
} configs[] = {
    {"{}", "", -1, -1, -1, {-1}},
    {"{\"bos_token_id\":3,\"eos_token_id\":4,\"pad_token_id\":5}", "", 3, 4, 5, {4, -1}},
    {"{\"eos_token_id\":[6,7]}", "", -1, 6, -1, {6, 7, -1}},
    {"{\"eos_token_id\":[]}", "", -1, -1, -1, {-1}},
    {"{\"bos_token_id\":null,\"eos_token_id\":-1}", "", -1, -1, -1, {-1}},
    {"{\"bos_token_id\":1,\"eos_token_id\":2}", "{\"eos_token_id\":[8,2]}", 1, 8, -1, {8, 2, -1}},
    {"{\"eos_token_id\":[1,6],\"text_config\":{\"bos_token_id\":2,\"eos_token_id\":1}}",
     "",
     2,
     1,
     -1,
     {1, 6, -1}},
    {"{\"pad_token_id\":4,\"text_config\":{\"eos_token_id\":[7],\"pad_token_id\":0}}",
     "{\"eos_token_id\":8}",
     -1,
     8,
     4,
     {8, 7, -1}},
    {"{\"eos_token_id\":2}", "{\"bos_token_id\":9,\"eos_token_id\":3}", 9, 3, -1, {3, 2, -1}},
};

START_TEST(configurations_name_special_ids)
{
    struct checkpoint checkpoint = {.kind = CHECKPOINT_HF, .name = "directory"};
    checkpoint.config = (struct text){configs[_i].config, strlen(configs[_i].config)};
    checkpoint.generation_config =
        (struct text){configs[_i].generation, strlen(configs[_i].generation)};
    struct special_ids ids;
    ck_assert_ok(special_ids_read(&ids, &checkpoint, &memory_default_allocator));
    ck_assert_int_eq(ids.special[LCKV_SPECIAL_BOS], configs[_i].bos);
    ck_assert_int_eq(ids.special[LCKV_SPECIAL_EOS], configs[_i].eos);
    ck_assert_int_eq(ids.special[LCKV_SPECIAL_PADDING], configs[_i].padding);
    size_t n_ends = 0;
    for (; configs[_i].ends[n_ends] >= 0; n_ends++)
        ck_assert(special_ids_is_end(&ids, configs[_i].ends[n_ends]));
    ck_assert_uint_eq(ids.n_ends, n_ends);
}
END_TEST

START_TEST(ids_that_are_none_are_refused_by_name)
{
    static const char *const bad[] = {"{\"eos_token_id\":\"2\"}", "{\"bos_token_id\":1.5}",
                                      "{\"pad_token_id\":true}",  "{\"eos_token_id\":[1,{}]}",
                                      "{\"eos_token_id\":-2}",    "{\"eos_token_id\":4294967296}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct checkpoint checkpoint = {.kind = CHECKPOINT_HF, .name = "directory"};
        struct special_ids ids;
        checkpoint.generation_config = (struct text){bad[i], strlen(bad[i])};
        ck_assert_status(special_ids_read(&ids, &checkpoint, &memory_default_allocator),
                         LCKV_BAD_FORMAT);
        ck_assert_error_has("directory: generation_config.json: ");
        ck_assert_error_has("_token_id: expected a token id");
    }
}
END_TEST

START_TEST(a_configuration_that_is_no_object_is_refused)
{
    struct checkpoint checkpoint = {.kind = CHECKPOINT_HF, .name = "directory"};
    struct special_ids ids;
    checkpoint.generation_config = (struct text){"[2]", 3};
    ck_assert_status(special_ids_read(&ids, &checkpoint, &memory_default_allocator),
                     LCKV_BAD_FORMAT);
    ck_assert_error_has("generation_config.json is not an object");
}
END_TEST

START_TEST(more_ends_than_there_is_room_for_are_refused)
{
    struct special_ids ids;
    special_ids_init(&ids);
    for (lckv_token token = 0; token < MAX_END_TOKENS; token++)
        ck_assert_ok(special_ids_add_end(&ids, token));
    ck_assert_ok(special_ids_add_end(&ids, 7));
    ck_assert_ok(special_ids_add_end(&ids, -1));
    ck_assert_status(special_ids_add_end(&ids, MAX_END_TOKENS), LCKV_UNSUPPORTED);
    ck_assert_uint_eq(ids.n_ends, MAX_END_TOKENS);
}
END_TEST

START_TEST(keys_that_are_written_are_read_again)
{
    struct arena arena;
    struct metadata metadata;
    struct special_ids ids, again;
    arena_init(&arena, &memory_default_allocator);
    metadata_init(&metadata, &arena);
    special_ids_init(&ids);
    ids.special[LCKV_SPECIAL_BOS] = 1;
    ids.special[LCKV_SPECIAL_EOS] = 2;
    ids.special[LCKV_SPECIAL_EOT] = 3;
    for (lckv_token token = 2; token < 7; token++)
        ck_assert_ok(special_ids_add_end(&ids, token));
    ck_assert_ok(special_ids_write(&ids, &metadata));
    ck_assert_ok(special_ids_read_metadata(&again, &metadata));
    ck_assert_mem_eq(again.special, ids.special, sizeof ids.special);
    ck_assert_uint_eq(again.n_ends, ids.n_ends);
    for (size_t i = 0; i < ids.n_ends; i++)
        ck_assert(special_ids_is_end(&again, ids.ends[i]));
    arena_release(&arena);
}
END_TEST

START_TEST(every_end_key_of_gguf_ends)
{
    struct arena arena;
    struct metadata metadata;
    struct special_ids ids;
    arena_init(&arena, &memory_default_allocator);
    metadata_init(&metadata, &arena);
    ck_assert_ok(metadata_set_u32(&metadata, "tokenizer.ggml.eos_token_id", 4));
    ck_assert_ok(metadata_set_u32(&metadata, "tokenizer.ggml.eot_token_id", 5));
    ck_assert_ok(metadata_set_u32(&metadata, "tokenizer.ggml.eom_token_id", 6));
    ck_assert_ok(metadata_set_u32(&metadata, "tokenizer.ggml.bos_token_id", UINT32_MAX));
    ck_assert_ok(special_ids_read_metadata(&ids, &metadata));
    ck_assert_uint_eq(ids.n_ends, 3);
    for (lckv_token token = 4; token < 7; token++)
        ck_assert(special_ids_is_end(&ids, token));
    ck_assert_int_eq(ids.special[LCKV_SPECIAL_BOS], -1);
    const struct metadata_value none = {.key = {"tokenizer.ggml.eos_token_id", 27},
                                        .type = METADATA_I32,
                                        .as.i = -1},
                                bad = {.key = none.key, .type = METADATA_I32, .as.i = -2};
    ck_assert_ok(metadata_set_value(&metadata, &none));
    ck_assert_ok(special_ids_read_metadata(&ids, &metadata));
    ck_assert_int_eq(ids.special[LCKV_SPECIAL_EOS], -1);
    ck_assert_uint_eq(ids.n_ends, 2);
    ck_assert_ok(metadata_set_value(&metadata, &bad));
    ck_assert_status(special_ids_read_metadata(&ids, &metadata), LCKV_BAD_FORMAT);
    ck_assert_ok(metadata_set_value(&metadata, &none));
    ck_assert_ok(metadata_set_text(&metadata, "lckv.tokenizer.end_ids", "x", 1));
    ck_assert_status(special_ids_read_metadata(&ids, &metadata), LCKV_BAD_FORMAT);
    ck_assert_error_has("lckv.tokenizer.end_ids");
    arena_release(&arena);
}
END_TEST

/* One file names "</s>", another "<s>", a third "<user>": all of them end a text. */
START_TEST(the_files_of_a_tokenizer_add_their_ends)
{
    const char *map = "{\"eos_token\":{\"content\":\"<s>\"},\"bos_token\":\"<user>\"}";
    struct checkpoint checkpoint =
        checkpoint_of_json(SMALL_JSON(""), "{\"eos_token\":\"</s>\",\"eot_token\":\"<user>\"}");
    struct tokenizer *tokenizer = NULL;
    struct special_ids model;
    checkpoint.special_tokens_map = (struct text){map, strlen(map)};
    ck_assert_ok(tokenizer_create(&checkpoint, &memory_default_allocator, &tokenizer));
    special_ids_init(&model);
    model.special[LCKV_SPECIAL_BOS] = 5;
    model.special[LCKV_SPECIAL_PADDING] = 6;
    ck_assert_ok(special_ids_add_end(&model, 40));
    ck_assert_ok(tokenizer_extend(tokenizer, 50, &model));
    const struct special_ids *ids = tokenizer_special_ids(tokenizer);
    ck_assert_int_eq(ids->special[LCKV_SPECIAL_EOS], 1);
    ck_assert_int_eq(ids->special[LCKV_SPECIAL_BOS], 11);
    ck_assert_int_eq(ids->special[LCKV_SPECIAL_EOT], 11);
    ck_assert_int_eq(ids->special[LCKV_SPECIAL_PADDING], 6);
    ck_assert(special_ids_is_end(ids, 0) && special_ids_is_end(ids, 1));
    ck_assert(special_ids_is_end(ids, 11) && special_ids_is_end(ids, 40));
    ck_assert(!special_ids_is_end(ids, 2));
    tokenizer_release(tokenizer);
}
END_TEST

/*
 * Ids that the model has and the tokenizer lacks have no text. A file that is written has one more
 * unused token for each.
 */
START_TEST(ids_behind_the_tokenizer_have_no_text)
{
    struct tokenizer *tokenizer = tokenizer_of_json(SMALL_JSON(""), "");
    struct special_ids none;
    struct text text;
    lckv_token_type type;
    size_t length = 9;
    special_ids_init(&none);
    ck_assert_status(tokenizer_token(tokenizer, 12, &text, &type), LCKV_INVALID_ARGUMENT);
    ck_assert_ok(tokenizer_extend(tokenizer, 14, &none));
    ck_assert_ok(tokenizer_token(tokenizer, 13, &text, &type));
    ck_assert_uint_eq(text.length, 0);
    ck_assert_int_eq(type, LCKV_TOKEN_UNUSED);
    ck_assert_status(tokenizer_token(tokenizer, 14, &text, &type), LCKV_INVALID_ARGUMENT);
    ck_assert_ok(tokenizer_decode(tokenizer, (lckv_token[]){13, 12}, 2, LCKV_DETOKENIZE_SPECIAL,
                                  NULL, 0, &length));
    ck_assert_uint_eq(length, 0);
    struct tokenizer *second = tokenizer_rewritten(tokenizer);
    ck_assert_uint_eq(tokenizer_n_tokens(second), 14);
    ck_assert_ok(tokenizer_token(second, 13, &text, &type));
    ck_assert_int_eq(type, LCKV_TOKEN_UNUSED);
    tokenizer_release(second);
    tokenizer_release(tokenizer);
}
END_TEST

static void add_special_ids(Suite *suite)
{
    TCase *tcase = tcase_create("special ids");
    tcase_add_loop_test(tcase, configurations_name_special_ids, 0,
                        (int)(sizeof configs / sizeof configs[0]));
    tcase_add_test(tcase, ids_that_are_none_are_refused_by_name);
    tcase_add_test(tcase, a_configuration_that_is_no_object_is_refused);
    tcase_add_test(tcase, more_ends_than_there_is_room_for_are_refused);
    tcase_add_test(tcase, keys_that_are_written_are_read_again);
    tcase_add_test(tcase, every_end_key_of_gguf_ends);
    tcase_add_test(tcase, the_files_of_a_tokenizer_add_their_ends);
    tcase_add_test(tcase, ids_behind_the_tokenizer_have_no_text);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("special_ids", add_special_ids)
