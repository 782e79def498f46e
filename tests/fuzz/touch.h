/*
 * Uses all of a model that an input made: what it says about itself, its plan, its metadata, its
 * tokens and texts. Also evaluates and generates a few tokens.
 */
#ifndef LCKV_TESTS_FUZZ_TOUCH_H
#define LCKV_TESTS_FUZZ_TOUCH_H

#include "fuzz.h"

/* Asks a call that gives text for its length, then for the text, then with a byte too few. */
#define TOUCH_TEXT(call)                                                                      \
    do {                                                                                      \
        char *buffer = NULL;                                                                  \
        size_t capacity = 0, length = 0, again = 0;                                           \
        lckv_status status_ = (call);                                                         \
        succeeded(status_);                                                                   \
        if (status_ != LCKV_BUFFER_TOO_SMALL)                                                 \
            break;                                                                            \
        capacity = again = length + 1;                                                        \
        buffer = malloc(capacity);                                                            \
        require(buffer != NULL, "no memory");                                                 \
        require_ok(call);                                                                     \
        require(length + 1 == again, "%zu bytes, then %zu", again - 1, length);               \
        capacity = length > 0 ? length - 1 : 0;                                               \
        require(length == 0 || (call) == LCKV_BUFFER_TOO_SMALL, "a byte too few was enough"); \
        free(buffer);                                                                         \
    } while (0)

static inline void touch_plan(const lckv_plan *plan)
{
    lckv_plan_info info = {.size = sizeof info};
    require_ok(lckv_plan_get_info(plan, &info));
    require(info.n_slots >= 1 && info.n_slots <= info.n_layers, "%u slots", info.n_slots);
    uint32_t n_readers = 0, n_grouped = 0;
    for (uint32_t i = 0; i < info.n_slots; i++) {
        lckv_slot_info slot = {.size = sizeof slot};
        require_ok(lckv_plan_get_slot(plan, i, &slot));
        n_readers += slot.n_readers;
    }
    require(n_readers == info.n_layers, "%u readers of %u layers", n_readers, info.n_layers);
    for (uint32_t i = 0; i < info.n_layers; i++) {
        lckv_layer_info layer = {.size = sizeof layer};
        require_ok(lckv_plan_get_layer(plan, i, &layer));
        require(layer.source < info.n_layers && layer.source_slot < info.n_slots, "layer %u", i);
    }
    for (uint32_t i = 0; i < info.n_groups; i++) {
        lckv_group_info group = {.size = sizeof group};
        require_ok(lckv_plan_get_group(plan, i, &group));
        require(group.first == n_grouped && group.last >= group.first, "group %u", i);
        n_grouped = group.last + 1;
    }
    require(n_grouped == info.n_layers, "%u of %u layers in groups", n_grouped, info.n_layers);
    TOUCH_TEXT(lckv_plan_describe(plan, buffer, capacity, &length));
    char text[16384];
    size_t text_length = 0;
    if (!succeeded(lckv_plan_text(plan, text, sizeof text, &text_length)))
        return;
    lckv_plan *again = NULL; /* the text that the plan writes gives the same plan */
    require_ok(lckv_plan_parse(text, text_length, info.n_layers, &again));
    lckv_plan_info other = {.size = sizeof other};
    require_ok(lckv_plan_get_info(again, &other));
    require(memcmp(&info, &other, sizeof info) == 0, "%s", text);
    lckv_plan_release(again);
}

/* Turns a text into tokens, and these into text, all at once and one by one, which must agree. */
static inline void touch_text(const lckv_model *model, const char *text, size_t n, uint32_t flags)
{
    lckv_token tokens[1024];
    size_t n_tokens = 0, n_bytes = 0, streamed = 0;
    if (!succeeded(lckv_tokenize(model, text, n, flags, tokens, COUNT(tokens), &n_tokens)))
        return;
    const char *piece;
    size_t piece_length;
    lckv_token_type type;
    for (size_t i = 0; i < n_tokens; i++)
        require_ok(lckv_model_token(model, tokens[i], &piece, &piece_length, &type));
    lckv_status status = lckv_detokenize(model, tokens, n_tokens, 0, NULL, 0, &n_bytes);
    if (!succeeded(status) && status != LCKV_BUFFER_TOO_SMALL)
        return;
    lckv_detokenizer *detokenizer = NULL;
    require_ok(lckv_detokenizer_create(model, 0, &detokenizer));
    for (size_t i = 0; i < n_tokens; i++) {
        require_ok(lckv_detokenizer_push(detokenizer, tokens[i], &piece, &piece_length));
        streamed += piece_length;
    }
    require_ok(lckv_detokenizer_flush(detokenizer, &piece, &piece_length));
    lckv_detokenizer_release(detokenizer);
    streamed += piece_length;
    require(streamed == n_bytes, "%zu bytes streamed of %zu", streamed, n_bytes);
    TOUCH_TEXT(lckv_detokenize(model, tokens, n_tokens, LCKV_DETOKENIZE_SPECIAL, buffer, capacity,
                               &length));
}

static inline void touch_chat(const lckv_model *model, const lckv_message *messages, size_t n)
{
    lckv_token tokens[1024];
    size_t n_tokens = 0;
    for (uint32_t flags = 0; flags <= LCKV_CHAT_ANSWER; flags++) {
        TOUCH_TEXT(lckv_chat_format(model, messages, sizeof *messages, n, flags, buffer, capacity,
                                    &length));
        (void)succeeded(lckv_chat_tokenize(model, messages, sizeof *messages, n, flags, tokens,
                                           COUNT(tokens), &n_tokens));
    }
}

/* Asks for the bytes of a model's first tokens, which its tokenizer may lack, and of wrong ids. */
static inline void touch_ids(const lckv_model *model, uint32_t n_vocab)
{
    lckv_token ids[2048], bad[] = {-1, (lckv_token)n_vocab, INT32_MIN, INT32_MAX};
    size_t n = n_vocab < COUNT(ids) ? n_vocab : COUNT(ids), n_bytes = 0, streamed = 0, length;
    const char *piece;
    lckv_detokenizer *detokenizer = NULL;
    if (!succeeded(lckv_detokenizer_create(model, 0, &detokenizer)))
        return;
    for (size_t i = 0; i < n; i++) {
        ids[i] = (lckv_token)i;
        require_ok(lckv_detokenizer_push(detokenizer, ids[i], &piece, &length));
        streamed += length;
    }
    require_ok(lckv_detokenizer_flush(detokenizer, &piece, &length));
    lckv_status status = lckv_detokenize(model, ids, n, 0, NULL, 0, &n_bytes);
    require(succeeded(status) || status == LCKV_BUFFER_TOO_SMALL, "all tokens");
    require(streamed + length == n_bytes, "%zu bytes streamed of %zu", streamed + length, n_bytes);
    for (size_t i = 0; i < COUNT(bad); i++) {
        lckv_token_type type; /* the tokenizer may know an id that the model lacks */
        bool known = succeeded(lckv_model_token(model, bad[i], &piece, &length, &type));
        require(!known || i == 1, "token %d is known", (int)bad[i]);
        require(succeeded(lckv_detokenizer_push(detokenizer, bad[i], &piece, &length)) == known,
                "token %d of %u is known to one call", (int)bad[i], n_vocab);
    }
    lckv_detokenizer_release(detokenizer);
}

static inline void touch_vocabulary(const lckv_model *model)
{
    lckv_model_info info = {.size = sizeof info};
    require_ok(lckv_model_get_info(model, &info));
    lckv_token end = info.n_vocab < 2048 ? (lckv_token)info.n_vocab + 1 : 2048;
    const char *text;
    size_t length;
    lckv_token_type type;
    for (lckv_token token = -1; token < end; token++) {
        lckv_status status = lckv_model_token(model, token, &text, &length, &type);
        if (succeeded(status) && length > 0)
            require(text[0] + text[length - 1] < 1024, "the token's ends can be read");
        lckv_model_is_end_token(model, token);
    }
    for (lckv_special special = LCKV_SPECIAL_BOS; special <= LCKV_SPECIAL_EOT; special++)
        lckv_model_special_token(model, special);
    touch_ids(model, info.n_vocab);
}

static inline void touch_evaluation(const lckv_model *model, uint32_t n_vocab, uint32_t hidden_size,
                                    lckv_pool *pool)
{
    static const lckv_token ids[] = {0, 1, 2, 1, 0};
    lckv_cache_options options = {.size = sizeof options,
                                  .n_tokens = 32,
                                  .max_sessions = 1,
                                  .page_positions = 16,
                                  .pool = pool,
                                  .max_rows = 4,
                                  .max_logit_rows = 1,
                                  .rollback = 1};
    lckv_cache *cache = NULL;
    lckv_session *session = NULL;
    if (!succeeded(lckv_cache_create(model, &options, &cache)))
        return;
    float *hidden = malloc(sizeof *hidden * hidden_size);
    require(hidden != NULL, "no memory");
    if (succeeded(lckv_session_create(cache, &session))) {
        lckv_item item = {.session = session,
                          .tokens = ids,
                          .n_tokens = n_vocab > 2 ? COUNT(ids) : 1,
                          .want = LCKV_WANT_LAST | LCKV_WANT_HIDDEN,
                          .hidden = hidden,
                          .hidden_capacity = hidden_size};
        succeeded(lckv_evaluate(cache, &item, sizeof item, 1, NULL, NULL));
        lckv_generate_options generate = {
            .size = sizeof generate, .max_tokens = 3, .prefill = LCKV_PREFILL_MODEL};
        succeeded(lckv_generate(session, NULL, ids, 1, &generate, NULL));
    }
    lckv_session_release(session);
    lckv_cache_release(cache);
    free(hidden);
}

static inline void touch_model(const lckv_model *model, lckv_pool *pool)
{
    lckv_model_info info = {.size = sizeof info};
    require_ok(lckv_model_get_info(model, &info));
    const size_t names = strlen(info.architecture) + strlen(info.name) + strlen(info.weight_dtypes);
    require(names > 0 || info.problem != NULL, "names");
    require((info.n_layers > 0) == (lckv_model_plan(model) != NULL), "the plan and the shape");
    require(!info.has_weights || info.problem == NULL, "a model with a problem is open");
    if (lckv_model_plan(model) != NULL)
        touch_plan(lckv_model_plan(model));
    const char *key;
    for (size_t i = 0; i < 1000 && (key = lckv_model_metadata_key(model, i)) != NULL; i++)
        TOUCH_TEXT(lckv_model_metadata(model, key, buffer, capacity, &length));
    touch_vocabulary(model);
    static const char text[] = "ab \n<s>c\xC3\xA9\xFF 12 <|im_start|>x\xE2\x96\x81";
    touch_text(model, text, sizeof text, 0);
    touch_text(model, info.name, strlen(info.name), LCKV_TOKENIZE_BOS);
    const lckv_message messages[] = {{"system", 6, "be brief", 8}, {"user", 4, text, sizeof text}};
    touch_chat(model, messages, COUNT(messages));
    touch_evaluation(model, info.n_vocab, info.hidden_size, pool);
}

#endif
