/*
 * Finds the text model's part of config.json. See text_config.h.
 */
#include "model/text_config.h"

#include "base/status.h"
#include "base/text.h"

#include <string.h>

#define CONFIG "config.json"
#define PART "text_config"

/* The part says what it is, too; if it does, that must be what belongs to the whole. */
static lckv_status find_part(struct text_config *config, struct text type)
{
    const struct json_value *root = config->document.root;
    struct text part_type = {"", 0};
    bool found = false;
    config->architecture = architecture_from_outer(type);
    if (config->architecture == NULL)
        return fail(LCKV_UNSUPPORTED, CONFIG ": model_type %s; expected %s",
                    quoted(type.bytes, type.length).text, architecture_names(false).text);
    lckv_status status = json_get_object(root, CONFIG, PART, &config->members);
    if (status == LCKV_OK && config->members == NULL)
        status = fail(LCKV_BAD_FORMAT, CONFIG " has no " PART);
    if (status == LCKV_OK)
        status = json_get_text(config->members, CONFIG ": " PART, "model_type", &part_type, &found);
    if (status == LCKV_OK && found && !text_equals(part_type, config->architecture->hf_model_type))
        status = fail(LCKV_UNSUPPORTED, CONFIG ": " PART ": model_type %s; expected %s",
                      quoted(part_type.bytes, part_type.length).text,
                      config->architecture->hf_model_type);
    config->outer = root;
    config->architecture_name = config->architecture->gguf_name;
    return status;
}

static lckv_status find_members(struct text_config *config)
{
    const struct json_value *root = config->document.root;
    struct text type = {"", 0};
    if (!json_is(root, JSON_OBJECT))
        return fail(LCKV_BAD_FORMAT, CONFIG " is not an object");
    lckv_status status = json_get_text(root, CONFIG, "model_type", &type, NULL);
    if (status != LCKV_OK)
        return status;
    config->architecture = architecture_from_hf(type);
    if (config->architecture == NULL)
        return find_part(config, type);
    config->members = root;
    config->architecture_name = architecture_name(config->architecture, type);
    return LCKV_OK;
}

static lckv_status add_defaults(struct text_config *config, const lckv_allocator *allocator)
{
    const char *defaults = config->architecture->hf_defaults;
    if (defaults == NULL)
        return LCKV_OK;
    lckv_status status = json_parse(defaults, strlen(defaults), "the defaults of " CONFIG,
                                    allocator, &config->defaults);
    if (status == LCKV_OK)
        status = json_complete(config->members, config->defaults.root, allocator, &config->nodes,
                               &config->n_nodes);
    if (status == LCKV_OK)
        config->members = config->nodes;
    return status;
}

lckv_status text_config_open(const struct checkpoint *checkpoint, struct text_config *config)
{
    const struct text *text = &checkpoint->config;
    const lckv_allocator *allocator = &checkpoint->arena.allocator;
    *config = (struct text_config){.architecture = NULL};
    lckv_status status =
        json_parse(text->bytes, text->length, CONFIG, allocator, &config->document);
    if (status == LCKV_OK)
        status = find_members(config);
    return status == LCKV_OK ? add_defaults(config, allocator) : status;
}

void text_config_close(struct text_config *config)
{
    if (config->nodes != NULL)
        memory_free(&config->document.allocator, config->nodes, config->n_nodes,
                    sizeof *config->nodes);
    json_release(&config->defaults);
    json_release(&config->document);
}

lckv_status text_config_name(const struct text_config *config, lckv_status status)
{
    const size_t length = sizeof CONFIG - 1;
    const char *said = status_message();
    const bool names_it = strncmp(said, CONFIG, length) == 0;
    return config->outer != NULL && names_it ? fail(status, CONFIG ": " PART "%s", said + length)
                                             : status;
}
