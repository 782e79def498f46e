/*
 * What config.json says about the model of text. In most directories its members are those of
 * config.json; where the model has other parts, too, as for images, they stand in text_config.
 */
#ifndef LCKV_MODEL_TEXT_CONFIG_H
#define LCKV_MODEL_TEXT_CONFIG_H

#include "base/checked.h"
#include "format/checkpoint.h"
#include "format/json.h"
#include "model/architecture.h"

struct text_config {
    const struct architecture *architecture;
    const char *architecture_name; /* the one of its names that the file uses */
    /* The members of the text model, with those that it may lack. */
    const struct json_value *members;
    const struct json_value *outer; /* all of config.json, if the members stand in text_config */
    struct json_document document, defaults;
    struct json_value *nodes; /* of members, where some were lacking */
    size_t n_nodes;
};

/* text_config_close may be called after a failure, too. */
CHECKED lckv_status text_config_open(const struct checkpoint *checkpoint,
                                     struct text_config *config);
void text_config_close(struct text_config *config);

/* Puts text_config into a message about a member that stands there. Returns `status`. */
CHECKED lckv_status text_config_name(const struct text_config *config, lckv_status status);

#endif
