/*
 * What a tokenizer consists of, for the files that make, use and write one. Everybody else includes
 * tokenizer.h.
 */
#ifndef LCKV_TEXT_TOKENIZER_PARTS_H
#define LCKV_TEXT_TOKENIZER_PARTS_H

#include "format/json.h"
#include "text/bpe.h"
#include "text/pretokenizer.h"
#include "text/special_tokens.h"
#include "text/tokenizer.h"

#define N_SPECIALS (LCKV_SPECIAL_EOT + 1)
#define MAX_END_TOKENS 32

struct tokenizer {
    struct arena arena; /* of everything below */
    struct vocabulary vocabulary;
    struct special_tokens special_tokens;
    struct pretokenizer pretokenizer;
    struct bpe bpe;
    bool nfc;                       /* text is normalised first */
    lckv_token special[N_SPECIALS]; /* or -1 */
    bool add_bos, add_eos;          /* the model's own rule */
    lckv_token ends[MAX_END_TOKENS];
    size_t n_ends;
    struct text chat_template;
};

/* Where the parts come from: a GGUF file's metadata, tokenizer.json and tokenizer_config.json. */
lckv_status tokenizer_read_metadata(struct tokenizer *tokenizer, const struct metadata *metadata);
lckv_status tokenizer_read_json(struct tokenizer *tokenizer, struct text json, struct text config);

/* Parts of tokenizer.json that shape text around the model; each an object or NULL. */
lckv_status tokenizer_read_normalizer(struct tokenizer *tokenizer,
                                      const struct json_value *normalizer);
lckv_status tokenizer_read_pretokenizer(struct tokenizer *tokenizer,
                                        const struct json_value *pretokenizer);
lckv_status tokenizer_read_postprocessor(struct tokenizer *tokenizer,
                                         const struct json_value *postprocessor);

/*
 * tokenizer_config.json: first the special tokens and the chat template; after the post-processor,
 * what it says about adding BOS and EOS, which counts more there, as in the field's converters.
 */
lckv_status tokenizer_read_config(struct tokenizer *tokenizer, const struct json_value *config);
lckv_status tokenizer_read_config_rules(struct tokenizer *tokenizer,
                                        const struct json_value *config);

/* The keys of GGUF metadata. Those of lckv's own say what the common ones cannot. */
#define KEY_MODEL "tokenizer.ggml.model"
#define KEY_PRE "tokenizer.ggml.pre"
#define KEY_TOKENS "tokenizer.ggml.tokens"
#define KEY_TYPES "tokenizer.ggml.token_type"
#define KEY_MERGES "tokenizer.ggml.merges"
#define KEY_ADD_BOS "tokenizer.ggml.add_bos_token"
#define KEY_ADD_EOS "tokenizer.ggml.add_eos_token"
#define KEY_SPACE_PREFIX "tokenizer.ggml.add_space_prefix"
#define KEY_CHAT_TEMPLATE "tokenizer.chat_template"
#define KEY_PATTERNS "lckv.tokenizer.patterns" /* with the pre-tokenizer "lckv" */
#define KEY_NFC "lckv.tokenizer.nfc"
#define KEY_IGNORE_MERGES "lckv.tokenizer.ignore_merges"
#define KEY_UNKNOWN_BYTE "lckv.tokenizer.unknown_byte_id" /* stands for bytes without a token */
#define KEY_STRIP_LEFT "lckv.tokenizer.lstrip_ids"
#define KEY_STRIP_RIGHT "lckv.tokenizer.rstrip_ids"
#define KEY_SINGLE_WORD "lckv.tokenizer.single_word_ids"
#define PRE_OWN "lckv"

/* The key of each special token, by lckv_special. */
extern const char *const tokenizer_special_keys[N_SPECIALS];

/* The keys of the tokens that have a flag, by bit. */
#define N_TOKEN_FLAGS 3
extern const char *const tokenizer_flag_keys[N_TOKEN_FLAGS];

#endif
