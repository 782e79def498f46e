/*
 * The keys of GGUF metadata that begin with the name of an architecture.
 */
#ifndef LCKV_MODEL_HPARAMS_KEY_H
#define LCKV_MODEL_HPARAMS_KEY_H

#define HPARAMS_KEY_BYTES 128

/* Makes the key of GGUF metadata that is "<architecture>.<suffix>", and returns it. */
const char *hparams_key(const char *architecture, const char *suffix, char key[HPARAMS_KEY_BYTES]);

#endif
