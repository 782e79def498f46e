/*
 * The small files of a Hugging Face directory. See hf_texts.h.
 */
#include "format/hf_texts.h"

#include "base/status.h"
#include "format/json.h"
#include "format/stand_in.h"

#include <string.h>
#include <sys/stat.h>

#define CHAT_TEMPLATE "chat_template.jinja"
#define SENTENCEPIECE "tokenizer.model"

lckv_status hf_path(struct checkpoint *checkpoint, const char *directory, const char *name,
                    const char **path)
{
    size_t length = strlen(directory);
    while (length > 1 && directory[length - 1] == '/')
        length--;
    size_t name_length = strlen(name);
    char *joined = NULL;
    lckv_status status =
        arena_alloc(&checkpoint->arena, length + name_length + 2, 1, "a path", &joined);
    if (status != LCKV_OK)
        return status;
    memcpy(joined, directory, length);
    joined[length] = '/';
    memcpy(joined + length + 1, name, name_length + 1);
    *path = joined;
    return LCKV_OK;
}

bool hf_has(const char *path)
{
    struct stat facts;
    return lstat(path, &facts) == 0;
}

/* Some files are no JSON: a template begins with any character, most often with that of a tag. */
static lckv_status refuse_stand_in(const char *name, const char *path, const char *bytes,
                                   size_t length)
{
    bool is_json = strcmp(name, CHAT_TEMPLATE) != 0 && strcmp(name, SENTENCEPIECE) != 0;
    return !is_json ? stand_in_refuse_template(path, bytes, length)
                    : stand_in_refuse_text(path, bytes, length);
}

/* Leaves `text` alone if there is no such file. */
static lckv_status read_text(struct checkpoint *checkpoint, const char *directory, const char *name,
                             struct text *text)
{
    const char *path;
    lckv_status status = hf_path(checkpoint, directory, name, &path);
    if (status != LCKV_OK || !hf_has(path))
        return status;
    char *bytes = NULL;
    size_t length = 0;
    status = file_read_all(path, JSON_MAX_BYTES, &checkpoint->arena.allocator, &bytes, &length);
    if (status != LCKV_OK)
        return status;
    if (length == 0)
        status = fail(LCKV_BAD_FORMAT, "%s: is empty: download the file again", path);
    else
        status = refuse_stand_in(name, path, bytes, length);
    if (status == LCKV_OK)
        status = arena_copy(&checkpoint->arena, bytes, length, &text->bytes);
    memory_free(&checkpoint->arena.allocator, bytes, length + 1, 1);
    if (status == LCKV_OK)
        text->length = length;
    return status;
}

/* Fails if the directory has a tokenizer in a file of another kind. */
static lckv_status refuse_other_tokenizers(struct checkpoint *checkpoint, const char *directory)
{
    static const char *const names[] = {"vocab.json", "tekken.json"};
    lckv_status status = LCKV_OK;
    for (size_t i = 0; status == LCKV_OK && i < sizeof names / sizeof names[0]; i++) {
        const char *path;
        status = hf_path(checkpoint, directory, names[i], &path);
        if (status == LCKV_OK && hf_has(path))
            status = fail(LCKV_UNSUPPORTED,
                          "%s has a %s but no tokenizer.json, which lckv reads: write it with "
                          "transformers (AutoTokenizer.from_pretrained, save_pretrained)",
                          directory, names[i]);
    }
    return status;
}

/* Reads the tokenizer's files. No model needs them: if one is unusable, the reason is kept. */
static lckv_status read_tokenizer(struct checkpoint *checkpoint, const char *directory)
{
    const struct {
        const char *name;
        struct text *text;
    } files[] = {
        {"tokenizer.json", &checkpoint->tokenizer},
        {"tokenizer_config.json", &checkpoint->tokenizer_config},
        {"special_tokens_map.json", &checkpoint->special_tokens_map},
        {CHAT_TEMPLATE, &checkpoint->chat_template},
    };
    lckv_status status = LCKV_OK;
    for (size_t i = 0; status == LCKV_OK && i < sizeof files / sizeof files[0]; i++)
        status = read_text(checkpoint, directory, files[i].name, files[i].text);
    if (status == LCKV_OK && checkpoint->tokenizer.bytes == NULL)
        status = read_text(checkpoint, directory, SENTENCEPIECE, &checkpoint->sentencepiece);
    if (status == LCKV_OK && checkpoint->tokenizer.bytes == NULL &&
        checkpoint->sentencepiece.bytes == NULL)
        status = refuse_other_tokenizers(checkpoint, directory);
    if (status == LCKV_OK || status == LCKV_OUT_OF_MEMORY)
        return status;
    const char *reason = status_message();
    return arena_copy(&checkpoint->arena, reason, strlen(reason), &checkpoint->no_tokenizer);
}

static lckv_status fail_without_config(const char *directory)
{
    return fail(LCKV_IO,
                "no config.json in %s, expected a Hugging Face model directory or the path of a "
                "GGUF file",
                directory);
}

lckv_status hf_read_texts(struct checkpoint *checkpoint, const char *directory)
{
    lckv_status status = read_text(checkpoint, directory, "config.json", &checkpoint->config);
    if (status == LCKV_OK && checkpoint->config.bytes == NULL && !checkpoint->weights_optional)
        status = fail_without_config(directory);
    if (status == LCKV_OK)
        status = read_text(checkpoint, directory, "generation_config.json",
                           &checkpoint->generation_config);
    if (status == LCKV_OK)
        status = read_tokenizer(checkpoint, directory);
    /* Without weights, a tokenizer is worth opening by itself. */
    if (status == LCKV_OK && checkpoint->config.bytes == NULL &&
        checkpoint->tokenizer.bytes == NULL)
        status = fail_without_config(directory);
    return status;
}
