/*
 * Makes one plan of what a configuration says in several keys. See hparams_plan.h.
 *
 * Some keys give each layer a kind, full or sliding; others are statements about sources, which
 * must all say the same.
 */
#include "model/hparams_plan.h"

#include "base/status.h"
#include "format/json.h"
#include "model/architecture.h"
#include "model/hparams_key.h"
#include "model/hparams_kinds.h"
#include "model/hparams_sources.h"

#include <stdio.h>
#include <string.h>

#define CONFIG "config.json"
#define NO_LAYER UINT32_MAX

/* What has been read so far. */
struct words {
    uint32_t n_layers;
    bool has_kinds;
    bool sliding[PLAN_MAX_LAYERS]; /* the kinds; if there are none, all are full */
    const char *first;             /* the key of the first statement about sources, or NULL */
    uint32_t sources[PLAN_MAX_LAYERS];
};

/* ---- Statements about sources ---- */

static lckv_status state(struct words *words, const char *key, const uint32_t *sources)
{
    for (uint32_t i = 0; i < words->n_layers; i++) {
        if (sources[i] >= words->n_layers)
            return fail(LCKV_BAD_PLAN, "%s gives layer %u the source %u; expected less than %u",
                        key, i, sources[i], words->n_layers);
        if (words->first != NULL && words->sources[i] != sources[i])
            return fail(LCKV_BAD_PLAN,
                        "%s and %s contradict each other: layer %u reads layer %u by the one and "
                        "layer %u by the other",
                        words->first, key, i, words->sources[i], sources[i]);
    }
    if (words->first == NULL)
        memcpy(words->sources, sources, words->n_layers * sizeof *sources);
    words->first = words->first != NULL ? words->first : key;
    return LCKV_OK;
}

/* The last `n` layers read the last of the others, or the last that is of their own kind. */
static lckv_status state_shared(struct words *words, const char *key, uint32_t n, bool by_kind)
{
    uint32_t sources[PLAN_MAX_LAYERS], last[2] = {NO_LAYER, NO_LAYER};
    if (n == 0)
        return LCKV_OK;
    if (n >= words->n_layers)
        return fail(LCKV_BAD_PLAN, "%s is %u; expected less than the number of layers, %u", key, n,
                    words->n_layers);
    const uint32_t n_own = words->n_layers - n;
    for (uint32_t i = 0; i < words->n_layers; i++) {
        const bool kind = by_kind && words->sliding[i];
        if (i < n_own)
            last[kind] = i;
        if (last[kind] == NO_LAYER)
            return fail(LCKV_BAD_PLAN,
                        "%s is %u, but none of the first %u layers is %s as layer %u is, which "
                        "shares with the last such layer",
                        key, n, n_own, kind ? "sliding" : "full", i);
        sources[i] = last[kind];
    }
    return state(words, key, sources);
}

/* Groups of `factor` layers read the first of the group. */
static lckv_status state_groups(struct words *words, const char *key, uint32_t factor)
{
    uint32_t sources[PLAN_MAX_LAYERS];
    if (factor == 0)
        return fail(LCKV_BAD_PLAN, "%s is 0; expected a number of layers", key);
    for (uint32_t i = 0; i < words->n_layers; i++)
        sources[i] = i - i % factor;
    return state(words, key, sources);
}

/*
 * A plan in lckv's own language. Its windows must be those of the kinds, or are the kinds if there
 * are no others.
 */
static lckv_status state_plan(struct words *words, const char *key, struct text text,
                              const lckv_allocator *allocator)
{
    uint32_t sources[PLAN_MAX_LAYERS];
    struct lckv_plan *plan = NULL;
    lckv_status status = plan_parse(text.bytes, text.length, words->n_layers, allocator, &plan);
    if (status != LCKV_OK)
        return status;
    for (uint32_t i = 0; i < words->n_layers; i++) {
        sources[i] = plan->layers[i].source;
        if (status == LCKV_OK && words->has_kinds && plan->layers[i].windowed != words->sliding[i])
            status = fail(LCKV_BAD_PLAN, "%s contradicts the kinds of layers: layer %u is %s", key,
                          i, words->sliding[i] ? "sliding" : "full");
        words->sliding[i] = plan->layers[i].windowed;
    }
    plan_release(plan);
    return status == LCKV_OK ? state(words, key, sources) : status;
}

/* Writes the plan as text; none if nothing was said. */
static lckv_status write_plan(const struct words *words, struct arena *arena, struct text *plan)
{
    const size_t capacity = (size_t)words->n_layers * 8 + 1;
    size_t used = 0;
    char *text;
    if (words->first == NULL && !words->has_kinds)
        return LCKV_OK;
    lckv_status status = arena_alloc(arena, capacity, 1, "a layer plan", &text);
    if (status != LCKV_OK)
        return status;
    for (uint32_t i = 0; i < words->n_layers; i++)
        used += (size_t)snprintf(text + used, capacity - used, "%s%u%s", i > 0 ? "_" : "",
                                 words->first != NULL ? words->sources[i] : i,
                                 words->sliding[i] ? "s" : "");
    *plan = (struct text){text, used};
    return LCKV_OK;
}

/*
 * A window that all layers have. One that is no shorter than the text that a model is made for
 * leaves nothing out, so these layers are full.
 */
static void read_common_window(const struct hparams *h, uint32_t window, struct words *words)
{
    const bool is_long = h->context_length != 0 && window >= h->context_length;
    if (!h->architecture->windows_all || words->has_kinds || is_long)
        return;
    for (uint32_t i = 0; i < words->n_layers; i++)
        words->sliding[i] = true;
    words->has_kinds = true;
}

bool hparams_has_windows(const struct hparams *h)
{
    return h->plan.length > 0 && memchr(h->plan.bytes, 's', h->plan.length) != NULL;
}

/* Numbers of layers beyond the limit are refused elsewhere. */
static bool can_have_plan(const struct hparams *h)
{
    return h->n_layers > 0 && h->n_layers <= PLAN_MAX_LAYERS;
}

/* ---- config.json ---- */

/* A failure that does not say yet where it was. */
static lckv_status in_config(lckv_status status)
{
    return status == LCKV_OK ? status : fail_in(status, CONFIG);
}

/* layer_types is a plan if it is a string, and the kinds of layers if it is a list. */
static lckv_status read_layer_types(struct checkpoint *checkpoint, const struct json_value *config,
                                    const struct hparams *h, struct words *words, struct text *plan)
{
    const struct json_value *types = json_find(config, "layer_types");
    if (types == NULL || json_is(types, JSON_NULL) || json_is(types, JSON_ARRAY))
        return hparams_kinds_from_config(config, h, words->sliding, &words->has_kinds);
    lckv_status status = json_get_text(config, CONFIG, "layer_types", plan, NULL);
    if (status == LCKV_OK && plan->length == 0)
        status = fail(LCKV_BAD_PLAN, CONFIG ": layer_types is empty");
    if (status == LCKV_OK)
        status = arena_copy(&checkpoint->arena, plan->bytes, plan->length, &plan->bytes);
    return status == LCKV_OK
               ? in_config(state_plan(words, "layer_types", *plan, &checkpoint->arena.allocator))
               : status;
}

/* Null means no window. */
static lckv_status read_config_window(const struct json_value *config, const struct hparams *h,
                                      struct words *words)
{
    const struct architecture *architecture = h->architecture; /* NULL: only a shape is read */
    uint32_t window = architecture != NULL ? architecture->default_window : 0;
    const bool is_null = json_is(json_find(config, "sliding_window"), JSON_NULL);
    lckv_status status = json_get_u32(config, CONFIG, "sliding_window", &window, NULL);
    if (status == LCKV_OK && !is_null && window != 0 && architecture != NULL)
        read_common_window(h, window, words);
    return status;
}

/* What transformers takes for granted if nothing says which layers share. */
static lckv_status state_default(const struct json_value *config, const struct hparams *h,
                                 struct words *words)
{
    const uint32_t n = h->architecture != NULL ? h->architecture->shared_kv_layers : 0;
    if (n == 0 || words->first != NULL || json_find(config, "num_kv_shared_layers") != NULL)
        return LCKV_OK;
    return in_config(state_shared(words, "num_kv_shared_layers (by default)", n, true));
}

static lckv_status read_config_statements(const struct json_value *config, struct words *words)
{
    uint32_t n_shared = 0, n_reused = 0, factor = 1, sources[PLAN_MAX_LAYERS];
    bool use_cla = false, has_sources = false;
    lckv_status status = json_get_u32(config, CONFIG, "num_kv_shared_layers", &n_shared, NULL);
    if (status == LCKV_OK)
        status = in_config(state_shared(words, "num_kv_shared_layers", n_shared, true));
    if (status == LCKV_OK)
        status = json_get_u32(config, CONFIG, "num_kv_reuse_layers", &n_reused, NULL);
    if (status == LCKV_OK)
        status = in_config(state_shared(words, "num_kv_reuse_layers", n_reused, false));
    if (status == LCKV_OK)
        status = json_get_bool(config, CONFIG, "use_cla", &use_cla, NULL);
    if (status == LCKV_OK && use_cla)
        status = json_get_u32(config, CONFIG, "cla_share_factor", &factor, NULL);
    if (status == LCKV_OK && use_cla)
        status = in_config(state_groups(words, "cla_share_factor", factor));
    const struct json_value *list = NULL;
    if (status == LCKV_OK)
        status = json_get_array(config, CONFIG, "kv_source_layers", &list);
    if (status == LCKV_OK && list != NULL && json_count(list) > 0)
        status = json_get_u32s(config, CONFIG, "kv_source_layers", sources, words->n_layers,
                               &has_sources);
    if (status == LCKV_OK && has_sources)
        status = in_config(state(words, "kv_source_layers", sources));
    return status;
}

lckv_status hparams_plan_from_config(struct checkpoint *checkpoint, const struct json_value *config,
                                     struct hparams *h)
{
    struct words words = {.n_layers = h->n_layers};
    if (!can_have_plan(h))
        return LCKV_OK;
    lckv_status status = read_layer_types(checkpoint, config, h, &words, &h->plan);
    if (status == LCKV_OK && h->plan.length == 0)
        status = read_config_window(config, h, &words);
    if (status == LCKV_OK)
        status = read_config_statements(config, &words);
    if (status == LCKV_OK)
        status = state_default(config, h, &words);
    return status == LCKV_OK && h->plan.length == 0
               ? write_plan(&words, &checkpoint->arena, &h->plan)
               : status;
}

/* ---- GGUF ---- */

/*
 * lckv's own key comes first. A window without a key that says which layers have it is refused,
 * because the model would compute something else without it.
 */
static lckv_status read_window(const struct metadata *metadata, struct words *words,
                               struct hparams *h)
{
    char key[HPARAMS_KEY_BYTES];
    uint32_t window = 0;
    lckv_status status = metadata_get_u32(
        metadata, hparams_key(h->architecture_name, "attention.sliding_window", key), &window,
        NULL);
    if (status != LCKV_OK || window == 0)
        return status;
    const bool in_plan = hparams_has_windows(h);
    if (!in_plan)
        read_common_window(h, window, words);
    if (!words->has_kinds && !in_plan && !h->architecture->windows_all)
        return fail(LCKV_UNSUPPORTED, "%s is %u, but no key says which layers have that window",
                    key, window);
    if (h->sliding_window == 0)
        h->sliding_window = window;
    return LCKV_OK;
}

/* How many layers share in a file that no key tells it of. */
static uint32_t usual_shared(const struct hparams *h, const struct metadata *metadata)
{
    char key[HPARAMS_KEY_BYTES];
    const uint32_t n_own = h->architecture->own_kv_layers;
    hparams_key(h->architecture_name, "attention.kv_source_layers", key);
    return n_own != 0 && n_own < h->n_layers && h->plan.length == 0 &&
                   metadata_find(metadata, key) == NULL
               ? h->n_layers - n_own
               : 0;
}

lckv_status hparams_plan_from_gguf(struct checkpoint *checkpoint, struct hparams *h)
{
    const struct metadata *metadata = &checkpoint->metadata;
    struct words words = {.n_layers = h->n_layers};
    char shared[HPARAMS_KEY_BYTES], listed[HPARAMS_KEY_BYTES];
    uint32_t n_shared = 0, sources[PLAN_MAX_LAYERS];
    bool found = false;
    if (!can_have_plan(h))
        return LCKV_OK;
    lckv_status status = hparams_kinds_from_gguf(metadata, h, words.sliding, &words.has_kinds);
    if (status == LCKV_OK)
        status = read_window(metadata, &words, h);
    if (status == LCKV_OK && h->plan.length > 0)
        status = state_plan(&words, "lckv.layer_types", h->plan, &checkpoint->arena.allocator);
    if (status == LCKV_OK)
        status = metadata_get_u32(
            metadata, hparams_key(h->architecture_name, "attention.shared_kv_layers", shared),
            &n_shared, &found);
    if (status == LCKV_OK && !found)
        n_shared = usual_shared(h, metadata);
    if (status == LCKV_OK)
        status = state_shared(&words, shared, n_shared, true);
    const struct metadata_value *list = metadata_find(
        metadata, hparams_key(h->architecture_name, "attention.kv_source_layers", listed));
    if (status == LCKV_OK && list != NULL && list->type != METADATA_ARRAY)
        status = fail(LCKV_BAD_FORMAT, "metadata %s: expected an array of integers", listed);
    if (status == LCKV_OK)
        status = metadata_get_u32s(metadata, listed, sources, words.n_layers, &found);
    if (status == LCKV_OK && found)
        status = state(&words, listed, sources);
    return status == LCKV_OK && h->plan.length == 0
               ? write_plan(&words, &checkpoint->arena, &h->plan)
               : status;
}
