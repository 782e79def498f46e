/*
 * The keys of configurations: config.json's members and GGUF's "<architecture>." and "lckv." keys,
 * each with the rule that its value must follow.
 */
#ifndef LCKV_MODEL_CONFIG_KEYS_H
#define LCKV_MODEL_CONFIG_KEYS_H

#include "base/text.h"

enum key_rule {
    KEY_READ,     /* read elsewhere in lib/ */
    KEY_NOTHING,  /* no effect on the logits of a text */
    KEY_ONE,      /* refused unless it is 1, */
    KEY_OFF,      /* 0, false, null or empty, */
    KEY_ON,       /* true, */
    KEY_HEAD_DIM, /* the head dimension, */
    KEY_SCALE,    /* the inverse of its square root, */
    KEY_SILU      /* or "silu" */
};

struct config_key {
    const char *name;
    enum key_rule rule;
};

enum key_place { KEYS_OF_JSON, KEYS_OF_ARCHITECTURE, KEYS_OF_LCKV };

/* NULL if the key is not known. */
const struct config_key *config_key_find(enum key_place place, struct text name);

#endif
