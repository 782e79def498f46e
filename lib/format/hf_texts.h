/*
 * Finds the files of a Hugging Face directory, and reads the small ones without looking into them.
 */
#ifndef LCKV_FORMAT_HF_TEXTS_H
#define LCKV_FORMAT_HF_TEXTS_H

#include "base/checked.h"
#include "format/checkpoint.h"

/* "<directory>/<name>", in the checkpoint's arena. */
CHECKED lckv_status hf_path(struct checkpoint *checkpoint, const char *directory, const char *name,
                            const char **path);

/* Whether anything of that name exists, even a link that leads nowhere. */
CHECKED bool hf_has(const char *path);

/*
 * Reads config.json, which must exist (unless the weights are optional and there is a tokenizer),
 * and generation_config.json and the tokenizer's files, which may be missing. What is wrong with
 * the tokenizer's files becomes checkpoint->no_tokenizer.
 */
CHECKED lckv_status hf_read_texts(struct checkpoint *checkpoint, const char *directory);

#endif
