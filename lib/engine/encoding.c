/*
 * How the items of a call are encoded. See encoding.h.
 */
#include "engine/encoding.h"

#include "base/status.h"
#include "engine/window_choice.h"

#include <math.h>

static lckv_status read_window(const lckv_evaluate_options *options, struct schedule *schedule)
{
    const bool is_given = options->window != 0 || options->tolerance != 0;
    if (is_given && options->prefill != LCKV_PREFILL_AUTO)
        return fail(LCKV_INVALID_ARGUMENT, "window and tolerance belong to prefill AUTO");
    if (!(options->tolerance >= 0) || isinf(options->tolerance))
        return fail(LCKV_INVALID_ARGUMENT,
                    "tolerance is %g; expected a number that is positive, "
                    "or 0 for the default",
                    (double)options->tolerance);
    schedule->window = options->window;
    schedule->tolerance =
        options->tolerance != 0 ? options->tolerance : default_tolerance(schedule->cache);
    return LCKV_OK;
}

static lckv_status read_passes(const struct lckv_model *model, const lckv_evaluate_options *options,
                               struct schedule *schedule)
{
    uint32_t m = options->forward_passes, b = options->backward_passes;
    if (options->prefill < LCKV_PREFILL_AUTO || options->prefill > LCKV_PREFILL_MODEL)
        return fail(LCKV_INVALID_ARGUMENT, "prefill is %d; expected AUTO, EXACT, ITERATED or MODEL",
                    (int)options->prefill);
    if (options->prefill != LCKV_PREFILL_ITERATED && (m != 0 || b != 0))
        return fail(LCKV_INVALID_ARGUMENT,
                    "forward_passes and backward_passes belong to prefill ITERATED");
    if (m == 0 && b == 0)
        m = model->hparams.forward_passes, b = model->hparams.backward_passes;
    if (m > MAX_PASSES || b > MAX_PASSES || m + b == 0)
        return fail(LCKV_INVALID_ARGUMENT,
                    "%u forward and %u backward passes; expected at most %d each", m, b,
                    MAX_PASSES);
    schedule->n_iterations = m + b;
    return LCKV_OK;
}

lckv_status encoding_read(const lckv_evaluate_options *options, struct schedule *schedule)
{
    const struct lckv_model *model = schedule->cache->model;
    lckv_status status = read_window(options, schedule);
    return status == LCKV_OK ? read_passes(model, options, schedule) : status;
}

/* docs/semantics.md, section 3, defines the model's own mode. */
enum encoding encoding_of(const struct schedule *schedule, lckv_prefill prefill, size_t n_tokens)
{
    const struct lckv_model *model = schedule->cache->model;
    bool upward = model->plan->n_upward > 0;
    if (prefill == LCKV_PREFILL_MODEL) {
        if (model->hparams.use_sequential || (upward && n_tokens <= schedule->n_iterations))
            return ENCODE_EXACT;
        prefill = LCKV_PREFILL_ITERATED;
    }
    if (prefill == LCKV_PREFILL_EXACT && (upward || model->use_openblas))
        return ENCODE_EXACT; /* OpenBLAS adds in an order that depends on the number of rows */
    if (!upward)
        return ENCODE_PARALLEL;
    if (prefill == LCKV_PREFILL_ITERATED)
        return ENCODE_ITERATED;
    return n_tokens > 1 ? ENCODE_WINDOW : ENCODE_EXACT;
}

void encoding_choose_window(struct schedule *schedule)
{
    double n_tokens = 0, longest = 0, depths = 0;
    for (size_t i = 0; i < schedule->n_items; i++) {
        const struct scheduled *item = &schedule->items[i];
        const double tokens = (double)item->item.n_tokens;
        if (item->encoding != ENCODE_WINDOW)
            continue;
        n_tokens += tokens;
        longest = tokens > longest ? tokens : longest;
        depths += tokens * ((double)item->item.session->length + tokens / 2);
    }
    if (n_tokens == 0)
        return;
    schedule->has_window = true;
    if (schedule->window == 0) /* short prompts share few of the passes that the longest needs */
        schedule->window = window_choose(schedule->cache, n_tokens / longest, depths / n_tokens);
    for (size_t i = 0; i < schedule->n_items; i++) {
        if (schedule->items[i].encoding == ENCODE_WINDOW && schedule->window == 1)
            schedule->items[i].encoding = ENCODE_EXACT;
    }
}

void encoding_fit_window(struct schedule *schedule)
{
    const uint64_t rows = schedule->cache->max_rows;
    const uint64_t room = rows < schedule->chunk ? rows : schedule->chunk;
    const uint32_t n_cyclic = stages_count(schedule->cache->model->plan) / 2;
    const uint64_t most = n_cyclic > 0 ? room / n_cyclic : room;
    if (most < schedule->window)
        schedule->window = most > 0 ? (uint32_t)most : 1;
}

uint64_t encoding_in_flight(const struct schedule *schedule, const struct scheduled *item,
                            uint64_t chunk)
{
    if (item->encoding == ENCODE_ITERATED)
        return item->item.n_tokens;
    const bool single =
        item->encoding == ENCODE_EXACT && stages_count(schedule->cache->model->plan) == 1;
    return single ? 1 : chunk;
}

float encoding_tolerance(const struct schedule *schedule, const struct scheduled *item)
{
    if (item->encoding == ENCODE_ITERATED)
        return INFINITY;
    return item->encoding == ENCODE_WINDOW && schedule->window > 1 ? schedule->tolerance : 0;
}
