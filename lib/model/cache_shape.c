/*
 * Reads the shape of a cache without the rest of a configuration. See cache_shape.h.
 */
#include "model/cache_shape.h"

#include "base/status.h"
#include "format/json.h"
#include "model/hparams_plan.h"
#include "model/hparams_sources.h"

#include <string.h>

#define CONFIG "config.json"

static bool is_known(struct text model_type)
{
    static const char *const known[] = {"gemma4", "gemma4_text", "gemma3n", "gemma3n_text"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (text_equals(model_type, known[i]))
            return true;
    }
    return false;
}

static lckv_status read_counts(const struct json_value *config, struct hparams *h)
{
    const struct {
        const char *key;
        uint32_t *value;
    } members[] = {
        {"num_hidden_layers", &h->n_layers},
        {"vocab_size", &h->n_vocab},
        {"hidden_size", &h->hidden_size},
        {"num_attention_heads", &h->n_heads},
        {"max_position_embeddings", &h->context_length},
        {"sliding_window", &h->sliding_window},
    };
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        bool found = false;
        lckv_status status = json_get_u32(config, CONFIG, members[i].key, members[i].value, &found);
        if (status == LCKV_OK && !found)
            status = fail(LCKV_BAD_FORMAT, CONFIG " has no %s", members[i].key);
        if (status != LCKV_OK)
            return status;
    }
    return LCKV_OK;
}

static lckv_status check_layers(const struct layer_lists *lists, uint32_t n_layers)
{
    for (uint32_t i = 0; i < n_layers; i++) {
        if (lists->head_dim[i] == 0 || lists->head_dim[i] > HPARAMS_MAX_HEAD_DIM ||
            lists->n_kv_heads[i] == 0 || lists->n_kv_heads[i] > HPARAMS_MAX_HEADS)
            return fail(LCKV_BAD_FORMAT,
                        CONFIG ": layer %u has %u KV heads of %u elements; expected 1 to %d, of 1 "
                               "to %d",
                        i, lists->n_kv_heads[i], lists->head_dim[i], HPARAMS_MAX_HEADS,
                        HPARAMS_MAX_HEAD_DIM);
    }
    return LCKV_OK;
}

static lckv_status read_heads(struct checkpoint *checkpoint, const struct json_value *config,
                              const struct lckv_plan *plan, struct hparams *h)
{
    struct layer_lists lists;
    lckv_status status = layer_lists_begin(&lists, h, 0);
    if (status == LCKV_OK)
        status = json_get_u32s(config, CONFIG, "intermediate_size", lists.intermediate_size,
                               h->n_layers, NULL);
    for (uint32_t i = 0; i < h->n_layers; i++)
        lists.rope[i] = plan->layers[i].windowed;
    if (status == LCKV_OK)
        status = hparams_heads_from_config(config, h, &lists);
    for (uint32_t i = 0; i < h->n_layers; i++)
        lists.rope[i] = 0;
    if (status == LCKV_OK)
        status = check_layers(&lists, h->n_layers);
    return status == LCKV_OK ? layer_lists_end(&lists, checkpoint, h) : status;
}

static lckv_status read_all(struct checkpoint *checkpoint, const struct json_value *root,
                            struct hparams *h, struct lckv_plan **plan)
{
    struct text model_type = {"", 0};
    const struct json_value *config = NULL;
    lckv_status status = json_get_text(root, CONFIG, "model_type", &model_type, NULL);
    if (status == LCKV_OK && !is_known(model_type))
        return fail(LCKV_UNSUPPORTED,
                    CONFIG ": model_type %s keeps its keys and values in a way "
                           "that is not known",
                    quoted(model_type.bytes, model_type.length).text);
    if (status == LCKV_OK)
        status = json_get_object(root, CONFIG, "text_config", &config);
    config = config != NULL ? config : root;
    if (status == LCKV_OK)
        status = read_counts(config, h);
    if (status == LCKV_OK)
        status = hparams_plan_from_config(checkpoint, config, h);
    if (status == LCKV_OK && h->plan.length == 0)
        status = fail(LCKV_BAD_FORMAT, CONFIG " has no layer_types");
    if (status == LCKV_OK)
        status = plan_parse(h->plan.bytes, h->plan.length, h->n_layers,
                            &checkpoint->arena.allocator, plan);
    if (status == LCKV_OK)
        status = read_heads(checkpoint, config, *plan, h);
    return status == LCKV_OK ? hparams_check_plan(h, *plan) : status;
}

lckv_status cache_shape_read(struct checkpoint *checkpoint, struct hparams *h,
                             struct lckv_plan **plan)
{
    struct json_document document = {.root = NULL};
    if (checkpoint->kind != CHECKPOINT_HF || checkpoint->config.length == 0)
        return fail(LCKV_UNSUPPORTED, "%s: has no " CONFIG, checkpoint->name);
    lckv_status status = json_parse(checkpoint->config.bytes, checkpoint->config.length, CONFIG,
                                    &checkpoint->arena.allocator, &document);
    if (status == LCKV_OK && !json_is(document.root, JSON_OBJECT))
        status = fail(LCKV_BAD_FORMAT, CONFIG " is not an object");
    if (status == LCKV_OK)
        status = read_all(checkpoint, document.root, h, plan);
    json_release(&document);
    return status == LCKV_OK ? status : fail_in(status, "%s", checkpoint->name);
}
