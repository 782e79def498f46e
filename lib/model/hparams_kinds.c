/*
 * Reads the kinds of layers. See hparams_kinds.h.
 */
#include "model/hparams_kinds.h"

#include "base/status.h"
#include "base/text.h"
#include "format/json.h"
#include "model/architecture.h"
#include "model/hparams_key.h"
#include "model/hparams_sources.h"

#define CONFIG "config.json"

/* Of `period` layers in turn the last does not slide; if that is 0, all do. */
static void repeat(uint32_t period, uint32_t n_layers, bool *sliding)
{
    for (uint32_t i = 0; i < n_layers; i++)
        sliding[i] = period == 0 || i % period + 1 < period;
}

/* ---- config.json ---- */

/* The kind of each layer: "full_attention" or "sliding_attention". */
static lckv_status read_list(const struct json_value *list, uint32_t n_layers, bool *sliding)
{
    size_t i = 0;
    for (const struct json_value *entry = json_first(list); entry != NULL;
         entry = json_next(list, entry), i++) {
        struct text kind = json_text(entry);
        const bool slides = text_equals(kind, "sliding_attention");
        if (!json_is(entry, JSON_STRING) || (!slides && !text_equals(kind, "full_attention")))
            return fail(LCKV_UNSUPPORTED,
                        CONFIG ": layer_types entry %zu is %s; expected full_attention or "
                               "sliding_attention",
                        i,
                        json_is(entry, JSON_STRING) ? quoted(kind.bytes, kind.length).text
                                                    : "no string");
        if (i < n_layers)
            sliding[i] = slides;
    }
    if (i != n_layers)
        return fail(LCKV_BAD_FORMAT,
                    CONFIG ": layer_types has %zu entries; expected %u, one for each layer", i,
                    n_layers);
    return LCKV_OK;
}

lckv_status hparams_kinds_from_config(const struct json_value *config, const struct hparams *h,
                                      bool *sliding, bool *found)
{
    const struct json_value *types = json_find(config, "layer_types");
    uint32_t period = 0;
    bool has_period = false;
    if (json_is(types, JSON_ARRAY)) {
        *found = true;
        return read_list(types, h->n_layers, sliding);
    }
    if (h->architecture == NULL || h->architecture->window_period == 0)
        return LCKV_OK;
    lckv_status status =
        json_get_u32(config, CONFIG, "sliding_window_pattern", &period, &has_period);
    if (status == LCKV_OK && has_period) {
        repeat(period, h->n_layers, sliding);
        *found = true;
    }
    return status;
}

/* ---- GGUF ---- */

lckv_status hparams_kinds_from_gguf(const struct metadata *metadata, const struct hparams *h,
                                    bool *sliding, bool *found)
{
    char key[HPARAMS_KEY_BYTES], window_key[HPARAMS_KEY_BYTES];
    uint32_t period = h->architecture->window_period, window = 0;
    hparams_key(h->architecture_name, "attention.sliding_window_pattern", key);
    hparams_key(h->architecture_name, "attention.sliding_window", window_key);
    const struct metadata_value *pattern = metadata_find(metadata, key);
    if (pattern == NULL || (period != 0 && pattern->type != METADATA_ARRAY)) {
        lckv_status status = metadata_get_u32(metadata, window_key, &window, NULL);
        if (status == LCKV_OK)
            status = metadata_get_u32(metadata, key, &period, NULL);
        if (status != LCKV_OK || window == 0 || h->architecture->window_period == 0)
            return status;
        repeat(period, h->n_layers, sliding);
        *found = true;
        return LCKV_OK;
    }
    if (pattern->type != METADATA_ARRAY || pattern->element_type != METADATA_BOOL ||
        pattern->count != h->n_layers)
        return fail(LCKV_BAD_FORMAT, "metadata %s: expected an array of %u bools", key,
                    h->n_layers);
    for (uint32_t i = 0; i < h->n_layers; i++)
        sliding[i] = pattern->as.elements[i] != 0;
    *found = true;
    return LCKV_OK;
}
