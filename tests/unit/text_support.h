/*
 * What the tests of lib/text share: tokenizers from the files in tests/data/text, from JSON text
 * and from metadata, without a model around them.
 */
#ifndef LCKV_TESTS_TEXT_SUPPORT_H
#define LCKV_TESTS_TEXT_SUPPORT_H

#include "format/json.h"
#include "text/tokenizer.h"

#include <stdio.h>
#include <string.h>

#include "allocator.h"
#include "folder.h"
#include "support.h"

#define MAX_TOKENS 4096

static inline struct checkpoint checkpoint_of_json(const char *json, const char *config)
{
    struct checkpoint checkpoint = {.kind = CHECKPOINT_HF, .name = "directory"};
    checkpoint.tokenizer = (struct text){json, strlen(json)};
    checkpoint.tokenizer_config = (struct text){config, strlen(config)};
    return checkpoint;
}

/* The caller releases the tokenizer, as with the other functions here. */
static inline struct tokenizer *tokenizer_of_json(const char *json, const char *config)
{
    struct checkpoint checkpoint = checkpoint_of_json(json, config);
    struct tokenizer *tokenizer = NULL;
    ck_assert_ok(tokenizer_create(&checkpoint, &memory_default_allocator, &tokenizer));
    ck_assert_ptr_nonnull(tokenizer);
    return tokenizer;
}

/* Reads a file of tests/data/text and puts a NUL behind it. The caller frees it. */
static inline char *read_data(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "tests/data/text/%s.json", name);
    return read_whole(path, NULL);
}

static inline struct tokenizer *tokenizer_of_file(const char *name)
{
    char *json = read_data(name);
    struct tokenizer *tokenizer = tokenizer_of_json(
        json, "{\"bos_token\": \"<|bos|>\", \"eos_token\": {\"content\": \"<|eos|>\"}}");
    free(json);
    return tokenizer;
}

/* Makes the tokenizer that reads what the given one writes. */
static inline struct tokenizer *tokenizer_rewritten(const struct tokenizer *tokenizer)
{
    struct arena arena;
    struct checkpoint checkpoint = {.kind = CHECKPOINT_GGUF, .name = "rewritten"};
    struct tokenizer *second = NULL;
    arena_init(&arena, &memory_default_allocator);
    metadata_init(&checkpoint.metadata, &arena);
    ck_assert_ok(tokenizer_to_metadata(tokenizer, &checkpoint.metadata));
    ck_assert_ok(tokenizer_create(&checkpoint, &memory_default_allocator, &second));
    ck_assert_ptr_nonnull(second);
    arena_release(&arena);
    return second;
}

/* No tokenizer comes of it, and all memory is given back. */
static inline void check_tokenizer_refused(const struct checkpoint *checkpoint, lckv_status status,
                                           const char *message)
{
    struct counting counting = {.n_allowed = SIZE_MAX};
    const lckv_allocator allocator = counting_allocator(&counting);
    struct tokenizer *tokenizer = NULL;
    ck_assert_status(tokenizer_create(checkpoint, &allocator, &tokenizer), status);
    ck_assert_error_has(message);
    ck_assert_ptr_null(tokenizer);
    ck_assert_uint_eq(counting.out, 0);
}

static inline size_t encode(const struct tokenizer *tokenizer, const char *text, size_t length,
                            uint32_t flags, lckv_token tokens[MAX_TOKENS])
{
    size_t n_tokens = 0;
    ck_assert_ok(tokenizer_encode(tokenizer, text, length, flags, tokens, MAX_TOKENS, &n_tokens));
    return n_tokens;
}

/* Fails unless the tokens of `text` have these spellings' bytes, separated by '|'. */
static inline void check_pieces(const struct tokenizer *tokenizer, const char *text, uint32_t flags,
                                const char *pieces)
{
    lckv_token tokens[MAX_TOKENS];
    char joined[MAX_TOKENS] = "";
    size_t n_tokens = encode(tokenizer, text, strlen(text), flags, tokens);
    for (size_t i = 0, at = 0; i < n_tokens; i++) {
        struct text piece;
        lckv_token_type type;
        ck_assert_ok(tokenizer_token(tokenizer, tokens[i], &piece, &type));
        at += (size_t)snprintf(joined + at, sizeof joined - at, "%s%.*s", i > 0 ? "|" : "",
                               (int)piece.length, piece.bytes);
    }
    ck_assert_str_eq(joined, pieces);
}

/* The smallest tokenizer: five letters and a space, three merges, BOS, EOS and <user>. */
#define SMALL_VOCAB                                                                          \
    "{\"<s>\":0,\"</s>\":1,\"a\":2,\"b\":3,\"c\":4,\"d\":5,\"e\":6,\"\xC4\xA0\":7,\"ab\":8," \
    "\"abc\":9,\"\xC4\xA0"                                                                   \
    "a\":10}"
#define SMALL_MERGES "[\"a b\",[\"ab\",\"c\"],\"\xC4\xA0 a\"]"
#define SMALL_ADDED                                     \
    "[{\"id\":0,\"content\":\"<s>\",\"special\":true}," \
    "{\"id\":1,\"content\":\"</s>\",\"special\":true}," \
    "{\"id\":11,\"content\":\"<user>\",\"special\":false}]"
#define SMALL_MODEL(members) \
    "{\"type\":\"BPE\",\"vocab\":" SMALL_VOCAB ",\"merges\":" SMALL_MERGES members "}"
#define SMALL_BYTE_LEVEL "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}"
#define SMALL_JSON(members)                                        \
    "{\"model\":" SMALL_MODEL("") ",\"added_tokens\":" SMALL_ADDED \
                                  ",\"pre_tokenizer\":" SMALL_BYTE_LEVEL members "}"

#endif
