/*
 * Reads the parts of tokenizer.json that come behind the model: the post-processor, which puts BOS
 * and EOS around the text, and the decoder.
 */
#include "text/tokenizer_parts.h"

#include "base/status.h"
#include "base/text.h"

#include <string.h>

#define POSTPROCESSOR "tokenizer.json: post_processor"
#define DECODER "tokenizer.json: decoder"

/* Finds the token that the template calls `name`. */
static lckv_status template_token(const struct tokenizer *tokenizer,
                                  const struct json_value *template, struct text name,
                                  lckv_token *token)
{
    const struct json_value *specials = NULL;
    int64_t integer = -1;
    lckv_status status = json_get_object(template, POSTPROCESSOR, "special_tokens", &specials);
    if (status != LCKV_OK)
        return status;
    const struct json_value *ids = json_find(json_find_text(specials, name), "ids");
    if (!json_is(ids, JSON_ARRAY) || json_count(ids) != 1 ||
        !json_integer(json_first(ids), &integer) || integer < 0 ||
        integer >= tokenizer->vocabulary.n_tokens)
        return fail(LCKV_BAD_FORMAT,
                    POSTPROCESSOR ": special_tokens: %s: expected one id of a token",
                    quoted(name.bytes, name.length).text);
    *token = (lckv_token)integer;
    return LCKV_OK;
}

/* The token becomes BOS (EOS) unless the configuration names one. */
static lckv_status add_around(struct tokenizer *tokenizer, lckv_special special, lckv_token token)
{
    bool *add = special == LCKV_SPECIAL_BOS ? &tokenizer->add_bos : &tokenizer->add_eos;
    lckv_token *known = &tokenizer->ids.special[special];
    if (*add || (*known >= 0 && *known != token))
        return fail(LCKV_UNSUPPORTED,
                    POSTPROCESSOR ": a template with tokens other than BOS and EOS around the text "
                                  "is not supported");
    *known = token;
    *add = true;
    return LCKV_OK;
}

static lckv_status read_template(struct tokenizer *tokenizer, const struct json_value *template)
{
    const struct json_value *single = NULL;
    lckv_status status = json_get_array(template, POSTPROCESSOR, "single", &single);
    size_t n_texts = 0;
    for (const struct json_value *item = json_first(single); status == LCKV_OK && item != NULL;
         item = json_next(single, item)) {
        const struct json_value *special = NULL, *text = NULL;
        struct text name = {"", 0};
        lckv_token token = -1;
        status = json_get_object(item, POSTPROCESSOR ": single", "SpecialToken", &special);
        if (status == LCKV_OK)
            status = json_get_object(item, POSTPROCESSOR ": single", "Sequence", &text);
        if (status == LCKV_OK && (special == NULL) == (text == NULL))
            return fail(LCKV_BAD_FORMAT,
                        POSTPROCESSOR ": single: expected a SpecialToken or a Sequence");
        n_texts += text != NULL;
        if (status != LCKV_OK || special == NULL)
            continue;
        status = json_get_text(special, POSTPROCESSOR ": single", "id", &name, NULL);
        if (status == LCKV_OK)
            status = template_token(tokenizer, template, name, &token);
        if (status == LCKV_OK)
            status =
                add_around(tokenizer, n_texts > 0 ? LCKV_SPECIAL_EOS : LCKV_SPECIAL_BOS, token);
    }
    if (status == LCKV_OK && n_texts != 1)
        return fail(LCKV_BAD_FORMAT, POSTPROCESSOR ": single has %zu sequences, expected 1",
                    n_texts);
    return status;
}

lckv_status tokenizer_read_postprocessor(struct tokenizer *tokenizer,
                                         const struct json_value *postprocessor)
{
    struct text type;
    if (postprocessor == NULL)
        return LCKV_OK;
    lckv_status status = tokenizer_get_type(postprocessor, POSTPROCESSOR, &type);
    if (status != LCKV_OK)
        return status;
    if (text_equals(type, "Sequence")) {
        status = tokenizer_check_members(postprocessor, POSTPROCESSOR, "type processors");
        return status == LCKV_OK
                   ? tokenizer_read_sequence(tokenizer, postprocessor, POSTPROCESSOR, "processors",
                                             tokenizer_read_postprocessor)
                   : status;
    }
    if (text_equals(type, "TemplateProcessing")) {
        status = tokenizer_check_members(postprocessor, POSTPROCESSOR,
                                         "type single pair special_tokens");
        return status == LCKV_OK ? read_template(tokenizer, postprocessor) : status;
    }
    if (!text_equals(type, "ByteLevel"))
        return tokenizer_refuse_kind(POSTPROCESSOR, type);
    return tokenizer_check_members(postprocessor, POSTPROCESSOR, BYTE_LEVEL_MEMBERS);
}

/* ---- Decoder ---- */

lckv_status tokenizer_check_decoder(const struct json_value *decoder)
{
    struct text type;
    if (decoder == NULL)
        return LCKV_OK;
    lckv_status status = tokenizer_get_type(decoder, DECODER, &type);
    if (status == LCKV_OK && !text_equals(type, "ByteLevel"))
        return tokenizer_refuse_kind(DECODER, type);
    return status == LCKV_OK ? tokenizer_check_members(decoder, DECODER, BYTE_LEVEL_MEMBERS)
                             : status;
}
