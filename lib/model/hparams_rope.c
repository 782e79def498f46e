/*
 * Reads the rotation from config.json: rope_theta and rope_scaling, or both in rope_parameters.
 * Either of these may hold the theta, and an object with its members for each layer type.
 */
#include "model/hparams_sources.h"

#include "base/status.h"
#include "base/text.h"
#include "format/json.h"

#define CONFIG "config.json"
#define SCALING CONFIG ": rope scaling"

/* Whether two descriptions say the same, but for longrope's divisors, which are read later. */
static bool same_rope(const struct rope_hparams *a, const struct rope_hparams *b)
{
    const bool llama3 = a->scaling == ROPE_SCALING_LLAMA3, yarn = a->scaling == ROPE_SCALING_YARN;
    const bool none = a->scaling == ROPE_SCALING_NONE;
    const bool by_context = !none && a->scaling != ROPE_SCALING_LINEAR;
    return a->theta == b->theta && a->scaling == b->scaling && a->n_still == b->n_still &&
           (none || a->factor == b->factor) &&
           (!by_context || a->original_context == b->original_context) &&
           (!llama3 || (a->low_freq_factor == b->low_freq_factor &&
                        a->high_freq_factor == b->high_freq_factor)) &&
           (!yarn || (a->beta_fast == b->beta_fast && a->beta_slow == b->beta_slow &&
                      a->attention_factor == b->attention_factor));
}

/* Reads one object over what `rope` has so far. */
static lckv_status read_object(const struct json_value *object, struct rope_hparams *rope,
                               const struct remarks *remarks)
{
    lckv_status status = json_get_f64(object, SCALING, "rope_theta", &rope->theta, NULL);
    return status == LCKV_OK ? hparams_read_rope_scaling(object, SCALING, rope, remarks) : status;
}

/* All layers rotate alike here, so the objects of all layer types must say the same. */
static lckv_status read_parameters(const struct json_value *parameters, const char *name,
                                   struct rope_hparams *rope, const struct remarks *remarks)
{
    struct rope_hparams shared = *rope;
    lckv_status status = read_object(parameters, &shared, remarks);
    *rope = shared;
    bool first = true;
    for (const struct json_value *member = json_first(parameters);
         status == LCKV_OK && member != NULL; member = json_next(parameters, member)) {
        struct rope_hparams of_type = shared;
        if (!json_is(member, JSON_OBJECT))
            continue;
        status = read_object(member, &of_type, remarks);
        if (status == LCKV_OK && !first && !same_rope(&of_type, rope))
            status =
                fail(LCKV_UNSUPPORTED,
                     CONFIG ": %s differ between layer types; expected the same for all", name);
        *rope = of_type;
        first = false;
    }
    return status;
}

/* A theta inside counts where there is none outside; some readers take one, some the other. */
static lckv_status check_theta(const struct rope_hparams *inside, const char *name,
                               const struct rope_hparams *outside, bool is_outside)
{
    if (!is_outside || inside->theta == outside->theta)
        return LCKV_OK;
    return fail(LCKV_UNSUPPORTED,
                CONFIG ": rope_theta is %g, and %g in %s; expected the same or one", outside->theta,
                inside->theta, name);
}

/* All layers rotate alike. */
static lckv_status read_rope(const struct json_value *config, struct rope_hparams *rope,
                             const struct remarks *remarks)
{
    const struct json_value *parameters = NULL, *scaling = NULL;
    bool has_theta = false;
    lckv_status status = json_get_f64(config, CONFIG, "rope_theta", &rope->theta, &has_theta);
    if (status == LCKV_OK)
        status = json_get_object(config, CONFIG, "rope_scaling", &scaling);
    if (status == LCKV_OK)
        status = json_get_object(config, CONFIG, "rope_parameters", &parameters);
    struct rope_hparams older = *rope, newer = *rope;
    if (status == LCKV_OK && scaling != NULL)
        status = read_parameters(scaling, "rope_scaling", &older, remarks);
    if (status == LCKV_OK)
        status = check_theta(&older, "rope_scaling", rope, has_theta);
    if (status == LCKV_OK && parameters != NULL)
        status = read_parameters(parameters, "rope_parameters", &newer, remarks);
    if (status == LCKV_OK)
        status = check_theta(&newer, "rope_parameters", rope, has_theta);
    if (status == LCKV_OK && parameters != NULL && scaling != NULL) {
        if (older.theta == rope->theta)
            older.theta = newer.theta;
        if (!same_rope(&newer, &older))
            status = fail(LCKV_UNSUPPORTED,
                          CONFIG ": rope_scaling and rope_parameters differ; expected one of them");
    }
    *rope = parameters != NULL ? newer : older;
    return status;
}

/*
 * Layers with a window rotate in another way: an object for each kind of layer tells how. In older
 * files rope_theta and rope_scaling are those of the other layers, and rope_local_base_freq is the
 * theta of those with a window.
 */
static lckv_status read_both(const struct json_value *config, struct rope_hparams *ropes,
                             const struct remarks *remarks)
{
    static const char *const kinds[] = {"full_attention", "sliding_attention"};
    static const char *const older[] = {"rope_theta", "rope_scaling", "rope_local_base_freq"};
    const struct json_value *parameters = NULL, *of_kind = NULL;
    lckv_status status = json_get_object(config, CONFIG, "rope_parameters", &parameters);
    if (status == LCKV_OK && parameters == NULL) {
        status = read_rope(config, &ropes[0], remarks);
        return status == LCKV_OK
                   ? json_get_f64(config, CONFIG, "rope_local_base_freq", &ropes[1].theta, NULL)
                   : status;
    }
    for (size_t i = 0; status == LCKV_OK && i < sizeof older / sizeof older[0]; i++) {
        const struct json_value *member = json_find(config, older[i]);
        if (member != NULL && !json_is(member, JSON_NULL))
            remark(remarks, CONFIG ": %s is not used beside rope_parameters", older[i]);
    }
    for (int i = 0; status == LCKV_OK && i < 2; i++) {
        status = json_get_object(parameters, SCALING, kinds[i], &of_kind);
        if (status == LCKV_OK && of_kind == NULL)
            status = fail(LCKV_BAD_FORMAT, CONFIG ": rope_parameters has no %s", kinds[i]);
        if (status == LCKV_OK)
            status = read_object(of_kind, &ropes[i], remarks);
    }
    return status;
}

/*
 * The trained context may stand beside the scaling, and in it. The scaling has what is there,
 * where it says nothing.
 */
static lckv_status check_original_context(double outside, const struct rope_hparams *rope)
{
    const bool scaled = rope->scaling != ROPE_SCALING_NONE && rope->scaling != ROPE_SCALING_LINEAR;
    if (scaled && outside != 0 && outside != rope->original_context)
        return fail(LCKV_UNSUPPORTED,
                    CONFIG ": original_max_position_embeddings is %g, and %g in the rope scaling; "
                           "expected the same",
                    outside, rope->original_context);
    return LCKV_OK;
}

/*
 * Dynamic scaling begins behind max_position_embeddings. The windowed layers of an architecture
 * that rotates them in another way have no scaling that depends on the length of the text.
 */
static lckv_status check_lengths(const struct hparams *h)
{
    const struct rope_hparams *rope = &h->ropes[0];
    const enum rope_scaling of_windows = h->ropes[1].scaling;
    if (h->architecture->ropes_by_window &&
        (of_windows == ROPE_SCALING_DYNAMIC || of_windows == ROPE_SCALING_LONGROPE))
        return fail(LCKV_UNSUPPORTED,
                    CONFIG ": rope scaling of layers with a window is %s; expected another",
                    of_windows == ROPE_SCALING_DYNAMIC ? "dynamic" : "longrope");
    if (rope->scaling != ROPE_SCALING_DYNAMIC || rope->original_context == h->context_length)
        return LCKV_OK;
    return fail(LCKV_UNSUPPORTED,
                CONFIG
                ": original_max_position_embeddings is %g; expected max_position_embeddings, "
                "%u, with dynamic rope scaling",
                rope->original_context, h->context_length);
}

/* This kind of rotation reads partial_rotary_factor in its own way. */
static bool is_proportional(const struct json_value *object)
{
    const struct json_value *kind = json_find(object, "rope_type");
    return json_is(kind, JSON_STRING) && text_equals(json_text(kind), "proportional");
}

/*
 * How much of a head is rotated: 1 or, for all layers, what the configuration or the rotation's
 * object says.
 */
static lckv_status read_partial(const struct json_value *config, struct hparams *h)
{
    static const char *const objects[] = {"rope_scaling", "rope_parameters"};
    const uint32_t head_dim = h->ropes[0].n_rotated;
    double factor = 1;
    bool found = false;
    lckv_status status = json_get_f64(config, CONFIG, "partial_rotary_factor", &factor, &found);
    for (int i = 0; status == LCKV_OK && i < 2; i++) {
        const struct json_value *object = NULL;
        double inside = factor;
        bool is_inside = false;
        status = json_get_object(config, CONFIG, objects[i], &object);
        if (status == LCKV_OK && object != NULL && !is_proportional(object))
            status = json_get_f64(object, CONFIG, "partial_rotary_factor", &inside, &is_inside);
        if (status == LCKV_OK && found && inside != factor)
            status = fail(LCKV_UNSUPPORTED,
                          CONFIG ": partial_rotary_factor is %g, and %g in %s; expected the same",
                          factor, inside, objects[i]);
        factor = inside;
        found = found || is_inside;
        for (const struct json_value *member = object != NULL ? json_first(object) : NULL;
             status == LCKV_OK && member != NULL; member = json_next(object, member)) {
            if (json_is(member, JSON_OBJECT) && !is_proportional(member))
                status = hparams_expect_one(member, SCALING, "partial_rotary_factor");
        }
    }
    if (status == LCKV_OK && factor != 1 && !h->architecture->partial_rotation)
        return fail(LCKV_UNSUPPORTED,
                    CONFIG ": partial_rotary_factor is %g; expected 1, as without it", factor);
    if (status == LCKV_OK && !(factor > 0 && factor <= 1))
        return fail(LCKV_BAD_FORMAT,
                    CONFIG ": partial_rotary_factor is %g; expected more than 0 and at most 1",
                    factor);
    if (status != LCKV_OK)
        return status;
    if (factor != 1)
        h->ropes[0].n_rotated = (uint32_t)(head_dim * factor);
    if (factor != 1 && (h->ropes[0].n_rotated == 0 || h->ropes[0].n_rotated % 2 != 0))
        return fail(LCKV_BAD_FORMAT,
                    CONFIG ": partial_rotary_factor is %g, which are %u of %u elements; expected "
                           "an even number",
                    factor, h->ropes[0].n_rotated, head_dim);
    return LCKV_OK;
}

lckv_status hparams_rope_from_config(const struct json_value *config, struct hparams *h,
                                     const struct remarks *remarks)
{
    double outside = 0;
    if (h->architecture->default_theta != 0)
        h->ropes[0].theta = h->architecture->default_theta;
    lckv_status status =
        json_get_f64(config, CONFIG, "original_max_position_embeddings", &outside, NULL);
    if (status != LCKV_OK)
        return status;
    status = read_partial(config, h);
    if (status != LCKV_OK)
        return status;
    h->ropes[0].original_context = outside != 0 ? outside : h->context_length;
    hparams_add_rope(h);
    if (h->architecture->ropes_by_window)
        h->ropes[1].theta = HPARAMS_THETA;
    status = h->architecture->ropes_by_window ? read_both(config, h->ropes, remarks)
                                              : read_rope(config, &h->ropes[0], remarks);
    if (status == LCKV_OK)
        status = check_original_context(outside, &h->ropes[0]);
    return status == LCKV_OK ? check_lengths(h) : status;
}
