/*
 * Applies the rules of config_keys.h to a configuration. See config_check.h.
 */
#include "model/config_check.h"

#include "base/status.h"
#include "base/text.h"
#include "model/architecture.h"
#include "model/architecture_keys.h"
#include "model/config_keys.h"

#include <math.h>
#include <string.h>

#define MOST_NAMED 16 /* unknown keys that get a remark of their own */

/* What a rule looks at. Null, an empty text and an empty list count as no value. */
struct value {
    enum { ABSENT, NUMBER, TEXT, OTHER } kind;
    double number;    /* true is 1 */
    struct text text; /* of OTHER: its member quant_method */
};

/* As config.json has them. */
static const char *const activation_names[ACTIVATIONS] = {
    [ACTIVATION_SILU] = "silu",
    [ACTIVATION_GELU_TANH] = "gelu_pytorch_tanh",
    [ACTIVATION_GELU] = "gelu",
};

static lckv_status expect_number(const char *name, struct value value, double neutral)
{
    if (value.kind != NUMBER)
        return fail(LCKV_BAD_FORMAT, "%s: expected a number", name);
    if (fabs(value.number - neutral) <= 1e-6 * fabs(neutral))
        return LCKV_OK;
    return fail(LCKV_UNSUPPORTED, "%s is %g; expected %g, as without it", name, value.number,
                neutral);
}

static lckv_status check_off(const char *name, struct value value)
{
    if (value.kind == NUMBER && value.number == 0)
        return LCKV_OK;
    return fail(LCKV_UNSUPPORTED, "%s is given, which lckv does not know", name);
}

static lckv_status check_value(const struct config_key *key, struct value value,
                               const struct hparams *h, enum checkpoint_kind kind)
{
    const struct text name = {key->name, strlen(key->name)};
    if (value.kind == ABSENT || architecture_reads(h->architecture, kind, name))
        return LCKV_OK;
    switch (key->rule) {
    case KEY_ONE:
    case KEY_ON:
        return expect_number(key->name, value, 1);
    case KEY_HEAD_DIM:
        return expect_number(key->name, value, (double)h->widest.head_dim);
    case KEY_SCALE:
        return expect_number(key->name, value, 1 / sqrt((double)h->widest.head_dim));
    case KEY_IMAGES:
        if (value.kind == TEXT && text_equals(value.text, "vision"))
            return LCKV_OK;
        return check_off(key->name, value);
    case KEY_OFF:
        return check_off(key->name, value);
    case KEY_EXPERTS:
        if (value.kind == NUMBER && value.number == 0)
            return LCKV_OK;
        return fail(LCKV_UNSUPPORTED,
                    "%s: the model has experts, which lckv does not compute; take a model of the "
                    "same family that has none",
                    key->name);
    case KEY_ACTIVATION:
        if (value.kind != TEXT)
            return fail(LCKV_BAD_FORMAT, "%s: expected a string", key->name);
        if (text_equals(value.text, activation_names[h->architecture->activation]))
            return LCKV_OK;
        return fail(LCKV_UNSUPPORTED, "%s is %s; expected %s", key->name,
                    quoted(value.text.bytes, value.text.length).text,
                    activation_names[h->architecture->activation]);
    case KEY_F8:
        if (text_equals(value.text, "fp8") || text_equals(value.text, "fbgemm_fp8") ||
            text_equals(value.text, "compressed-tensors"))
            return LCKV_OK;
        return fail(LCKV_UNSUPPORTED,
                    "%s: quant_method %s; expected fp8, fbgemm_fp8 or compressed-tensors, whose "
                    "weights are F8_E4M3 with scales",
                    key->name, quoted(value.text.bytes, value.text.length).text);
    case KEY_READ:
    case KEY_NOTHING:
    default:
        return LCKV_OK;
    }
}

static void name_unknown(const struct remarks *remarks, struct text name, size_t *n_unknown)
{
    if ((*n_unknown)++ < MOST_NAMED || remarks->all)
        remark(remarks, "%s of the configuration is not known and not used",
               quoted(name.bytes, name.length).text);
}

static void count_unknown(const struct remarks *remarks, size_t n_unknown)
{
    if (n_unknown > MOST_NAMED && !remarks->all)
        remark(remarks, "%zu more keys of the configuration are not known and not used",
               n_unknown - MOST_NAMED);
}

/* ---- config.json ---- */

static struct value value_of_json(const struct json_value *from)
{
    struct value value = {.kind = OTHER, .text = {"", 0}};
    if (json_is(from, JSON_NUMBER)) {
        value.kind = json_number(from, &value.number) ? NUMBER : OTHER;
    } else if (json_is(from, JSON_TRUE) || json_is(from, JSON_FALSE)) {
        value.kind = NUMBER;
        value.number = json_is(from, JSON_TRUE);
    } else if (json_is(from, JSON_STRING)) {
        value.text = json_text(from);
        value.kind = value.text.length > 0 ? TEXT : ABSENT;
    } else if (json_is(from, JSON_NULL) || json_first(from) == NULL) {
        value.kind = ABSENT;
    } else if (json_is(from, JSON_OBJECT)) {
        const struct json_value *method = json_find(from, "quant_method");
        if (json_is(method, JSON_STRING))
            value.text = json_text(method);
    }
    return value;
}

/*
 * What is known of a member of config.json, or of one beside text_config: there, members that the
 * text model would compute with say nothing.
 */
static const struct config_key *find_key(struct text name, bool outer)
{
    const struct config_key *key = config_key_find(KEYS_OF_JSON, name);
    if (!outer || (key != NULL && (key->rule == KEY_NOTHING || key->rule == KEY_F8)))
        return key;
    return config_key_find(KEYS_OF_OUTER_JSON, name);
}

static lckv_status check_members(const struct json_value *config, const struct hparams *hparams,
                                 bool outer, const struct remarks *remarks)
{
    size_t n_unknown = 0;
    for (const struct json_value *member = json_first(config); member != NULL;
         member = json_next(config, member)) {
        struct text name = json_name(member);
        const struct config_key *key = find_key(name, outer);
        lckv_status status = LCKV_OK;
        if (key != NULL)
            status = check_value(key, value_of_json(member), hparams, CHECKPOINT_HF);
        else
            name_unknown(remarks, name, &n_unknown);
        if (status != LCKV_OK)
            return fail_in(status, "config.json");
    }
    count_unknown(remarks, n_unknown);
    return LCKV_OK;
}

lckv_status config_check_json(const struct json_value *config, const struct hparams *hparams,
                              const struct remarks *remarks)
{
    return check_members(config, hparams, false, remarks);
}

lckv_status config_check_outer(const struct json_value *config, const struct hparams *hparams,
                               const struct remarks *remarks)
{
    return check_members(config, hparams, true, remarks);
}

/* ---- GGUF ---- */

static struct value value_of_metadata(const struct metadata_value *from)
{
    switch (from->type) {
    case METADATA_F32:
    case METADATA_F64:
        return (struct value){.kind = NUMBER, .number = from->as.f};
    case METADATA_I8:
    case METADATA_I16:
    case METADATA_I32:
    case METADATA_I64:
        return (struct value){.kind = NUMBER, .number = (double)from->as.i};
    case METADATA_STRING:
        return (struct value){.kind = from->as.string.length > 0 ? TEXT : ABSENT,
                              .text = from->as.string};
    case METADATA_ARRAY:
        return (struct value){.kind = from->count > 0 ? OTHER : ABSENT};
    default:
        return (struct value){.kind = NUMBER, .number = (double)from->as.u};
    }
}

/* Leaves the key behind "<prefix>."; false if it does not begin like that. */
static bool strip(struct text *key, const char *prefix)
{
    size_t length = strlen(prefix);
    if (key->length <= length || memcmp(key->bytes, prefix, length) != 0 ||
        key->bytes[length] != '.')
        return false;
    *key = (struct text){key->bytes + length + 1, key->length - length - 1};
    return true;
}

lckv_status config_check_gguf(const struct metadata *metadata, const struct hparams *hparams,
                              const struct remarks *remarks)
{
    size_t n_unknown = 0;
    for (size_t i = 0; i < metadata->n_values; i++) {
        const struct metadata_value *value = &metadata->values[i];
        const struct config_key *key;
        struct text name = value->key;
        if (strip(&name, "lckv.tokenizer"))
            continue; /* text/ reads it */
        if (strip(&name, hparams->architecture_name))
            key = config_key_find(KEYS_OF_ARCHITECTURE, name);
        else if (strip(&name, "lckv"))
            key = config_key_find(KEYS_OF_LCKV, name);
        else if (strip(&name, "general") || strip(&name, "tokenizer") || strip(&name, "split") ||
                 strip(&name, "quantize"))
            continue; /* a key of the file, the tokenizer, or the program that wrote the weights */
        else
            key = NULL;
        lckv_status status = LCKV_OK;
        if (key != NULL)
            status = check_value(key, value_of_metadata(value), hparams, CHECKPOINT_GGUF);
        else
            name_unknown(remarks, value->key, &n_unknown);
        if (status != LCKV_OK)
            return status;
    }
    count_unknown(remarks, n_unknown);
    return LCKV_OK;
}
