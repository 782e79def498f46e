/*
 * Hyperparameters from config.json.
 */
#include "model/hparams_sources.h"

#include "base/status.h"
#include "base/text.h"
#include "format/json.h"
#include "model/architecture.h"
#include "model/config_check.h"
#include "model/hparams_kinds.h"
#include "model/hparams_plan.h"
#include "model/text_config.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG "config.json"

/* Copies a text that points into JSON, so that it outlives the JSON. */
static lckv_status keep_text(struct checkpoint *checkpoint, struct text *text)
{
    return arena_copy(&checkpoint->arena, text->bytes, text->length, &text->bytes);
}

/* Which layers rotate as layers with a window do: their kinds must be told. */
static lckv_status list_ropes(const struct json_value *config, const struct hparams *h,
                              uint32_t *ropes)
{
    bool found = false, sliding[PLAN_MAX_LAYERS] = {false};
    lckv_status status = hparams_kinds_from_config(config, h, sliding, &found);
    if (status == LCKV_OK && !found)
        status = fail(LCKV_BAD_FORMAT,
                      CONFIG ": layer_types; expected a list of %u kinds of layers", h->n_layers);
    for (uint32_t i = 0; i < h->n_layers; i++)
        ropes[i] = sliding[i];
    return status;
}

/* Which layers do not rotate: those that have 0 in a list, or one in each interval. */
static lckv_status list_unrotated(const struct json_value *config, const struct hparams *h,
                                  uint32_t *ropes)
{
    uint32_t rotates[PLAN_MAX_LAYERS], interval = h->architecture->unrotated_interval;
    bool found = false;
    const struct json_value *list = NULL;
    lckv_status status = json_get_array(config, CONFIG, "no_rope_layers", &list);
    if (status == LCKV_OK && list != NULL)
        status = json_get_u32s(config, CONFIG, "no_rope_layers", rotates, h->n_layers, &found);
    if (status == LCKV_OK)
        status = json_get_u32(config, CONFIG, "no_rope_layer_interval", &interval, NULL);
    if (status == LCKV_OK && !found && interval == 0)
        status = fail(LCKV_BAD_FORMAT, CONFIG ": no_rope_layer_interval is 0; expected a number of "
                                              "layers");
    for (uint32_t i = 0; status == LCKV_OK && i < h->n_layers; i++)
        ropes[i] = found ? rotates[i] == 0 : (i + 1) % interval == 0;
    return status;
}

/* Layers that share keys and values may have an MLP twice as wide. */
static lckv_status widen_sharing_layers(const struct json_value *config, const struct hparams *h,
                                        uint32_t *intermediate_size)
{
    bool widens = false;
    uint32_t n_sharing = 0;
    lckv_status status = json_get_bool(config, CONFIG, "use_double_wide_mlp", &widens, NULL);
    if (status == LCKV_OK)
        status = json_get_u32(config, CONFIG, "num_kv_shared_layers", &n_sharing, NULL);
    if (!widens || n_sharing >= h->n_layers) /* the latter is refused as a plan */
        return status;
    for (uint32_t i = h->n_layers - n_sharing; i < h->n_layers; i++) {
        if (intermediate_size[i] <= HPARAMS_MAX_INTERMEDIATE) /* else it is refused */
            intermediate_size[i] *= 2;
    }
    return status;
}

static lckv_status read_layer_inputs(const struct json_value *config, struct hparams *h)
{
    const bool may_be_fewer = h->architecture->input_vocabulary != 0;
    uint32_t n_tokens = hparams_usual_input_tokens(h);
    lckv_status status =
        json_get_u32(config, CONFIG, "hidden_size_per_layer_input", &h->layer_input_size, NULL);
    if (status == LCKV_OK && h->layer_input_size > 0)
        status = json_get_u32(config, CONFIG, "vocab_size_per_layer_input", &n_tokens, NULL);
    if (status == LCKV_OK &&
        (may_be_fewer ? n_tokens == 0 || n_tokens > h->n_vocab : n_tokens != h->n_vocab))
        status = fail(LCKV_UNSUPPORTED,
                      CONFIG ": vocab_size_per_layer_input is %u; expected %svocab_size, %u",
                      n_tokens, may_be_fewer ? "1 to " : "", h->n_vocab);
    h->n_input_rows = h->n_input_tokens = n_tokens;
    return status;
}

/* What layers may have in common, or each for itself. */
static lckv_status read_layers(struct checkpoint *checkpoint, const struct json_value *config,
                               uint32_t head_dim, struct hparams *h)
{
    struct layer_lists lists;
    bool found = false;
    lckv_status status = layer_lists_begin(&lists, h, head_dim);
    if (status != LCKV_OK)
        return fail_in(status, CONFIG);
    status = json_get_u32s(config, CONFIG, "intermediate_size", lists.intermediate_size,
                           h->n_layers, &found);
    if (status == LCKV_OK && !found)
        status = fail(LCKV_BAD_FORMAT, CONFIG " has no intermediate_size");
    if (status == LCKV_OK)
        status = json_get_u32s(config, CONFIG, "num_key_value_heads", lists.n_kv_heads, h->n_layers,
                               NULL);
    if (status == LCKV_OK && h->architecture->ropes_by_window)
        status = list_ropes(config, h, lists.rope);
    if (status == LCKV_OK && h->architecture->unrotated_interval != 0)
        status = list_unrotated(config, h, lists.rope);
    if (status == LCKV_OK && h->architecture->heads_by_window)
        status = hparams_heads_from_config(config, h, &lists);
    if (status == LCKV_OK && h->architecture->heads_by_window)
        status = widen_sharing_layers(config, h, lists.intermediate_size);
    if (status == LCKV_OK && h->architecture->inputs_by_layer)
        status = read_layer_inputs(config, h);
    if (status == LCKV_OK && h->architecture->altup)
        status = hparams_altup_from_config(config, h, &lists);
    return status == LCKV_OK ? layer_lists_end(&lists, checkpoint, h) : status;
}

static lckv_status read_shape(struct checkpoint *checkpoint, const struct json_value *config,
                              struct hparams *h)
{
    uint32_t head_dim = 0;
    const struct {
        const char *key;
        uint32_t *value;
        bool required;
    } members[] = {
        {"num_hidden_layers", &h->n_layers, true},
        {"vocab_size", &h->n_vocab, true},
        {"hidden_size", &h->hidden_size, true},
        {"num_attention_heads", &h->n_heads, true},
        {"head_dim", &head_dim, false},
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
    if (head_dim == 0 && h->n_heads != 0)
        head_dim = h->hidden_size / h->n_heads;
    h->ropes[0].n_rotated = head_dim;
    return read_layers(checkpoint, config, head_dim, h);
}

/*
 * If the key is absent, a model whose own plan has windows gets the published default; about the
 * windows of a plan that the caller gives, the file says nothing. Null means no window, which a
 * plan with windows does not allow.
 */
static lckv_status read_window(const struct json_value *config, struct hparams *h)
{
    if (json_find(config, "sliding_window") == NULL) {
        h->sliding_window = hparams_has_windows(h) ? HPARAMS_SLIDING_WINDOW : 0;
        return LCKV_OK;
    }
    return json_get_u32(config, CONFIG, "sliding_window", &h->sliding_window, NULL);
}

static lckv_status read_rest(const struct json_value *config, struct hparams *h)
{
    const char *what = CONFIG;
    double epsilon = (double)h->rms_norm_eps;
    lckv_status status = json_get_f64(config, what, "rms_norm_eps", &epsilon, NULL);
    h->rms_norm_eps = (float)epsilon;
    h->tie_embeddings = h->architecture->default_tied;
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

/* The last part of a path, without slashes at the end. */
static struct text last_part(const char *path, size_t length)
{
    size_t end = length;
    while (end > 0 && path[end - 1] == '/')
        end--;
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/')
        begin--;
    return (struct text){path + begin, end - begin};
}

/* The name of the directory with the weights, however its path is written. */
static lckv_status name_of_directory(struct checkpoint *checkpoint, struct text *name)
{
    char resolved[PATH_MAX];
    const char *file = checkpoint->n_files > 0 ? checkpoint->files[0].name : checkpoint->name;
    const char *slash = strrchr(file, '/');
    const char *directory = NULL;
    lckv_status status = arena_copy(&checkpoint->arena, slash != NULL ? file : ".",
                                    slash != NULL ? (size_t)(slash - file) : 1, &directory);
    if (status != LCKV_OK)
        return status;
    *name = last_part(directory, strlen(directory));
    bool by_place = text_equals(*name, ".") || text_equals(*name, "..");
    if (by_place && realpath(directory, resolved) != NULL)
        *name = last_part(resolved, strlen(resolved));
    return keep_text(checkpoint, name);
}

/* What the members of the text model say. */
static lckv_status read_members(struct checkpoint *checkpoint, const struct json_value *config,
                                struct hparams *h, const struct remarks *remarks)
{
    lckv_status status = read_shape(checkpoint, config, h);
    if (status == LCKV_OK)
        status = hparams_rope_from_config(config, h, remarks);
    if (status == LCKV_OK)
        status = hparams_plan_from_config(checkpoint, config, h);
    if (status == LCKV_OK)
        status = hparams_factors_from_config(checkpoint, config, h);
    if (status == LCKV_OK)
        status = read_window(config, h);
    if (status == LCKV_OK)
        status = read_rest(config, h);
    if (status == LCKV_OK)
        status = hparams_read_scales(config, NULL, h);
    return status == LCKV_OK ? config_check_json(config, h, remarks) : status;
}

/* What stands beside text_config and concerns the text model, too. */
static lckv_status read_outer(const struct text_config *config, struct hparams *h,
                              const struct remarks *remarks)
{
    static const char key[] = "tie_word_embeddings";
    bool ties = h->tie_embeddings, found = false;
    const struct json_value *inner = json_find(config->members, key);
    lckv_status status = json_get_bool(config->outer, CONFIG, key, &ties, &found);
    const bool is_inside = inner != NULL && !json_is(inner, JSON_NULL);
    if (status == LCKV_OK && found && ties != h->tie_embeddings && is_inside)
        status = fail(LCKV_UNSUPPORTED,
                      CONFIG ": %s is %s, but not in text_config; expected the same or one", key,
                      ties ? "true" : "false");
    h->tie_embeddings = ties;
    return status == LCKV_OK ? config_check_outer(config->outer, h, remarks) : status;
}

lckv_status hparams_from_config(struct checkpoint *checkpoint, struct hparams *h,
                                const struct remarks *remarks)
{
    struct text_config config;
    lckv_status status = text_config_open(checkpoint, &config);
    if (status == LCKV_OK) {
        h->architecture = config.architecture;
        h->architecture_name = config.architecture_name;
        h->has_other_parts = config.outer != NULL;
        status = read_members(checkpoint, config.members, h, remarks);
        if (status != LCKV_OK)
            status = text_config_name(&config, status);
    }
    if (status == LCKV_OK && config.outer != NULL)
        status = read_outer(&config, h, remarks);
    if (status == LCKV_OK)
        status = name_of_directory(checkpoint, &h->name);
    text_config_close(&config);
    return status == LCKV_OK ? status : fail_in(status, "%s", checkpoint->name);
}
