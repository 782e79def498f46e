/*
 * The schedule of a call. See schedule.h.
 */
#include "engine/schedule.h"

#include "base/status.h"
#include "engine/prefill.h"

struct row schedule_row(const struct schedule *schedule, const struct scheduled *item, size_t t)
{
    const struct hparams *h = &schedule->cache->model->hparams;
    const lckv_item *given = &item->item;
    const size_t first_logits = given->n_tokens - item->n_logits;
    const size_t first_hidden = given->n_tokens - item->n_hidden;
    struct row row = {.session = given->session,
                      .position = given->session->length + t,
                      .token = given->tokens[t]};
    if (t >= first_logits) {
        row.want |= LCKV_WANT_LAST;
        row.logits = item->logits + (t - first_logits) * h->n_vocab;
    }
    if (t >= first_hidden) {
        row.want |= LCKV_WANT_HIDDEN;
        row.hidden = item->hidden + (t - first_hidden) * h->hidden_size;
    }
    return row;
}

/* Tells the caller how many tokens are done. */
static lckv_status tell_progress(struct schedule *schedule)
{
    schedule->n_told = 0;
    for (size_t i = 0; i < schedule->n_items; i++)
        schedule->n_told += schedule->items[i].done;
    if (schedule->progress != NULL &&
        schedule->progress(schedule->progress_user, schedule->n_told, schedule->n_tokens) != 0)
        return fail(LCKV_CANCELLED, "the progress callback asked to stop; nothing has changed");
    return cache_check_cancel(schedule->cache); /* the callback may have asked */
}

lckv_status schedule_pass(struct schedule *schedule, struct pass *pass)
{
    lckv_status status = forward(pass);
    return status == LCKV_OK ? tell_progress(schedule) : status;
}

/* Puts the next `n` tokens of an item into the pass. */
static lckv_status add_rows(const struct schedule *schedule, struct pass *pass,
                            struct scheduled *item, size_t n)
{
    const uint64_t begin = item->item.session->length + item->done;
    lckv_status status = session_extend(item->item.session, begin, begin + n);
    for (size_t t = item->done; t < item->done + n; t++)
        pass->workspace->rows[pass->n_rows++] = schedule_row(schedule, item, t);
    item->done += n;
    return status;
}

/* How many tokens of the item the next pass takes when it has `room` rows left; it may be none. */
static size_t next_tokens(const struct schedule *schedule, const struct scheduled *item,
                          size_t room)
{
    const size_t left = item->item.n_tokens - item->done;
    const size_t most = item->encoding == ENCODE_EXACT ? 1 : (size_t)schedule->chunk;
    const size_t n = left < most ? left : most;
    return n < room ? n : room;
}

/*
 * Runs one pass, through all layers, with rows of as many items of this encoding as fit. It begins
 * with item *next and goes round. Sets *empty if none has tokens left.
 */
static lckv_status next_pass(struct schedule *schedule, enum encoding encoding, size_t *next,
                             bool *empty)
{
    const struct lckv_cache *cache = schedule->cache;
    struct pass pass = {.cache = schedule->cache,
                        .model = cache->model,
                        .workspace = workspace_of(cache),
                        .stage = stage_of_all(cache->model->plan),
                        .openblas = cache->model->use_openblas && encoding == ENCODE_PARALLEL};
    lckv_status status = LCKV_OK;
    size_t start = *next;
    for (size_t k = 0; status == LCKV_OK && k < schedule->n_items; k++) {
        size_t i = (start + k) % schedule->n_items;
        struct scheduled *item = &schedule->items[i];
        size_t room = cache->max_rows - pass.n_rows;
        size_t n = item->encoding == encoding ? next_tokens(schedule, item, room) : 0;
        if (n == 0)
            continue;
        status = add_rows(schedule, &pass, item, n);
        *next = encoding == ENCODE_EXACT ? (i + 1) % schedule->n_items : i;
    }
    *empty = pass.n_rows == 0;
    if (status != LCKV_OK || *empty)
        return status;
    schedule->n_rows += pass.n_rows;
    schedule->n_passes++;
    return schedule_pass(schedule, &pass);
}

static bool has_items(const struct schedule *schedule, enum encoding encoding)
{
    for (size_t i = 0; i < schedule->n_items; i++) {
        if (schedule->items[i].encoding == encoding)
            return true;
    }
    return false;
}

/*
 * Whether the items of this encoding go through all layers of a pass at once: either no token waits
 * for another one's keys and values of higher layers, or there is but one token of each item.
 */
static bool in_one_stage(const struct schedule *schedule, enum encoding encoding)
{
    bool single = encoding == ENCODE_EXACT;
    for (size_t i = 0; i < schedule->n_items; i++) {
        const struct scheduled *item = &schedule->items[i];
        single = single && (item->encoding != encoding || item->item.n_tokens == 1);
    }
    return single || stages_count(schedule->cache->model->plan) == 1;
}

lckv_status schedule_run(struct schedule *schedule)
{
    lckv_status status = LCKV_OK;
    for (int e = ENCODE_EXACT; status == LCKV_OK && e <= ENCODE_ITERATED; e++) {
        const enum encoding encoding = (enum encoding)e;
        size_t next = 0;
        if (!has_items(schedule, encoding))
            continue;
        if (!in_one_stage(schedule, encoding)) {
            status = prefill_run(schedule, encoding);
            continue;
        }
        for (bool empty = false; status == LCKV_OK && !empty;)
            status = next_pass(schedule, encoding, &next, &empty);
    }
    /* The last tokens are done only after their last pass has been told of. */
    if (status == LCKV_OK && schedule->n_told < schedule->n_tokens)
        status = tell_progress(schedule);
    return status;
}
