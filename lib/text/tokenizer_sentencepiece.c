/*
 * Reads tokenizer.model, the file in which SentencePiece keeps a model: a protocol buffer with
 * pieces, how they were trained, and how text is normalised. What tokenizer_config.json says about
 * single tokens counts as well.
 */
#include "text/tokenizer_parts.h"

#include "base/reader.h"
#include "base/status.h"
#include "base/text.h"
#include "format/protobuf.h"
#include "text/metaspace.h"

#include <inttypes.h>

#define FILE_NAME "tokenizer.model"

/* Fields by their numbers. */
enum { MODEL_PIECES = 1, MODEL_TRAINER = 2, MODEL_NORMALIZER = 3, MODEL_DENORMALIZER = 5 };
enum { PIECE_TEXT = 1, PIECE_SCORE = 2, PIECE_TYPE = 3 };
enum {
    TRAINER_TYPE = 3,
    TRAINER_SUFFIX = 24,
    TRAINER_BOS = 46,
    TRAINER_EOS = 47,
    TRAINER_PAD = 48
};
enum {
    NORMALIZER_RULES = 2,
    NORMALIZER_PREFIX = 3,
    NORMALIZER_REMOVE_SPACES = 4,
    NORMALIZER_ESCAPE = 5
};

enum { TYPE_UNIGRAM = 1, TYPE_BPE = 2 };

struct model {
    struct tokenizer *tokenizer;
    uint64_t n_pieces, next; /* counted, and read so far */
    uint64_t type;
    struct text bos, eos, pad;
    struct text rules;
    bool prefix, remove_spaces;
};

typedef lckv_status (*field_function)(struct model *model, const struct protobuf_field *field);

static lckv_status read_fields(struct model *model, struct text message, field_function read)
{
    struct reader reader;
    struct protobuf_field field;
    bool found;
    reader_init(&reader, message.bytes, message.length, FILE_NAME);
    for (;;) {
        lckv_status status = protobuf_next(&reader, &field, &found);
        if (status != LCKV_OK || !found)
            return status;
        status = read(model, &field);
        if (status != LCKV_OK)
            return status;
    }
}

/* ---- How the model was trained, and how text is normalised ---- */

static lckv_status read_flag(const struct protobuf_field *field, const char *name, bool *flag)
{
    uint64_t value = 0;
    lckv_status status = protobuf_integer(field, name, &value);
    *flag = value != 0;
    return status;
}

static lckv_status read_trainer(struct model *model, const struct protobuf_field *field)
{
    bool suffix;
    lckv_status status;
    switch (field->number) {
    case TRAINER_TYPE:
        return protobuf_integer(field, FILE_NAME ": model_type", &model->type);
    case TRAINER_SUFFIX:
        status = read_flag(field, FILE_NAME ": treat_whitespace_as_suffix", &suffix);
        if (status == LCKV_OK && suffix)
            return fail(LCKV_UNSUPPORTED,
                        FILE_NAME ": treat_whitespace_as_suffix is not supported");
        return status;
    case TRAINER_BOS:
        return protobuf_text(field, FILE_NAME ": bos_piece", &model->bos);
    case TRAINER_EOS:
        return protobuf_text(field, FILE_NAME ": eos_piece", &model->eos);
    case TRAINER_PAD:
        return protobuf_text(field, FILE_NAME ": pad_piece", &model->pad);
    default:
        return LCKV_OK;
    }
}

static lckv_status read_normalizer(struct model *model, const struct protobuf_field *field)
{
    bool escape;
    lckv_status status;
    switch (field->number) {
    case NORMALIZER_RULES:
        return protobuf_text(field, FILE_NAME ": precompiled_charsmap", &model->rules);
    case NORMALIZER_PREFIX:
        return read_flag(field, FILE_NAME ": add_dummy_prefix", &model->prefix);
    case NORMALIZER_REMOVE_SPACES:
        return read_flag(field, FILE_NAME ": remove_extra_whitespaces", &model->remove_spaces);
    case NORMALIZER_ESCAPE:
        status = read_flag(field, FILE_NAME ": escape_whitespaces", &escape);
        if (status == LCKV_OK && !escape)
            return fail(LCKV_UNSUPPORTED,
                        FILE_NAME ": spaces that are not escaped are not supported");
        return status;
    default:
        return LCKV_OK;
    }
}

static lckv_status read_denormalizer(struct model *model, const struct protobuf_field *field)
{
    (void)model;
    if (field->number == NORMALIZER_RULES && field->bytes.length > 0)
        return fail(LCKV_UNSUPPORTED, FILE_NAME ": rules for decoding are not supported");
    return LCKV_OK;
}

/* The first pass, which leaves the pieces out. */
static lckv_status read_outline(struct model *model, const struct protobuf_field *field)
{
    struct text message = {"", 0};
    field_function read = NULL;
    lckv_status status = LCKV_OK;
    model->n_pieces += field->number == MODEL_PIECES;
    if (field->number == MODEL_TRAINER)
        read = read_trainer;
    else if (field->number == MODEL_NORMALIZER)
        read = read_normalizer;
    else if (field->number == MODEL_DENORMALIZER)
        read = read_denormalizer;
    if (read == NULL)
        return LCKV_OK;
    status = protobuf_text(field, FILE_NAME ": a specification", &message);
    return status == LCKV_OK ? read_fields(model, message, read) : status;
}

/* ---- Pieces ---- */

struct piece {
    struct text text;
    float score;
    uint64_t type;
};

static lckv_status read_piece(struct text message, struct piece *piece)
{
    struct reader reader;
    struct protobuf_field field;
    bool found = true;
    lckv_status status = LCKV_OK;
    reader_init(&reader, message.bytes, message.length, FILE_NAME ": a piece");
    *piece = (struct piece){{"", 0}, 0, LCKV_TOKEN_NORMAL};
    while (status == LCKV_OK && found) {
        status = protobuf_next(&reader, &field, &found);
        if (status != LCKV_OK || !found)
            break;
        if (field.number == PIECE_TEXT)
            status = protobuf_text(&field, "the piece", &piece->text);
        else if (field.number == PIECE_SCORE)
            status = protobuf_f32(&field, "the score", &piece->score);
        else if (field.number == PIECE_TYPE)
            status = protobuf_integer(&field, "the type", &piece->type);
    }
    return status;
}

/* The second pass. User-defined pieces are found in the normalised text, or compete by score. */
static lckv_status set_piece(struct model *model, const struct protobuf_field *field)
{
    struct tokenizer *tokenizer = model->tokenizer;
    struct vocabulary *vocabulary = &tokenizer->vocabulary;
    uint32_t id = (uint32_t)model->next;
    struct text message;
    struct piece piece;
    if (field->number != MODEL_PIECES)
        return LCKV_OK;
    lckv_status status = protobuf_text(field, FILE_NAME ": pieces", &message);
    if (status == LCKV_OK)
        status = read_piece(message, &piece);
    if (status == LCKV_OK && piece.type > LCKV_TOKEN_BYTE)
        status = fail(LCKV_BAD_FORMAT, "type %" PRIu64 ", expected 1 to 6", piece.type);
    if (status == LCKV_OK)
        status = vocabulary_set(vocabulary, id, piece.text, (int64_t)piece.type);
    if (status == LCKV_OK)
        status = vocabulary_set_score(vocabulary, id, (double)piece.score);
    if (status != LCKV_OK)
        return fail_in(status, FILE_NAME ": piece %" PRIu32, id);
    if (piece.type == LCKV_TOKEN_UNKNOWN && tokenizer->bpe.unknown < 0)
        tokenizer->bpe.unknown = (lckv_token)id;
    if (piece.type == LCKV_TOKEN_USER_DEFINED)
        vocabulary->tokens[id].flags = tokenizer->is_unigram ? TOKEN_WEIGHED : TOKEN_NORMALIZED;
    model->next++;
    return LCKV_OK;
}

/* ---- tokenizer_config.json ---- */

/* Reads the number that a member of added_tokens_decoder has as its name. */
static bool read_id(struct text name, uint32_t *id)
{
    *id = 0;
    for (size_t i = 0; i < name.length; i++) {
        if (name.bytes[i] < '0' || name.bytes[i] > '9' || *id >= TOKENIZER_MAX_TOKENS)
            return false;
        *id = *id * 10 + (uint32_t)(name.bytes[i] - '0');
    }
    return name.length > 0 && *id < TOKENIZER_MAX_TOKENS;
}

static lckv_status count_added(const struct json_value *added, uint64_t *n_tokens)
{
    for (const struct json_value *entry = json_first(added); entry != NULL;
         entry = json_next(added, entry)) {
        struct text name = json_name(entry);
        uint32_t id;
        if (!read_id(name, &id))
            return fail(LCKV_BAD_FORMAT,
                        "tokenizer_config.json: added_tokens_decoder: %s: expected an id below %u",
                        quoted(name.bytes, name.length).text, TOKENIZER_MAX_TOKENS);
        if (id >= *n_tokens)
            *n_tokens = (uint64_t)id + 1;
    }
    return LCKV_OK;
}

static lckv_status set_added(struct tokenizer *tokenizer, const struct json_value *added)
{
    lckv_status status = LCKV_OK;
    for (const struct json_value *entry = json_first(added); status == LCKV_OK && entry != NULL;
         entry = json_next(added, entry)) {
        uint32_t id;
        if (read_id(json_name(entry), &id))
            status = tokenizer_set_added_token(&tokenizer->vocabulary, entry, id, NULL);
    }
    return status == LCKV_OK ? status : fail_in(status, "tokenizer_config.json");
}

/* Whether a prefix stands in front of each stretch of text, or in front of the first only. */
static lckv_status read_prefix(struct model *model, const struct json_value *config)
{
    bool add = true, legacy = true; /* the defaults of transformers */
    lckv_status status = LCKV_OK;
    if (config != NULL)
        status = json_get_bool(config, "tokenizer_config.json", "add_prefix_space", &add, NULL);
    if (status == LCKV_OK && config != NULL)
        status = json_get_bool(config, "tokenizer_config.json", "legacy", &legacy, NULL);
    if (model->prefix && add)
        model->tokenizer->spacing.prefix = legacy ? SPACING_EACH_PREFIX : SPACING_FIRST_PREFIX;
    return status;
}

/* ---- All of it ---- */

static lckv_token find_control(const struct vocabulary *vocabulary, struct text piece)
{
    lckv_token token = vocabulary_find(vocabulary, piece);
    return token >= 0 && vocabulary->tokens[token].type == LCKV_TOKEN_CONTROL ? token : -1;
}

static void set_rules(struct model *model)
{
    struct tokenizer *tokenizer = model->tokenizer;
    struct spacing *spacing = &tokenizer->spacing;
    struct special_ids *ids = &tokenizer->ids;
    spacing->collapse = spacing->trim_begin = spacing->trim_end = model->remove_spaces;
    spacing->drop_prefix = model->prefix || model->remove_spaces;
    spacing->before_added = true;
    const lckv_token own[N_SPECIALS] = {
        [LCKV_SPECIAL_BOS] = find_control(&tokenizer->vocabulary, model->bos),
        [LCKV_SPECIAL_EOS] = find_control(&tokenizer->vocabulary, model->eos),
        [LCKV_SPECIAL_UNKNOWN] = tokenizer->bpe.unknown,
        [LCKV_SPECIAL_PADDING] = find_control(&tokenizer->vocabulary, model->pad),
        [LCKV_SPECIAL_EOT] = -1,
    };
    for (size_t i = 0; i < N_SPECIALS; i++) {
        if (ids->special[i] < 0)
            ids->special[i] = own[i];
    }
    tokenizer->add_bos = true; /* unless tokenizer_config.json says otherwise */
}

static lckv_status read_pieces(struct model *model, struct text file,
                               const struct json_value *added)
{
    struct tokenizer *tokenizer = model->tokenizer;
    uint64_t n_tokens = model->n_pieces;
    lckv_status status = count_added(added, &n_tokens);
    if (status == LCKV_OK)
        status = vocabulary_init(&tokenizer->vocabulary, &tokenizer->arena, n_tokens,
                                 model->n_pieces + json_count(added));
    if (status == LCKV_OK)
        status = vocabulary_add_scores(&tokenizer->vocabulary);
    if (status == LCKV_OK)
        status = read_fields(model, file, set_piece);
    if (status == LCKV_OK)
        status = set_added(tokenizer, added);
    return status == LCKV_OK ? vocabulary_finish(&tokenizer->vocabulary) : status;
}

lckv_status tokenizer_read_sentencepiece(struct tokenizer *tokenizer, struct text file,
                                         const struct json_value *config)
{
    struct model model = {.tokenizer = tokenizer,
                          .type = TYPE_UNIGRAM,
                          .bos = {"<s>", 3},
                          .eos = {"</s>", 4},
                          .pad = {"<pad>", 5},
                          .prefix = true,
                          .remove_spaces = true};
    const struct json_value *added = NULL;
    if (file.length == 0 || file.bytes[0] != (MODEL_PIECES << 3 | PROTOBUF_BYTES))
        return fail(LCKV_UNSUPPORTED, FILE_NAME ": is no SentencePiece model: write a "
                                                "tokenizer.json with transformers "
                                                "(AutoTokenizer.from_pretrained, save_pretrained)");
    lckv_status status = read_fields(&model, file, read_outline);
    if (status == LCKV_OK && model.type != TYPE_UNIGRAM && model.type != TYPE_BPE)
        return fail(LCKV_UNSUPPORTED,
                    FILE_NAME ": model_type %" PRIu64 " is not supported, expected 1 (unigram) or "
                              "2 (BPE)",
                    model.type);
    if (status == LCKV_OK && config != NULL)
        status = json_get_object(config, "tokenizer_config.json", "added_tokens_decoder", &added);
    if (status != LCKV_OK)
        return status;
    tokenizer->vocabulary.metaspace = true;
    tokenizer->bpe.characters = tokenizer->bpe.fuse_unknown = true;
    tokenizer->is_unigram = tokenizer->unigram.single = model.type == TYPE_UNIGRAM;
    tokenizer->bpe.by_score = model.type == TYPE_BPE;
    tokenizer->bpe.unknown = -1;
    status = read_pieces(&model, file, added);
    if (status == LCKV_OK)
        status = charsmap_init(&tokenizer->spacing.charsmap, model.rules, &tokenizer->arena);
    if (status != LCKV_OK)
        return fail_in(status, FILE_NAME);
    tokenizer->bpe.vocabulary = &tokenizer->vocabulary;
    if (config != NULL) /* the ids that it names count before those of the model */
        status = tokenizer_read_specials(tokenizer, config, "tokenizer_config.json");
    set_rules(&model);
    if (status == LCKV_OK)
        status = read_prefix(&model, config);
    return status == LCKV_OK ? tokenizer_use_scores(tokenizer) : status;
}
