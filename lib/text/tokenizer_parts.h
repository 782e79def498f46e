/*
 * The parts of a tokenizer, for the files that make, use and write one. All other files include
 * tokenizer.h.
 */
#ifndef LCKV_TEXT_TOKENIZER_PARTS_H
#define LCKV_TEXT_TOKENIZER_PARTS_H

#include "base/checked.h"
#include "format/json.h"
#include "text/bpe.h"
#include "text/normalizer.h"
#include "text/pretokenizer.h"
#include "text/spacing.h"
#include "text/special_tokens.h"
#include "text/tokenizer.h"
#include "text/unigram.h"

struct tokenizer {
    struct arena arena; /* holds everything below */
    struct vocabulary vocabulary;
    uint32_t n_ids; /* the vocabulary's, and perhaps some behind them that have no text */
    struct special_tokens special_tokens[2]; /* [1]: normalized ones, found between the others */
    struct normalizer normalizer;
    struct text normalizer_source; /* in JSON, as a file has it */
    struct pretokenizer pretokenizer;
    struct spacing spacing; /* used instead if the vocabulary is spelled with U+2581 */
    struct bpe bpe;
    bool is_unigram; /* the unigram model makes tokens of words; otherwise BPE does */
    struct unigram unigram;
    struct special_ids ids;         /* from the tokenizer's own files, completed from the model's */
    bool names_special[N_SPECIALS]; /* whether the tokenizer's own files name the token */
    bool add_bos, add_eos;          /* the model's own rule */
    struct text chat_template;
};

/* Each reads the parts: from a GGUF file's metadata, or from the files of a directory. */
CHECKED lckv_status tokenizer_read_metadata(struct tokenizer *tokenizer,
                                            const struct metadata *metadata);
CHECKED lckv_status tokenizer_read_json(struct tokenizer *tokenizer,
                                        const struct checkpoint *checkpoint);

/* Whether text of which no part is plain has special tokens. */
CHECKED lckv_status tokenizer_has_special(const struct tokenizer *tokenizer, const char *text,
                                          size_t length, bool *found);

/*
 * GGUF metadata of tokenizers whose vocabulary is spelled with U+2581: whether the model is of that
 * kind; what says how text is prepared, before the vocabulary is read; scores and what depends on
 * them, when all else is read; and all of it written, except for the scores.
 */
CHECKED bool tokenizer_is_spaced(struct text model);
CHECKED lckv_status tokenizer_read_spacing(struct tokenizer *tokenizer,
                                           const struct metadata *metadata, struct text model);
CHECKED lckv_status tokenizer_read_scores(struct tokenizer *tokenizer,
                                          const struct metadata *metadata, struct text model);
CHECKED lckv_status tokenizer_write_spacing(const struct tokenizer *tokenizer,
                                            struct metadata *metadata);
CHECKED lckv_status tokenizer_write_scores(const struct tokenizer *tokenizer,
                                           struct metadata *metadata, struct arena *scratch);

/* Makes what depends on the scores. The vocabulary and the unknown token must be known. */
CHECKED lckv_status tokenizer_use_scores(struct tokenizer *tokenizer);

/*
 * LCKV_UNSUPPORTED, with its name, if the object has a member that is not in `known`, a list of
 * names separated by blanks. `what` says in messages what the object is.
 */
CHECKED lckv_status tokenizer_check_members(const struct json_value *object, const char *what,
                                            const char *known);

/* The members of ByteLevel. As a post-processor or decoder it uses them for offsets only. */
#define BYTE_LEVEL_MEMBERS "type add_prefix_space trim_offsets use_regex"

/* The type of a part of the pipeline, which must have one; and LCKV_UNSUPPORTED for a kind. */
CHECKED lckv_status tokenizer_get_type(const struct json_value *object, const char *what,
                                       struct text *type);
CHECKED lckv_status tokenizer_refuse_kind(const char *what, struct text kind);

/* Reads each element of the array `key`, in order. */
typedef lckv_status (*tokenizer_read_function)(struct tokenizer *tokenizer,
                                               const struct json_value *object);
CHECKED lckv_status tokenizer_read_sequence(struct tokenizer *tokenizer,
                                            const struct json_value *object, const char *what,
                                            const char *key, tokenizer_read_function read);

/*
 * The member "pattern" of an object as a regular expression, which matches a String as it is; and
 * the expression for a string. They may point into the document.
 */
CHECKED lckv_status tokenizer_read_pattern(struct tokenizer *tokenizer,
                                           const struct json_value *object, const char *what,
                                           struct text *pattern);
CHECKED lckv_status tokenizer_escape(struct tokenizer *tokenizer, struct text string,
                                     const char *what, struct text *pattern);

/*
 * The model and the added tokens of tokenizer.json; the model if it is a unigram model; and the
 * added tokens, of which the first that the vocabulary lacks has the id `next`. Counting them
 * enlarges *n_tokens to one more than the largest id.
 */
CHECKED lckv_status tokenizer_read_model(struct tokenizer *tokenizer,
                                         const struct json_value *root);
CHECKED lckv_status tokenizer_read_unigram(struct tokenizer *tokenizer,
                                           const struct json_value *model,
                                           const struct json_value *added);
CHECKED lckv_status tokenizer_count_added(const struct json_value *added, uint64_t *n_tokens);
CHECKED lckv_status tokenizer_set_added(struct tokenizer *tokenizer, const struct json_value *added,
                                        uint32_t next);

/*
 * Sets one added token, whose id is as given unless the vocabulary has its text already. If `next`
 * is not NULL, the id must be *next, which then becomes the id behind it.
 */
CHECKED lckv_status tokenizer_set_added_token(struct vocabulary *vocabulary,
                                              const struct json_value *entry, uint32_t id,
                                              uint32_t *next);

/* tokenizer.model, of which tokenizer_config.json (or NULL) may say more. */
CHECKED lckv_status tokenizer_read_sentencepiece(struct tokenizer *tokenizer, struct text file,
                                                 const struct json_value *config);

/*
 * Whether a tokenizer.json has a vocabulary that is spelled with U+2581; and what it says about how
 * text is prepared: normaliser, pre-tokenizer and decoder.
 */
CHECKED bool tokenizer_is_spaced_json(const struct json_value *root);
CHECKED lckv_status tokenizer_read_spacing_json(struct tokenizer *tokenizer,
                                                const struct json_value *root);

/*
 * What GGUF metadata say of the normaliser: its description in JSON, or that it is NFC.
 */
CHECKED lckv_status tokenizer_read_normalizer_text(struct tokenizer *tokenizer, struct text json);
CHECKED lckv_status tokenizer_add_nfc(struct tokenizer *tokenizer);

/* The parts of tokenizer.json that come before and behind the model, each an object or NULL. */
CHECKED lckv_status tokenizer_read_normalizer(struct tokenizer *tokenizer,
                                              const struct json_value *normalizer);

/* Reads SentencePiece's rules from a normaliser of the kind Precompiled. */
CHECKED lckv_status tokenizer_read_rules(struct tokenizer *tokenizer,
                                         const struct json_value *object, const char *what,
                                         struct charsmap *rules);
CHECKED lckv_status tokenizer_read_pretokenizer(struct tokenizer *tokenizer,
                                                const struct json_value *pretokenizer);
CHECKED lckv_status tokenizer_read_postprocessor(struct tokenizer *tokenizer,
                                                 const struct json_value *postprocessor);

/* Refuses a decoder that does anything but undo ByteLevel's spelling. It may be missing. */
CHECKED lckv_status tokenizer_check_decoder(const struct json_value *decoder);

/*
 * These read tokenizer_config.json: first the special tokens (those of special_tokens_map.json,
 * too; `what` names the file) and the chat template. The rules about adding BOS and EOS are read
 * after the post-processor, which they override, as in the field's converters.
 */
CHECKED lckv_status tokenizer_read_specials(struct tokenizer *tokenizer,
                                            const struct json_value *config, const char *what);
CHECKED lckv_status tokenizer_read_chat_template(struct tokenizer *tokenizer,
                                                 const struct json_value *config);
CHECKED lckv_status tokenizer_set_chat_template(struct tokenizer *tokenizer, struct text source);
CHECKED lckv_status tokenizer_read_config_rules(struct tokenizer *tokenizer,
                                                const struct json_value *config);

/* The keys of GGUF metadata. lckv has keys of its own for what the common ones cannot say. */
#define KEY_MODEL "tokenizer.ggml.model"
#define KEY_PRE "tokenizer.ggml.pre"
#define KEY_TOKENS "tokenizer.ggml.tokens"
#define KEY_TYPES "tokenizer.ggml.token_type"
#define KEY_MERGES "tokenizer.ggml.merges"
#define KEY_ADD_BOS "tokenizer.ggml.add_bos_token"
#define KEY_ADD_EOS "tokenizer.ggml.add_eos_token"
#define KEY_SPACE_PREFIX "tokenizer.ggml.add_space_prefix"
#define KEY_CHAT_TEMPLATE "tokenizer.chat_template"
#define KEY_SCORES "tokenizer.ggml.scores"
#define KEY_REMOVE_SPACES "tokenizer.ggml.remove_extra_whitespaces"
#define KEY_CHARSMAP "tokenizer.ggml.precompiled_charsmap"
#define KEY_PATTERNS "lckv.tokenizer.patterns"   /* used if the pre-tokenizer is "lckv" */
#define KEY_BEHAVIORS "lckv.tokenizer.behaviors" /* of the patterns: "Isolated" if it is missing */
#define KEY_NFC "lckv.tokenizer.nfc"
#define KEY_NORMALIZER "lckv.tokenizer.normalizer" /* as in tokenizer.json, unless it is only NFC */
#define KEY_IGNORE_MERGES "lckv.tokenizer.ignore_merges"
#define KEY_UNKNOWN_BYTE "lckv.tokenizer.unknown_byte_id" /* for bytes that have no token */
#define KEY_SPACING "lckv.tokenizer.spacing"
#define KEY_UNKNOWN_SCORE "lckv.tokenizer.unknown_score"
#define KEY_EXACT_SCORES "lckv.tokenizer.scores" /* if single precision does not hold them */
#define KEY_STRIP_LEFT "lckv.tokenizer.lstrip_ids"
#define KEY_STRIP_RIGHT "lckv.tokenizer.rstrip_ids"
#define KEY_SINGLE_WORD "lckv.tokenizer.single_word_ids"
#define KEY_NORMALIZED "lckv.tokenizer.normalized_ids"
#define KEY_WEIGHED "lckv.tokenizer.weighed_ids"
#define PRE_OWN "lckv"
#define INVERTED "!" /* before a behaviour */

/* The keys of the tokens that have a flag, by bit. */
#define N_TOKEN_FLAGS 5
extern const char *const tokenizer_flag_keys[N_TOKEN_FLAGS];

#endif
