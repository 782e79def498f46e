/*
 * The keys of configurations: the members of config.json, those beside its text_config, and the
 * keys of GGUF behind "<architecture>." and "lckv.". Each has the rule that its value must follow.
 */
#ifndef LCKV_MODEL_CONFIG_KEYS_H
#define LCKV_MODEL_CONFIG_KEYS_H

#include "base/text.h"

enum key_rule {
    KEY_READ,       /* is read elsewhere in lib/ */
    KEY_NOTHING,    /* has no effect on the logits of a text */
    KEY_ONE,        /* must be 1: anything else is refused */
    KEY_OFF,        /* must be 0, false, null or empty */
    KEY_ON,         /* must be true */
    KEY_EXPERTS,    /* must be 0, false or null: else the model has experts */
    KEY_HEAD_DIM,   /* must be the head dimension */
    KEY_SCALE,      /* must be the inverse of the square root of the head dimension */
    KEY_IMAGES,     /* must be 0, false, null or "vision", which concerns images alone */
    KEY_ACTIVATION, /* must be the activation of the architecture */
    KEY_F8          /* must be a quantisation to F8_E4M3, which model/scales.h reads */
};

struct config_key {
    const char *name;
    enum key_rule rule;
};

enum key_place { KEYS_OF_JSON, KEYS_OF_OUTER_JSON, KEYS_OF_ARCHITECTURE, KEYS_OF_LCKV };

/* NULL if the key is not known. */
const struct config_key *config_key_find(enum key_place place, struct text name);

#endif
