/*
 * The small files of a Hugging Face directory, read whole without looking into them; and where its
 * files are.
 */
#ifndef LCKV_FORMAT_HF_TEXTS_H
#define LCKV_FORMAT_HF_TEXTS_H

#include "base/checked.h"
#include "format/checkpoint.h"

/* "<directory>/<name>", in the checkpoint's arena. */
CHECKED lckv_status hf_path(struct checkpoint *checkpoint, const char *directory, const char *name,
                            const char **path);

/* Whether anything of that name exists, be it a link that leads nowhere. */
CHECKED bool hf_has(const char *path);

/*
 * Reads config.json, which must exist, generation_config.json and the tokenizer's files, which need
 * not. What is wrong with the tokenizer's becomes checkpoint->no_tokenizer.
 */
CHECKED lckv_status hf_read_texts(struct checkpoint *checkpoint, const char *directory);

#endif
