/*
 * Reads from config.json the heads of layers of two kinds, with a window and without, as Gemma 4
 * has them.
 */
#include "model/hparams_sources.h"

#include "base/status.h"
#include "base/text.h"
#include "format/json.h"

#define CONFIG "config.json"

/* Elements of a head of full layers, if config.json does not say anything about them. */
#define FULL_HEAD_DIM 512

/*
 * Full layers have heads of their own size and, if v is k, perhaps of their own number. These keys
 * do not count beside per_layer_config.
 */
static lckv_status read_full(const struct json_value *config, bool v_is_k, uint32_t *n_kv_heads,
                             uint32_t *head_dim)
{
    lckv_status status = LCKV_OK;
    *head_dim = FULL_HEAD_DIM;
    if (v_is_k)
        status = json_get_u32(config, CONFIG, "num_global_key_value_heads", n_kv_heads, NULL);
    return status == LCKV_OK ? json_get_u32(config, CONFIG, "global_head_dim", head_dim, NULL)
                             : status;
}

static lckv_status read_kinds(const struct json_value *config, uint32_t n_layers, bool by_layer,
                              struct layer_lists *lists)
{
    uint32_t n_kv_heads = 0, head_dim = 0;
    bool v_is_k = false;
    lckv_status status = json_get_u32(config, CONFIG, "num_key_value_heads", &n_kv_heads, NULL);
    if (status == LCKV_OK)
        status = json_get_u32(config, CONFIG, "head_dim", &head_dim, NULL);
    if (status == LCKV_OK)
        status = json_get_bool(config, CONFIG, "attention_k_eq_v", &v_is_k, NULL);
    uint32_t n_full = n_kv_heads, full_dim = head_dim;
    if (status == LCKV_OK && !by_layer)
        status = read_full(config, v_is_k, &n_full, &full_dim);
    for (uint32_t i = 0; i < n_layers; i++) {
        const bool full = lists->rope[i] == 0;
        lists->v_is_k[i] = full && v_is_k;
        lists->n_kv_heads[i] = full ? n_full : n_kv_heads;
        lists->head_dim[i] = full ? full_dim : head_dim;
    }
    return status;
}

/* The number that a member of per_layer_config has for a name; `limit` if it is none below that. */
static uint32_t layer_of(struct text name, uint32_t limit)
{
    uint32_t layer = 0;
    for (size_t i = 0; i < name.length && layer < limit; i++) {
        if (name.bytes[i] < '0' || name.bytes[i] > '9')
            return limit;
        layer = layer * 10 + (uint32_t)(name.bytes[i] - '0');
    }
    return name.length > 0 && layer < limit ? layer : limit;
}

/* Newer files say it layer by layer. */
static lckv_status read_layers(const struct json_value *layers, uint32_t n_layers,
                               struct layer_lists *lists)
{
    lckv_status status = LCKV_OK;
    for (const struct json_value *layer = json_first(layers); status == LCKV_OK && layer != NULL;
         layer = json_next(layers, layer)) {
        const uint32_t i = layer_of(json_name(layer), n_layers);
        if (i == n_layers || !json_is(layer, JSON_OBJECT))
            return fail(LCKV_BAD_FORMAT,
                        CONFIG ": per_layer_config: %s: expected the number of a layer, and an "
                               "object",
                        quoted(json_name(layer).bytes, json_name(layer).length).text);
        status = json_get_u32(layer, CONFIG, "head_dim", &lists->head_dim[i], NULL);
        if (status == LCKV_OK)
            status =
                json_get_u32(layer, CONFIG, "num_key_value_heads", &lists->n_kv_heads[i], NULL);
    }
    return status;
}

lckv_status hparams_heads_from_config(const struct json_value *config, const struct hparams *h,
                                      struct layer_lists *lists)
{
    const struct json_value *layers = NULL;
    lckv_status status = json_get_object(config, CONFIG, "per_layer_config", &layers);
    if (status == LCKV_OK)
        status = read_kinds(config, h->n_layers, layers != NULL, lists);
    return status == LCKV_OK && layers != NULL ? read_layers(layers, h->n_layers, lists) : status;
}
