/*
 * lckv info shows what a model is, what its plan saves, and its metadata.
 */
#include "commands.h"
#include "common_options.h"
#include "json.h"
#include "remarks.h"
#include "report.h"
#include "setup.h"
#include "show.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A metadata value from malloc; NULL after a complaint. */
static char *metadata_value(const lckv_model *model, const char *key, size_t *length)
{
    lckv_status status = lckv_model_metadata(model, key, NULL, 0, length);
    if (status != LCKV_OK && status != LCKV_BUFFER_TOO_SMALL) {
        fail_library();
        return NULL;
    }
    char *text = malloc(*length + 1);
    if (text == NULL)
        fail_memory();
    else if (lckv_model_metadata(model, key, text, *length + 1, length) != LCKV_OK) {
        fail_library();
        free(text);
        return NULL;
    }
    return text;
}

enum { SHOWN = 60 }; /* the most bytes of a value that are shown */

/* At most SHOWN bytes, and no half character at the end of them. */
static size_t shown_length(const char *value, size_t length)
{
    if (length <= SHOWN)
        return length;
    size_t end = SHOWN;
    while (end > SHOWN - 3 && ((unsigned char)value[end] & 0xc0) == 0x80)
        end--;
    return end;
}

static int print_metadata(const lckv_model *model, struct json *json)
{
    const char *key;
    for (size_t i = 0; (key = lckv_model_metadata_key(model, i)) != NULL; i++) {
        size_t length = 0;
        char *value = metadata_value(model, key, &length);
        if (value == NULL)
            return EXIT_FAILURE;
        if (json != NULL) {
            json_begin_object(json);
            json_add_string(json, "key", key);
            json_add_text(json, "value", value, length);
            json_end_object(json);
        } else {
            printf("  %s = ", shown(key).text);
            show_line(stdout, value, shown_length(value, length));
            if (length > SHOWN)
                printf(" ... (%zu bytes)", length);
            putchar('\n');
        }
        free(value);
    }
    return EXIT_SUCCESS;
}

/* All that info knows about a model. */
struct facts {
    const lckv_model *model;
    lckv_model_info info;
    bool has_plan; /* if not, the members below are not set, and the shape is not known */
    lckv_plan_info plan;
    lckv_memory_report memory; /* f16 keys and values at context_length tokens */
    char *plan_text;
    char *picture;
    const struct remarks *remarks;
};

static const char *precision_name(lckv_precision precision)
{
    return precision == LCKV_PRECISION_FULL ? "full" : "fast";
}

static const char *placement(const lckv_model_info *info)
{
    if (info->ring_bytes != 0)
        return "streamed";
    if (info->is_mapped)
        return "mapped: the file is packed for this kernel set";
    return info->is_repacked ? "in memory, repacked: the file is packed for another kernel set"
                             : "in memory";
}

static void print_weights(const lckv_model_info *info)
{
    if (info->n_parameters == 0) {
        printf("weights          none\n");
        return;
    }
    printf("parameters       %.1f million\n", (double)info->n_parameters / 1e6);
    if (info->problem == NULL)
        printf("weights          %s, %s %s\n", info->weight_dtypes,
               human_bytes(info->weight_bytes - info->table_bytes).text, placement(info));
    else
        printf("weights          %s\n", info->weight_dtypes);
    if (info->table_bytes != 0)
        printf("layer embeddings %s %s, of which a token reads one row\n",
               human_bytes(info->table_bytes).text,
               info->is_table_mapped ? "mapped from the file" : "in memory");
    if (info->ring_bytes != 0)
        printf("ring             %s for what is streamed, %s that stay\n",
               human_bytes(info->ring_bytes).text, human_bytes(info->resident_bytes).text);
}

/* What is known of a model whose plan is known. */
static void print_shape(const struct facts *facts)
{
    const lckv_model_info *info = &facts->info;
    const lckv_memory_report *memory = &facts->memory;
    printf("layers           %" PRIu32 "\n", info->n_layers);
    printf("hidden size      %" PRIu32 ", MLP %" PRIu32 "\n", info->hidden_size,
           info->intermediate_size);
    printf("heads            %" PRIu32 ", %" PRIu32 " for keys and values, of %" PRIu32 "\n",
           info->n_heads, info->n_kv_heads, info->head_dim);
    printf("vocabulary       %" PRIu32 "%s%s\n", info->n_vocab, info->is_tied ? ", tied" : "",
           info->has_tokenizer ? "" : ", no tokenizer");
    printf("context          %" PRIu32 " tokens in training\n", info->context_length);
    if (info->rms_norm_eps > 0) { /* if not, only the shape of the cache is known */
        printf("rope theta       %g\n", (double)info->rope_theta);
        printf("norm epsilon     %g\n", (double)info->rms_norm_eps);
    }
    printf("kernel set       %s, precision %s\n", info->kernel_set,
           precision_name(info->precision));
    printf("plan             %s\n", facts->plan_text);
    printf("slots            %" PRIu32 " of %" PRIu32 " layers compute keys and values\n",
           facts->plan.n_slots, facts->plan.n_layers);
    if (info->sliding_window != 0)
        printf("sliding window   %" PRIu32 " tokens\n", info->sliding_window);
    if (facts->plan.n_upward != 0)
        printf("passes           %" PRIu32 " forward, %" PRIu32 " backward (prefill iterated)%s\n",
               info->forward_passes, info->backward_passes,
               info->use_sequential ? ", sequential asked for" : "");
    if (info->force_nodiag)
        printf("no diagonal      tokens do not attend to themselves\n");
    printf("KV per token     %" PRIu64 " bytes in f16; standard plan %" PRIu64 " (%.2f times)\n",
           memory->bytes_per_token, memory->standard_bytes_per_token,
           (double)memory->standard_bytes_per_token / (double)memory->bytes_per_token);
    if (facts->plan.n_windowed_slots > 0)
        printf("                 %" PRIu64 " of them in slots that keep all tokens\n",
               memory->full_bytes_per_token);
    printf("\n%s", facts->picture);
    size_t length = strlen(facts->picture);
    if (length == 0 || facts->picture[length - 1] != '\n')
        putchar('\n');
}

static int print_text(const struct facts *facts, bool with_metadata)
{
    const lckv_model_info *info = &facts->info;
    printf("name             %s\n", info->name[0] != '\0' ? shown(info->name).text : "(none)");
    printf("architecture     %s\n",
           info->architecture[0] != '\0' ? shown(info->architecture).text : "(none)");
    if (info->problem != NULL) {
        printf("does not run     ");
        show_line(stdout, info->problem, strlen(info->problem));
        putchar('\n');
    }
    print_weights(info);
    if (facts->has_plan)
        print_shape(facts);
    else
        printf("vocabulary       %" PRIu32 "%s\n", info->n_vocab,
               info->has_tokenizer ? "" : ", no tokenizer");
    remarks_print(facts->remarks, "\nnot used, or not understood\n");
    if (!with_metadata)
        return EXIT_SUCCESS;
    printf("\nmetadata\n");
    return print_metadata(facts->model, NULL);
}

static void add_plan(struct json *json, const struct facts *facts)
{
    json_add_string(json, "plan", facts->plan_text);
    json_add_bool(json, "is_standard", facts->plan.is_standard);
    json_add_unsigned(json, "n_slots", facts->plan.n_slots);
    json_add_unsigned(json, "n_windowed_slots", facts->plan.n_windowed_slots);
    json_add_unsigned(json, "n_upward", facts->plan.n_upward);
    json_add_unsigned(json, "kv_bytes_per_token", facts->memory.bytes_per_token);
    json_add_unsigned(json, "full_kv_bytes_per_token", facts->memory.full_bytes_per_token);
    json_add_unsigned(json, "standard_kv_bytes_per_token", facts->memory.standard_bytes_per_token);
}

static int print_json(const struct facts *facts, bool with_metadata)
{
    const lckv_model_info *info = &facts->info;
    struct json json = json_open(stdout);
    json_add_string(&json, "name", info->name);
    json_add_string(&json, "architecture", info->architecture);
    json_key(&json, "problem");
    if (info->problem != NULL)
        json_string(&json, info->problem);
    else
        json_spelled(&json, "null", strlen("null"));
    json_add_unsigned(&json, "n_parameters", info->n_parameters);
    json_add_string(&json, "weight_types", info->weight_dtypes);
    json_add_unsigned(&json, "weight_bytes", info->weight_bytes);
    json_add_bool(&json, "is_mapped", info->is_mapped);
    json_add_bool(&json, "is_repacked", info->is_repacked);
    json_add_unsigned(&json, "resident_bytes", info->resident_bytes);
    json_add_unsigned(&json, "ring_bytes", info->ring_bytes);
    json_add_unsigned(&json, "table_bytes", info->table_bytes);
    json_add_bool(&json, "is_table_mapped", info->is_table_mapped);
    json_add_unsigned(&json, "n_layers", info->n_layers);
    json_add_unsigned(&json, "n_vocab", info->n_vocab);
    json_add_unsigned(&json, "hidden_size", info->hidden_size);
    json_add_unsigned(&json, "intermediate_size", info->intermediate_size);
    json_add_unsigned(&json, "n_heads", info->n_heads);
    json_add_unsigned(&json, "n_kv_heads", info->n_kv_heads);
    json_add_unsigned(&json, "head_dim", info->head_dim);
    json_add_unsigned(&json, "context_length", info->context_length);
    json_add_float(&json, "rope_theta", info->rope_theta);
    json_add_float(&json, "rms_norm_eps", info->rms_norm_eps);
    json_add_bool(&json, "is_tied", info->is_tied);
    json_add_bool(&json, "has_tokenizer", info->has_tokenizer);
    json_add_string(&json, "kernel_set", info->kernel_set);
    json_add_string(&json, "precision", precision_name(info->precision));
    json_add_unsigned(&json, "sliding_window", info->sliding_window);
    json_add_unsigned(&json, "forward_passes", info->forward_passes);
    json_add_unsigned(&json, "backward_passes", info->backward_passes);
    json_add_bool(&json, "use_sequential", info->use_sequential);
    json_add_bool(&json, "force_nodiag", info->force_nodiag);
    if (facts->has_plan)
        add_plan(&json, facts);
    json_key(&json, "remarks");
    json_begin_array(&json);
    remarks_add(facts->remarks, &json);
    json_end_array(&json);
    int status = EXIT_SUCCESS;
    if (with_metadata) {
        json_key(&json, "metadata");
        json_begin_array(&json);
        status = print_metadata(facts->model, &json);
        json_end_array(&json);
    }
    json_close(&json);
    return status;
}

/* Fills in what follows from the plan. */
static int read_plan(struct facts *facts, const lckv_plan *plan)
{
    const struct cache_settings cache = {.kv_types = KV_TYPES_DEFAULT};
    if (lckv_plan_get_info(plan, &facts->plan) != LCKV_OK)
        return fail_library();
    facts->has_plan = true;
    facts->plan_text = plan_string(plan, lckv_plan_text);
    facts->picture = plan_string(plan, lckv_plan_describe);
    if (facts->plan_text == NULL || facts->picture == NULL)
        return EXIT_FAILURE;
    return model_memory(facts->model, &cache, facts->info.context_length, &facts->memory);
}

static int show(const lckv_model *model, const struct remarks *remarks, bool as_json,
                bool with_metadata)
{
    struct facts facts = {.model = model,
                          .info = {.size = sizeof facts.info},
                          .plan = {.size = sizeof facts.plan},
                          .remarks = remarks};
    const lckv_plan *plan = lckv_model_plan(model);
    if (lckv_model_get_info(model, &facts.info) != LCKV_OK)
        return fail_library();
    int status = plan != NULL ? read_plan(&facts, plan) : EXIT_SUCCESS;
    if (status == EXIT_SUCCESS)
        status = as_json ? print_json(&facts, with_metadata) : print_text(&facts, with_metadata);
    free(facts.plan_text);
    free(facts.picture);
    return status;
}

int cmd_info(int argc, char **argv)
{
    struct remarks remarks = {0};
    struct model_settings settings = {.log_user = &remarks};
    bool as_json = false, with_metadata = false;
    struct command_line line = {
        .command = "info",
        .description =
            "Shows what a model is: its shape, its layer plan and the KV memory of a token, and\n"
            "which of its keys and tensors are not used. MODEL is a GGUF file or a Hugging Face\n"
            "directory, also one that holds a vocabulary only or that lckv cannot run.",
        .examples = "lckv info model.gguf\n"
                    "lckv info --json --metadata model.gguf",
    };
    add_argument(&line, "MODEL", &settings.path);
    add_flag(&line, "--metadata", &with_metadata, "show the file's metadata too");
    add_model_options(&line, &settings);
    add_json(&line, &as_json);
    int status;
    if (!options_parse(&line, argc, argv, &status))
        return status;
    lckv_model *model = NULL;
    settings.without_weights = !settings.stream_weights;
    status = open_model(&settings, remarks_take, &model);
    if (status == EXIT_SUCCESS)
        status = remarks_complete(&remarks) ? show(model, &remarks, as_json, with_metadata)
                                            : fail_memory();
    lckv_model_release(model);
    remarks_release(&remarks);
    return status;
}
