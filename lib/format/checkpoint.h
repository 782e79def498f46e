/*
 * A checkpoint is named tensors in one or more files, and what describes them. GGUF files and
 * Hugging Face directories both become one when checkpoint_open.h opens them. model/ knows what the
 * names mean.
 */
#ifndef LCKV_FORMAT_CHECKPOINT_H
#define LCKV_FORMAT_CHECKPOINT_H

#include "base/checked.h"
#include "base/file.h"
#include "format/metadata.h"
#include "format/tensor.h"

enum checkpoint_kind { CHECKPOINT_GGUF, CHECKPOINT_HF };

struct checkpoint {
    enum checkpoint_kind kind;
    const char *name; /* the path, or "GGUF in memory" */
    struct arena arena;
    struct file *files;
    size_t n_files;
    struct tensor *tensors; /* sorted by name; no two alike */
    size_t n_tensors;
    struct metadata metadata;       /* of a GGUF file; otherwise empty */
    struct text config;             /* config.json of a Hugging Face directory; otherwise empty */
    struct text tokenizer;          /* tokenizer.json; length 0 where there is none */
    struct text sentencepiece;      /* tokenizer.model, read where there is no tokenizer.json */
    struct text tokenizer_config;   /* tokenizer_config.json; length 0 where there is none */
    struct text special_tokens_map; /* special_tokens_map.json, the same */
    struct text generation_config;  /* generation_config.json, the same */
    struct text chat_template;      /* chat_template.jinja, the same */
    const char *no_tokenizer;       /* why the tokenizer's files cannot be used, or NULL */
    bool weights_optional;          /* opened by checkpoint_open_description */
    const char *no_weights;         /* then, why there are no tensors, or NULL */
};

/* Empties a checkpoint: closes its files and releases its memory. */
void checkpoint_close(struct checkpoint *checkpoint);

/*
 * Closes the files; names, shapes, metadata, texts and what is mapped stay until checkpoint_close.
 */
void checkpoint_close_files(struct checkpoint *checkpoint);

/*
 * Takes the status with which reading the weights' files ended. If they are optional, a failure
 * becomes no_weights, and the checkpoint has no tensors.
 */
CHECKED lckv_status checkpoint_without_weights(struct checkpoint *checkpoint, lckv_status status);

const struct tensor *checkpoint_find(const struct checkpoint *checkpoint, const char *name);

/* LCKV_UNSUPPORTED, with the reason, if it has no tensors at all. */
CHECKED lckv_status checkpoint_check_weights(const struct checkpoint *checkpoint);

/* LCKV_UNSUPPORTED if the tensor cannot be read; the message says why. */
CHECKED lckv_status checkpoint_check(const struct checkpoint *checkpoint,
                                     const struct tensor *tensor);

/* Reads `length` bytes of the tensor's data from byte `begin` on. */
CHECKED lckv_status checkpoint_read(const struct checkpoint *checkpoint,
                                    const struct tensor *tensor, uint64_t begin, void *buffer,
                                    size_t length);

/* Whether the tensor lies in a file; a checkpoint in memory belongs to the caller. */
CHECKED bool checkpoint_can_map(const struct checkpoint *checkpoint, const struct tensor *tensor);

/* Maps the tensor's data; they stay until checkpoint_close. */
CHECKED lckv_status checkpoint_map(struct checkpoint *checkpoint, const struct tensor *tensor,
                                   const uint8_t **data);

#endif
