/*
 * Writes a plan in the keys of GGUF that other programs read. hparams_write.c writes lckv's own.
 */
#include "model/hparams_key.h"
#include "model/hparams_plan.h"
#include "model/hparams_sources.h"

#define NO_LAYER UINT32_MAX

/* How many layers share with the last own layer of their kind; 0 if any shares otherwise. */
static uint32_t count_shared(const struct lckv_plan *plan)
{
    uint32_t n_own = 0, last[2] = {NO_LAYER, NO_LAYER};
    while (n_own < plan->n_layers && plan->layers[n_own].source == n_own) {
        last[plan->layers[n_own].windowed] = n_own;
        n_own++;
    }
    for (uint32_t i = n_own; i < plan->n_layers; i++) {
        if (plan->layers[i].source != last[plan->layers[i].windowed])
            return 0;
    }
    return plan->n_layers - n_own;
}

/*
 * Some programs take it for granted how many layers do not share, and that of some layers in turn
 * the last has no window.
 */
static bool is_granted(const struct hparams *h, const struct lckv_plan *plan, uint32_t n_own)
{
    const uint32_t usual = h->architecture->own_kv_layers, period = h->architecture->window_period;
    if (usual != 0 && n_own != (usual < plan->n_layers ? usual : plan->n_layers))
        return false;
    for (uint32_t i = 0; usual != 0 && i < plan->n_layers; i++) {
        if (plan->layers[i].windowed != ((i + 1) % period != 0))
            return false;
    }
    return true;
}

/*
 * Other programs know neither plans that share otherwise nor layers that lost their window, and
 * take it that the last two layers that do not share are one with a window and one without.
 */
bool hparams_plan_is_common(const struct hparams *h, const struct lckv_plan *plan)
{
    const uint32_t n_shared = count_shared(plan), n_own = plan->n_layers - n_shared;
    bool shares = false;
    if (!h->architecture->plans_are_common || !is_granted(h, plan, n_own))
        return false;
    for (uint32_t i = 0; i < plan->n_layers; i++) {
        shares |= plan->layers[i].source != i;
        if (plan->layers[i].windowed != (h->layers[i].rope == 1))
            return false;
    }
    return !shares || (n_shared > 0 && n_own >= 2 && plan->layers[n_own - 2].windowed &&
                       !plan->layers[n_own - 1].windowed);
}

lckv_status hparams_plan_to_metadata(const struct hparams *h, const struct lckv_plan *plan,
                                     const char *architecture, struct metadata *metadata)
{
    int32_t sources[PLAN_MAX_LAYERS];
    bool sliding[PLAN_MAX_LAYERS], shares = false, slides = false;
    char key[HPARAMS_KEY_BYTES];
    lckv_status status = LCKV_OK;
    for (uint32_t i = 0; i < plan->n_layers; i++) {
        sources[i] = (int32_t)plan->layers[i].source;
        sliding[i] = plan->layers[i].windowed;
        shares |= plan->layers[i].source != i;
        slides |= plan->layers[i].windowed;
    }
    if (shares)
        status = metadata_set_i32s(metadata,
                                   hparams_key(architecture, "attention.kv_source_layers", key),
                                   sources, plan->n_layers);
    if (status == LCKV_OK && shares && count_shared(plan) > 0)
        status =
            metadata_set_u32(metadata, hparams_key(architecture, "attention.shared_kv_layers", key),
                             count_shared(plan));
    if (status == LCKV_OK && slides)
        status =
            metadata_set_u32(metadata, hparams_key(architecture, "attention.sliding_window", key),
                             h->sliding_window);
    if (status == LCKV_OK && slides)
        status = metadata_set_bools(
            metadata, hparams_key(architecture, "attention.sliding_window_pattern", key), sliding,
            plan->n_layers);
    return status;
}
