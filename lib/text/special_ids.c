/*
 * Reads special ids from configurations and GGUF keys, and writes them to keys. See special_ids.h.
 */
#include "text/special_ids.h"

#include "base/reader.h"
#include "base/status.h"
#include "format/json.h"

#include <inttypes.h>
#include <string.h>

static const char *const special_keys[N_SPECIALS] = {
    [LCKV_SPECIAL_BOS] = "tokenizer.ggml.bos_token_id",
    [LCKV_SPECIAL_EOS] = "tokenizer.ggml.eos_token_id",
    [LCKV_SPECIAL_UNKNOWN] = "tokenizer.ggml.unknown_token_id",
    [LCKV_SPECIAL_PADDING] = "tokenizer.ggml.padding_token_id",
    [LCKV_SPECIAL_EOT] = "tokenizer.ggml.eot_token_id",
};
#define KEY_EOM "tokenizer.ggml.eom_token_id"
#define KEY_ENDS "lckv.tokenizer.end_ids" /* the ends that no other key names */

void special_ids_init(struct special_ids *ids)
{
    ids->n_ends = 0;
    for (size_t i = 0; i < N_SPECIALS; i++)
        ids->special[i] = -1;
}

bool special_ids_is_end(const struct special_ids *ids, lckv_token token)
{
    for (size_t i = 0; i < ids->n_ends; i++) {
        if (ids->ends[i] == token)
            return true;
    }
    return false;
}

lckv_status special_ids_add_end(struct special_ids *ids, lckv_token token)
{
    if (token < 0 || special_ids_is_end(ids, token))
        return LCKV_OK;
    if (ids->n_ends == MAX_END_TOKENS)
        return fail(LCKV_UNSUPPORTED, "more than %d ids that end a text", MAX_END_TOKENS);
    ids->ends[ids->n_ends++] = token;
    return LCKV_OK;
}

lckv_status special_ids_complete(struct special_ids *ids, const struct special_ids *others)
{
    lckv_status status = LCKV_OK;
    for (size_t i = 0; i < N_SPECIALS; i++) {
        if (ids->special[i] < 0)
            ids->special[i] = others->special[i];
    }
    for (size_t i = 0; status == LCKV_OK && i < others->n_ends; i++)
        status = special_ids_add_end(ids, others->ends[i]);
    return status;
}

/* ---- config.json and generation_config.json ---- */

static lckv_status refuse(const char *what, const char *key)
{
    return fail(LCKV_BAD_FORMAT, "%s: %s: expected a token id or an array of them", what, key);
}

/*
 * Reads an id, null or -1 (none), or an array of ids, of which the first counts. All ids of EOS end
 * generation.
 */
static lckv_status read_ids(struct special_ids *ids, const struct json_value *root,
                            const char *what, const char *key, lckv_special special)
{
    const struct json_value *value = json_find(root, key);
    bool is_list = json_is(value, JSON_ARRAY);
    if (value == NULL || json_is(value, JSON_NULL))
        return LCKV_OK;
    const struct json_value *item = is_list ? json_first(value) : value;
    while (item != NULL) {
        int64_t id;
        if (!json_integer(item, &id) || id < -1 || id > INT32_MAX)
            return refuse(what, key);
        if (ids->special[special] < 0)
            ids->special[special] = (lckv_token)id;
        lckv_status status = LCKV_OK;
        if (special == LCKV_SPECIAL_EOS)
            status = special_ids_add_end(ids, (lckv_token)id);
        if (status != LCKV_OK)
            return fail_in(status, "%s: %s", what, key);
        item = is_list ? json_next(value, item) : NULL;
    }
    return LCKV_OK;
}

static lckv_status read_object(struct special_ids *ids, const struct json_value *object,
                               const char *what)
{
    lckv_status status = read_ids(ids, object, what, "bos_token_id", LCKV_SPECIAL_BOS);
    if (status == LCKV_OK)
        status = read_ids(ids, object, what, "eos_token_id", LCKV_SPECIAL_EOS);
    if (status == LCKV_OK)
        status = read_ids(ids, object, what, "pad_token_id", LCKV_SPECIAL_PADDING);
    return status;
}

/* What models of more than text say beside text_config counts before what stands in it. */
static lckv_status read_config(struct special_ids *ids, struct text config, const char *what,
                               const lckv_allocator *allocator)
{
    struct json_document document;
    const struct json_value *part = NULL;
    if (config.length == 0)
        return LCKV_OK;
    lckv_status status = json_parse(config.bytes, config.length, what, allocator, &document);
    if (status == LCKV_OK && !json_is(document.root, JSON_OBJECT))
        status = fail(LCKV_BAD_FORMAT, "%s is not an object", what);
    if (status == LCKV_OK)
        status = read_object(ids, document.root, what);
    if (status == LCKV_OK)
        status = json_get_object(document.root, what, "text_config", &part);
    if (status == LCKV_OK && part != NULL)
        status = read_object(ids, part, what);
    json_release(&document);
    return status;
}

lckv_status special_ids_read(struct special_ids *ids, const struct checkpoint *checkpoint,
                             const lckv_allocator *allocator)
{
    lckv_status status;
    special_ids_init(ids);
    if (checkpoint->kind == CHECKPOINT_GGUF) {
        status = special_ids_read_metadata(ids, &checkpoint->metadata);
    } else {
        status =
            read_config(ids, checkpoint->generation_config, "generation_config.json", allocator);
        if (status == LCKV_OK)
            status = read_config(ids, checkpoint->config, "config.json", allocator);
    }
    return status == LCKV_OK ? status : fail_in(status, "%s", checkpoint->name);
}

/* ---- GGUF keys ---- */

static bool is_signed(uint32_t type)
{
    return type == METADATA_I8 || type == METADATA_I16 || type == METADATA_I32 ||
           type == METADATA_I64;
}

/* *token becomes -1 if the key is missing, or holds the -1 that some converters write. */
static lckv_status read_key(const struct metadata *metadata, const char *key, lckv_token *token)
{
    uint32_t id = UINT32_MAX;
    const struct metadata_value *value = metadata_find(metadata, key);
    bool is_none = value != NULL && is_signed(value->type) && value->as.i == -1;
    lckv_status status = is_none ? LCKV_OK : metadata_get_u32(metadata, key, &id, NULL);
    *token = id <= INT32_MAX ? (lckv_token)id : -1;
    if (status == LCKV_OK && id > INT32_MAX && id != UINT32_MAX)
        return fail(LCKV_BAD_FORMAT, "%s is %" PRIu32 ", expected a token id", key, id);
    return status;
}

static lckv_status read_ends(struct special_ids *ids, const struct metadata *metadata)
{
    const struct metadata_value *value = metadata_find(metadata, KEY_ENDS);
    struct reader reader;
    lckv_status status = LCKV_OK;
    if (value == NULL)
        return LCKV_OK;
    if (value->type != METADATA_ARRAY || value->element_type != METADATA_I32)
        return fail(LCKV_BAD_FORMAT, "%s: expected an array of 32-bit integers", KEY_ENDS);
    reader_init(&reader, value->as.elements, (size_t)value->count * sizeof(int32_t), KEY_ENDS);
    for (uint64_t i = 0; status == LCKV_OK && i < value->count; i++)
        status = special_ids_add_end(ids, (lckv_token)reader_u32(&reader, "a token"));
    return status == LCKV_OK ? reader_status(&reader) : status;
}

lckv_status special_ids_read_metadata(struct special_ids *ids, const struct metadata *metadata)
{
    lckv_token eom = -1;
    special_ids_init(ids);
    lckv_status status = read_key(metadata, KEY_EOM, &eom);
    for (size_t i = 0; status == LCKV_OK && i < N_SPECIALS; i++)
        status = read_key(metadata, special_keys[i], &ids->special[i]);
    if (status == LCKV_OK)
        status = special_ids_add_end(ids, ids->special[LCKV_SPECIAL_EOS]);
    if (status == LCKV_OK)
        status = special_ids_add_end(ids, ids->special[LCKV_SPECIAL_EOT]);
    if (status == LCKV_OK)
        status = special_ids_add_end(ids, eom);
    return status == LCKV_OK ? read_ends(ids, metadata) : status;
}

lckv_status special_ids_check(const struct special_ids *ids, uint32_t n_tokens)
{
    for (size_t i = 0; i < N_SPECIALS; i++) {
        if (ids->special[i] >= 0 && (uint32_t)ids->special[i] >= n_tokens)
            return fail(LCKV_BAD_FORMAT, "%s is %d, expected less than %" PRIu32, special_keys[i],
                        (int)ids->special[i], n_tokens);
    }
    return LCKV_OK;
}

const char *special_ids_key(lckv_special special)
{
    return special_keys[special];
}

lckv_status special_ids_write(const struct special_ids *ids, struct metadata *metadata)
{
    lckv_status status = LCKV_OK;
    int32_t others[MAX_END_TOKENS];
    size_t n_others = 0;
    for (size_t i = 0; status == LCKV_OK && i < N_SPECIALS; i++) {
        if (ids->special[i] >= 0)
            status = metadata_set_u32(metadata, special_keys[i], (uint32_t)ids->special[i]);
    }
    for (size_t i = 0; i < ids->n_ends; i++) {
        if (ids->ends[i] != ids->special[LCKV_SPECIAL_EOS] &&
            ids->ends[i] != ids->special[LCKV_SPECIAL_EOT])
            others[n_others++] = ids->ends[i];
    }
    if (status == LCKV_OK && n_others > 0)
        status = metadata_set_i32s(metadata, KEY_ENDS, others, n_others);
    return status;
}
