/*
 * The keys of configurations that some architectures compute with, while for the others they follow
 * the rules of config_keys.h.
 */
#ifndef LCKV_MODEL_ARCHITECTURE_KEYS_H
#define LCKV_MODEL_ARCHITECTURE_KEYS_H

#include "base/checked.h"
#include "base/text.h"
#include "model/architecture.h"

/* Whether the architecture computes with this key of such a file. */
CHECKED bool architecture_reads(const struct architecture *architecture, enum checkpoint_kind kind,
                                struct text key);

#endif
