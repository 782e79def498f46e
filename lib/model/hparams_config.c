/*
 * Hyperparameters from config.json.
 */
#include "model/hparams_sources.h"

#include "base/status.h"
#include "base/text.h"
#include "format/json.h"
#include "model/architecture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define CONFIG "config.json"

/* Keeps a text that points into JSON beyond the JSON's life. */
static lckv_status keep_text(struct checkpoint *checkpoint, struct text *text)
{
    return arena_copy(&checkpoint->arena, text->bytes, text->length, &text->bytes);
}

/* A list of kinds, one a layer, is not a plan: every layer reads itself, some through a window. */
static lckv_status plan_from_list(struct checkpoint *checkpoint, const struct json_value *list,
                                  struct text *plan)
{
    size_t n = json_count(list), i = 0, used = 0, capacity = n * 8 + 1;
    char *text;
    if (n == 0 || n > PLAN_MAX_LAYERS)
        return fail(LCKV_BAD_FORMAT, CONFIG ": layer_types has %zu entries", n);
    lckv_status status = arena_alloc(&checkpoint->arena, capacity, 1, "a layer plan", &text);
    if (status != LCKV_OK)
        return status;
    for (const struct json_value *entry = json_first(list); entry != NULL;
         entry = json_next(list, entry), i++) {
        struct text kind = json_text(entry);
        bool sliding = text_equals(kind, "sliding_attention");
        if (!json_is(entry, JSON_STRING) || (!sliding && !text_equals(kind, "full_attention")))
            return fail(LCKV_UNSUPPORTED,
                        CONFIG ": layer_types entry %zu is %s; expected full_attention or "
                               "sliding_attention",
                        i,
                        json_is(entry, JSON_STRING) ? quoted(kind.bytes, kind.length).text
                                                    : "no string");
        used += (size_t)snprintf(text + used, capacity - used, "%s%zu%s", i > 0 ? "_" : "", i,
                                 sliding ? "s" : "");
    }
    *plan = (struct text){text, used};
    return LCKV_OK;
}

static lckv_status read_plan(struct checkpoint *checkpoint, const struct json_value *config,
                             struct hparams *h)
{
    const struct json_value *types = json_find(config, "layer_types");
    if (types == NULL || json_is(types, JSON_NULL))
        return LCKV_OK;
    if (json_is(types, JSON_ARRAY))
        return plan_from_list(checkpoint, types, &h->plan);
    lckv_status status = json_get_text(config, CONFIG, "layer_types", &h->plan, NULL);
    if (status == LCKV_OK && h->plan.length == 0)
        status = fail(LCKV_BAD_PLAN, CONFIG ": layer_types is empty");
    return status == LCKV_OK ? keep_text(checkpoint, &h->plan) : status;
}

static lckv_status read_scaling(const struct json_value *scaling, struct hparams *h)
{
    const char *what = CONFIG ": rope scaling";
    struct text kind = {"default", 7};
    bool found = false;
    lckv_status status = json_get_text(scaling, what, "rope_type", &kind, &found);
    if (status == LCKV_OK && !found)
        status = json_get_text(scaling, what, "type", &kind, NULL);
    if (status != LCKV_OK)
        return status;
    if (text_equals(kind, "default"))
        return LCKV_OK;
    if (text_equals(kind, "linear"))
        h->rope_scaling = ROPE_SCALING_LINEAR;
    else if (text_equals(kind, "llama3"))
        h->rope_scaling = ROPE_SCALING_LLAMA3;
    else
        return fail(LCKV_UNSUPPORTED, "%s is %s; expected default, linear or llama3", what,
                    quoted(kind.bytes, kind.length).text);
    const struct {
        const char *key;
        double *value;
    } members[] = {
        {"factor", &h->rope_factor},
        {"low_freq_factor", &h->rope_low_freq_factor},
        {"high_freq_factor", &h->rope_high_freq_factor},
        {"original_max_position_embeddings", &h->rope_original_context},
    };
    size_t n = h->rope_scaling == ROPE_SCALING_LINEAR ? 1 : sizeof members / sizeof members[0];
    for (size_t i = 0; status == LCKV_OK && i < n; i++) {
        status = json_get_f64(scaling, what, members[i].key, members[i].value, &found);
        if (status == LCKV_OK && !found)
            status =
                fail(LCKV_BAD_FORMAT, "%s: %s is missing, expected a number", what, members[i].key);
    }
    return status;
}

/* rope_theta and rope_scaling, or both in rope_parameters. */
static lckv_status read_rope(const struct json_value *config, struct hparams *h)
{
    const char *what = CONFIG;
    const struct json_value *parameters = NULL, *scaling = NULL;
    lckv_status status = json_get_f64(config, what, "rope_theta", &h->rope_theta, NULL);
    if (status == LCKV_OK)
        status = json_get_object(config, what, "rope_scaling", &scaling);
    if (status == LCKV_OK && scaling != NULL)
        status = read_scaling(scaling, h);
    if (status == LCKV_OK)
        status = json_get_object(config, what, "rope_parameters", &parameters);
    if (status != LCKV_OK || parameters == NULL)
        return status;
    status = json_get_f64(parameters, what, "rope_theta", &h->rope_theta, NULL);
    return status == LCKV_OK ? read_scaling(parameters, h) : status;
}

static lckv_status read_shape(const struct json_value *config, struct hparams *h)
{
    const struct {
        const char *key;
        uint32_t *value;
        bool required;
    } members[] = {
        {"num_hidden_layers", &h->n_layers, true},
        {"vocab_size", &h->n_vocab, true},
        {"hidden_size", &h->hidden_size, true},
        {"intermediate_size", &h->intermediate_size, true},
        {"num_attention_heads", &h->n_heads, true},
        {"num_key_value_heads", &h->n_kv_heads, false},
        {"head_dim", &h->head_dim, false},
        {"max_position_embeddings", &h->context_length, false},
        {"forward_passes", &h->forward_passes, false},
        {"backward_passes", &h->backward_passes, false},
    };
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        bool found = false;
        lckv_status status = json_get_u32(config, CONFIG, members[i].key, members[i].value, &found);
        if (status != LCKV_OK)
            return status;
        if (members[i].required && !found)
            return fail(LCKV_BAD_FORMAT, CONFIG " has no %s", members[i].key);
    }
    if (h->n_kv_heads == 0)
        h->n_kv_heads = h->n_heads;
    if (h->head_dim == 0 && h->n_heads != 0)
        h->head_dim = h->hidden_size / h->n_heads;
    return LCKV_OK;
}

/*
 * Absent: the published default, if the model's own plan has windows; for a plan that it does not
 * have it says nothing. Null: none, which a plan with windows does not allow.
 */
static lckv_status read_window(const struct json_value *config, struct hparams *h)
{
    if (json_find(config, "sliding_window") == NULL) {
        bool has_windows = h->plan.length > 0 && memchr(h->plan.bytes, 's', h->plan.length) != NULL;
        h->sliding_window = has_windows ? HPARAMS_SLIDING_WINDOW : 0;
        return LCKV_OK;
    }
    return json_get_u32(config, CONFIG, "sliding_window", &h->sliding_window, NULL);
}

static lckv_status read_rest(const struct json_value *config, struct hparams *h)
{
    const char *what = CONFIG;
    double epsilon = (double)h->rms_norm_eps;
    struct text activation = {"silu", 4};
    lckv_status status = json_get_f64(config, what, "rms_norm_eps", &epsilon, NULL);
    h->rms_norm_eps = (float)epsilon;
    if (status == LCKV_OK)
        status = json_get_text(config, what, "hidden_act", &activation, NULL);
    if (status == LCKV_OK && !text_equals(activation, "silu"))
        status = fail(LCKV_UNSUPPORTED, "%s: hidden_act is %s; expected silu", what,
                      quoted(activation.bytes, activation.length).text);
    if (status == LCKV_OK)
        status = json_get_bool(config, what, "tie_word_embeddings", &h->tie_embeddings, NULL);
    if (status == LCKV_OK)
        status = json_get_bool(config, what, "force_nodiag", &h->force_nodiag, NULL);
    if (status == LCKV_OK)
        status = json_get_bool(config, what, "use_sequential", &h->use_sequential, NULL);
    if (status == LCKV_OK)
        status = json_get_bool(config, what, "attention_bias", &h->attention_bias, NULL);
    if (status == LCKV_OK)
        status = json_get_bool(config, what, "mlp_bias", &h->mlp_bias, NULL);
    return status;
}

static lckv_status read_architecture(const struct json_value *config, struct hparams *h)
{
    struct text type = {"", 0};
    lckv_status status = json_get_text(config, CONFIG, "model_type", &type, NULL);
    if (status != LCKV_OK)
        return status;
    h->architecture = architecture_from_hf(type);
    if (h->architecture == NULL)
        return fail(LCKV_UNSUPPORTED, CONFIG ": model_type %s; expected llama or lckv-llama",
                    quoted(type.bytes, type.length).text);
    return LCKV_OK;
}

/* A member that changes the computation in a way that the forward pass does not know. */
static lckv_status refuse_unless(const struct json_value *object, const char *key, double neutral)
{
    double value = neutral;
    lckv_status status = json_get_f64(object, CONFIG, key, &value, NULL);
    if (status == LCKV_OK && fabs(value - neutral) > 1e-6 * fabs(neutral))
        status = fail(LCKV_UNSUPPORTED, CONFIG ": %s is %g; expected %g, as without it", key, value,
                      neutral);
    return status;
}

/* What related models add to the configuration of this one: ignored, it would give wrong logits. */
static lckv_status check_unsupported(const struct json_value *config, const struct hparams *h)
{
    const struct {
        const char *key;
        double neutral;
    } factors[] = {
        {"partial_rotary_factor", 1},
        {"embedding_multiplier", 1},
        {"residual_multiplier", 1},
        {"logit_scale", 1},
        {"logits_scaling", 1},
        {"attention_multiplier", h->head_dim != 0 ? 1 / sqrt((double)h->head_dim) : 1},
        {"query_pre_attn_scalar", (double)h->head_dim},
    };
    static const char *const members[] = {"quantization_config", "final_logit_softcapping",
                                          "attn_logit_softcapping"};
    const struct json_value *rope = NULL;
    lckv_status status = json_get_object(config, CONFIG, "rope_parameters", &rope);
    if (status == LCKV_OK && rope != NULL)
        status = refuse_unless(rope, "partial_rotary_factor", 1);
    for (size_t i = 0; status == LCKV_OK && i < sizeof factors / sizeof factors[0]; i++)
        status = refuse_unless(config, factors[i].key, factors[i].neutral);
    for (size_t i = 0; status == LCKV_OK && i < sizeof members / sizeof members[0]; i++) {
        const struct json_value *member = json_find(config, members[i]);
        if (member != NULL && !json_is(member, JSON_NULL))
            status = fail(LCKV_UNSUPPORTED, CONFIG " has %s, which lckv does not know", members[i]);
    }
    return status;
}

/* The last part of the directory's path. */
static lckv_status name_of_directory(struct checkpoint *checkpoint, struct text *name)
{
    const char *path = checkpoint->name;
    size_t end = strlen(path);
    while (end > 0 && path[end - 1] == '/')
        end--;
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/')
        begin--;
    *name = (struct text){path + begin, end - begin};
    return keep_text(checkpoint, name);
}

lckv_status hparams_from_config(struct checkpoint *checkpoint, struct hparams *h)
{
    struct json_document document;
    lckv_status status = json_parse(checkpoint->config.bytes, checkpoint->config.length, CONFIG,
                                    &checkpoint->arena.allocator, &document);
    if (status != LCKV_OK)
        return fail_in(status, "%s", checkpoint->name);
    const struct json_value *config = document.root;
    if (!json_is(config, JSON_OBJECT))
        status = fail(LCKV_BAD_FORMAT, CONFIG " is not an object");
    if (status == LCKV_OK)
        status = read_architecture(config, h);
    if (status == LCKV_OK)
        status = read_shape(config, h);
    if (status == LCKV_OK)
        status = read_rope(config, h);
    if (status == LCKV_OK)
        status = read_plan(checkpoint, config, h);
    if (status == LCKV_OK)
        status = read_window(config, h);
    if (status == LCKV_OK)
        status = read_rest(config, h);
    if (status == LCKV_OK)
        status = check_unsupported(config, h);
    if (status == LCKV_OK)
        status = name_of_directory(checkpoint, &h->name);
    json_release(&document);
    return status == LCKV_OK ? status : fail_in(status, "%s", checkpoint->name);
}
