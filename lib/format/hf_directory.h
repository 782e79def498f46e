/*
 * The files of a Hugging Face model directory: which there are, and the small ones' text.
 */
#ifndef LCKV_FORMAT_HF_DIRECTORY_H
#define LCKV_FORMAT_HF_DIRECTORY_H

#include "format/checkpoint.h"

/* "<directory>/<name>", in the checkpoint's arena. */
lckv_status hf_directory_path(struct checkpoint *checkpoint, const char *directory,
                              const char *name, const char **path);

/* Whether anything of that name exists. */
bool hf_directory_has(const char *path);

/* Reads config.json, which must exist, and the tokenizer's files, which need not. */
lckv_status hf_directory_read_texts(struct checkpoint *checkpoint, const char *directory);

#endif
