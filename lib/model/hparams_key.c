/*
 * Makes keys of GGUF metadata. See hparams_key.h.
 */
#include "model/hparams_key.h"

#include <stdio.h>

const char *hparams_key(const char *architecture, const char *suffix, char key[HPARAMS_KEY_BYTES])
{
    snprintf(key, HPARAMS_KEY_BYTES, "%s.%s", architecture, suffix);
    return key;
}
