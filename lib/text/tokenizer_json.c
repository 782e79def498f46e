/*
 * Makes a tokenizer from a Hugging Face directory, which has a tokenizer.json or a tokenizer.model
 * (tokenizer_sentencepiece.c). Of tokenizer.json, tokenizer_model.c reads the model,
 * tokenizer_normalizer.c and tokenizer_pipeline.c what comes before it (tokenizer_spaced_json.c if
 * the vocabulary is spaced), and tokenizer_postprocessor.c what comes behind it. tokenizer_config.c
 * reads tokenizer_config.json.
 */
#include "text/tokenizer_parts.h"

#include "base/status.h"

#define TOKENIZER "tokenizer.json"
#define CONFIG "tokenizer_config.json"
#define MAP "special_tokens_map.json"

/* Reads what happens around the model. The special tokens of tokenizer_config.json are known. */
static lckv_status read_pipeline(struct tokenizer *tokenizer, const struct json_value *root)
{
    const struct json_value *normalizer = NULL, *pretokenizer = NULL, *postprocessor = NULL;
    const struct json_value *decoder = NULL;
    lckv_status status = json_get_object(root, TOKENIZER, "post_processor", &postprocessor);
    if (status == LCKV_OK)
        status = tokenizer_read_postprocessor(tokenizer, postprocessor);
    if (status != LCKV_OK || tokenizer->vocabulary.metaspace) /* the rest is known already */
        return status;
    status = json_get_object(root, TOKENIZER, "normalizer", &normalizer);
    if (status == LCKV_OK) {
        status = tokenizer_read_normalizer(tokenizer, normalizer);
        if (status != LCKV_OK)
            return fail_in(status, TOKENIZER);
    }
    if (status == LCKV_OK)
        status = json_get_object(root, TOKENIZER, "pre_tokenizer", &pretokenizer);
    if (status == LCKV_OK)
        status = tokenizer_read_pretokenizer(tokenizer, pretokenizer);
    if (status == LCKV_OK)
        status = json_get_object(root, TOKENIZER, "decoder", &decoder);
    return status == LCKV_OK ? tokenizer_check_decoder(decoder) : status;
}

static lckv_status read_vocabulary(struct tokenizer *tokenizer, const struct json_value *root)
{
    /* Truncation and padding are for batches. transformers does neither unless it is asked to. */
    lckv_status status = tokenizer_check_members(
        root, TOKENIZER,
        "version truncation padding added_tokens normalizer pre_tokenizer post_processor decoder "
        "model");
    if (status == LCKV_OK && tokenizer_is_spaced_json(root))
        status = tokenizer_read_spacing_json(tokenizer, root);
    return status == LCKV_OK ? tokenizer_read_model(tokenizer, root) : status;
}

/*
 * What tokenizer_config.json says counts before special_tokens_map.json. `root` is NULL if there is
 * a tokenizer.model instead.
 */
static lckv_status read_all(struct tokenizer *tokenizer, struct text sentencepiece,
                            const struct json_value *root, const struct json_value *config,
                            const struct json_value *map)
{
    lckv_status status = root != NULL
                             ? read_vocabulary(tokenizer, root)
                             : tokenizer_read_sentencepiece(tokenizer, sentencepiece, config);
    if (status == LCKV_OK && config != NULL)
        status = tokenizer_read_specials(tokenizer, config, CONFIG);
    if (status == LCKV_OK && map != NULL)
        status = tokenizer_read_specials(tokenizer, map, MAP);
    if (status == LCKV_OK && config != NULL && tokenizer->chat_template.length == 0)
        status = tokenizer_read_chat_template(tokenizer, config);
    if (status == LCKV_OK && root != NULL)
        status = read_pipeline(tokenizer, root);
    if (status == LCKV_OK && config != NULL)
        status = tokenizer_read_config_rules(tokenizer, config);
    return status;
}

/* A file that is not there gives an empty document. */
static lckv_status parse(struct text text, const char *what, const lckv_allocator *allocator,
                         struct json_document *document)
{
    return text.length == 0 ? LCKV_OK
                            : json_parse(text.bytes, text.length, what, allocator, document);
}

lckv_status tokenizer_read_json(struct tokenizer *tokenizer, const struct checkpoint *checkpoint)
{
    const lckv_allocator *allocator = &tokenizer->arena.allocator;
    struct json_document document = {.root = NULL}, config = {.root = NULL}, map = {.root = NULL};
    struct text template = checkpoint->chat_template;
    lckv_status status = parse(checkpoint->tokenizer, TOKENIZER, allocator, &document);
    if (status == LCKV_OK)
        status = parse(checkpoint->tokenizer_config, CONFIG, allocator, &config);
    if (status == LCKV_OK)
        status = parse(checkpoint->special_tokens_map, MAP, allocator, &map);
    if (status == LCKV_OK && template.length > 0)
        status = tokenizer_set_chat_template(tokenizer, template);
    if (status == LCKV_OK)
        status =
            read_all(tokenizer, checkpoint->sentencepiece, document.root, config.root, map.root);
    json_release(&document);
    json_release(&config);
    json_release(&map);
    return status;
}
