/*
 * Reads an object of config.json that tells how a rotation is scaled: rope_scaling,
 * rope_parameters, or a part of them.
 */
#include "model/hparams_sources.h"

#include "base/status.h"
#include "base/text.h"
#include "format/json.h"

#include <math.h>

/* Members of the two objects. Those that only other types of scaling read change nothing. */
static const char *const known[] = {
    "rope_theta",
    "rope_type",
    "type",
    "factor",
    "low_freq_factor",
    "beta_fast",
    "beta_slow",
    "mscale",
    "truncate",
    "high_freq_factor",
    "long_factor",
    "short_factor",
    "finetuned",
    "partial_rotary_factor",
    "attention_factor",
    "mscale_all_dim",
    "mrope_section",
    "original_max_position_embeddings",
};

lckv_status hparams_expect_one(const struct json_value *object, const char *what, const char *name)
{
    double value = 1;
    lckv_status status = json_get_f64(object, what, name, &value, NULL);
    if (status == LCKV_OK && value != 1)
        status =
            fail(LCKV_UNSUPPORTED, "%s: %s is %g; expected 1, as without it", what, name, value);
    return status;
}

static void name_members(const struct json_value *object, const char *what,
                         const struct remarks *remarks)
{
    for (const struct json_value *member = json_first(object); member != NULL;
         member = json_next(object, member)) {
        struct text name = json_name(member);
        size_t i = 0, n = sizeof known / sizeof known[0];
        while (i < n && !text_equals(name, known[i]))
            i++;
        if (i == n && !json_is(member, JSON_OBJECT))
            remark(remarks, "%s: %s is not known and not used", what,
                   quoted(name.bytes, name.length).text);
    }
}

/* What yarn multiplies rotated elements by, if no member tells. */
static double yarn_magnitude(double factor, double scale)
{
    return factor > 1 ? 0.1 * scale * log(factor) + 1 : 1;
}

/* Reads what multiplies rotated elements, and leaves out what yarn multiplies them by anyway. */
static lckv_status read_yarn_attention(const struct json_value *scaling, const char *what,
                                       struct rope_hparams *rope)
{
    double scale = 0, all_scale = 0;
    bool found = false;
    lckv_status status =
        json_get_f64(scaling, what, "attention_factor", &rope->attention_factor, &found);
    if (status == LCKV_OK)
        status = json_get_f64(scaling, what, "mscale", &scale, NULL);
    if (status == LCKV_OK)
        status = json_get_f64(scaling, what, "mscale_all_dim", &all_scale, NULL);
    if (status != LCKV_OK)
        return status;
    if (found)
        rope->attention_factor /= yarn_magnitude(rope->factor, 1);
    else if (scale != 0 && all_scale != 0)
        rope->attention_factor = yarn_magnitude(rope->factor, scale) /
                                 yarn_magnitude(rope->factor, all_scale) /
                                 yarn_magnitude(rope->factor, 1);
    return LCKV_OK;
}

static lckv_status read_yarn(const struct json_value *scaling, const char *what,
                             struct rope_hparams *rope)
{
    bool found = false, truncate = true;
    lckv_status status = json_get_f64(scaling, what, "factor", &rope->factor, &found);
    if (status == LCKV_OK && !found)
        status = fail(LCKV_BAD_FORMAT, "%s: factor is missing, expected a number", what);
    if (status == LCKV_OK)
        status = json_get_f64(scaling, what, "beta_fast", &rope->beta_fast, NULL);
    if (status == LCKV_OK)
        status = json_get_f64(scaling, what, "beta_slow", &rope->beta_slow, NULL);
    if (status == LCKV_OK)
        status = json_get_f64(scaling, what, "original_max_position_embeddings",
                              &rope->original_context, NULL);
    if (status == LCKV_OK)
        status = json_get_bool(scaling, what, "truncate", &truncate, NULL);
    if (status == LCKV_OK && !truncate)
        status = fail(LCKV_UNSUPPORTED, "%s: truncate is false; expected true", what);
    return status == LCKV_OK ? read_yarn_attention(scaling, what, rope) : status;
}

static lckv_status read_numbers(const struct json_value *scaling, const char *what,
                                struct rope_hparams *rope)
{
    const struct {
        const char *name;
        double *value;
    } members[] = {
        {"factor", &rope->factor},
        {"low_freq_factor", &rope->low_freq_factor},
        {"high_freq_factor", &rope->high_freq_factor},
        {"original_max_position_embeddings", &rope->original_context},
    };
    size_t n = rope->scaling == ROPE_SCALING_LLAMA3 ? sizeof members / sizeof members[0] : 1;
    lckv_status status = LCKV_OK;
    for (size_t i = 0; status == LCKV_OK && i < n; i++) {
        bool found;
        status = json_get_f64(scaling, what, members[i].name, members[i].value, &found);
        if (status == LCKV_OK && !found)
            status = fail(LCKV_BAD_FORMAT, "%s: %s is missing, expected a number", what,
                          members[i].name);
    }
    return status;
}

/*
 * Only a share of the pairs turns, the first ones, with the frequencies that they have if all turn.
 */
static lckv_status read_share(const struct json_value *object, const char *what, double factor,
                              struct rope_hparams *rope)
{
    double share = 1;
    lckv_status status = json_get_f64(object, what, "partial_rotary_factor", &share, NULL);
    if (status != LCKV_OK)
        return status;
    if (factor != 1)
        return fail(LCKV_UNSUPPORTED, "%s: factor is %g; expected 1, as without it", what, factor);
    if (!(share > 0 && share <= 1))
        return fail(LCKV_BAD_FORMAT,
                    "%s: partial_rotary_factor is %g; expected more than 0 and at most 1", what,
                    share);
    const uint32_t n_pairs = rope->n_rotated / 2;
    rope->n_still = n_pairs - (uint32_t)(share * rope->n_rotated / 2);
    return LCKV_OK;
}

lckv_status hparams_read_rope_scaling(const struct json_value *scaling, const char *what,
                                      struct rope_hparams *rope, const struct remarks *remarks)
{
    struct text kind = {"default", 7};
    bool found = false;
    double factor = 1;
    lckv_status status = json_get_text(scaling, what, "rope_type", &kind, &found);
    if (status == LCKV_OK && !found)
        status = json_get_text(scaling, what, "type", &kind, &found);
    if (status == LCKV_OK)
        status = json_get_f64(scaling, what, "factor", &factor, NULL);
    if (status == LCKV_OK && !found && factor != 1)
        status = fail(LCKV_BAD_FORMAT, "%s: factor is %g, but rope_type is missing", what, factor);
    if (status == LCKV_OK)
        name_members(scaling, what, remarks);
    const bool has_lists = json_find(scaling, "short_factor") != NULL;
    if (status == LCKV_OK && (text_equals(kind, "longrope") || text_equals(kind, "su") ||
                              (text_equals(kind, "yarn") && has_lists))) {
        rope->scaling = ROPE_SCALING_LONGROPE; /* hparams_factors.c reads the lists */
        return json_get_f64(scaling, what, "original_max_position_embeddings",
                            &rope->original_context, NULL);
    }
    if (status == LCKV_OK && text_equals(kind, "yarn")) {
        rope->scaling = ROPE_SCALING_YARN;
        return read_yarn(scaling, what, rope);
    }
    if (status == LCKV_OK)
        status = hparams_expect_one(scaling, what, "attention_factor");
    if (status == LCKV_OK && text_equals(kind, "proportional"))
        return read_share(scaling, what, factor, rope);
    if (status != LCKV_OK || text_equals(kind, "default"))
        return status;
    if (text_equals(kind, "linear"))
        rope->scaling = ROPE_SCALING_LINEAR;
    else if (text_equals(kind, "llama3"))
        rope->scaling = ROPE_SCALING_LLAMA3;
    else if (text_equals(kind, "dynamic"))
        rope->scaling = ROPE_SCALING_DYNAMIC;
    else
        return fail(LCKV_UNSUPPORTED,
                    "%s is %s; expected default, linear, dynamic, llama3, yarn, longrope or "
                    "proportional",
                    what, quoted(kind.bytes, kind.length).text);
    if (rope->scaling == ROPE_SCALING_DYNAMIC)
        status = json_get_f64(scaling, what, "original_max_position_embeddings",
                              &rope->original_context, NULL);
    return status == LCKV_OK ? read_numbers(scaling, what, rope) : status;
}
