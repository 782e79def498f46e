/*
 * The schedule of a call. See schedule.h.
 */
#include "engine/schedule.h"

#include "base/status.h"

/* Puts the next `n` tokens of an item into the pass. */
static lckv_status add_rows(struct schedule *schedule, struct pass *pass, struct scheduled *item,
                            size_t n)
{
    const struct hparams *h = &schedule->cache->model->hparams;
    const lckv_item *given = &item->item;
    uint64_t begin = given->session->length + item->done;
    lckv_status status = session_extend(given->session, begin, begin + n);
    size_t first_logits = given->n_tokens - item->n_logits;
    size_t first_hidden = given->n_tokens - item->n_hidden;
    for (size_t t = item->done; status == LCKV_OK && t < item->done + n; t++) {
        struct row *row = &pass->workspace->rows[pass->n_rows++];
        *row = (struct row){.session = given->session,
                            .position = given->session->length + t,
                            .token = given->tokens[t]};
        if (t >= first_logits) {
            row->want |= LCKV_WANT_LAST;
            row->logits = item->logits + (t - first_logits) * h->n_vocab;
        }
        if (t >= first_hidden) {
            row->want |= LCKV_WANT_HIDDEN;
            row->hidden = item->hidden + (t - first_hidden) * h->hidden_size;
        }
    }
    item->done += n;
    return status;
}

static lckv_status run_pass(struct schedule *schedule, struct pass *pass)
{
    lckv_status status = forward(pass);
    if (status != LCKV_OK)
        return status;
    schedule->n_rows += (uint64_t)pass->n_rows * (pass->iterated ? pass->n_iterations : 1);
    uint64_t done = 0;
    for (size_t i = 0; i < schedule->n_items; i++)
        done += schedule->items[i].done;
    if (schedule->progress != NULL &&
        schedule->progress(schedule->progress_user, done, schedule->n_tokens) != 0)
        return fail(LCKV_CANCELLED, "the progress callback asked to stop; nothing has changed");
    return cache_check_cancel(schedule->cache); /* the callback may have asked */
}

/* How many tokens of the item the next pass takes when it has `room` rows left; it may be none. */
static size_t next_tokens(const struct schedule *schedule, const struct scheduled *item,
                          size_t room)
{
    size_t left = item->item.n_tokens - item->done;
    size_t most = item->encoding == ENCODE_EXACT      ? 1
                  : item->encoding == ENCODE_PARALLEL ? (size_t)schedule->chunk
                                                      : left;
    size_t n = left < most ? left : most;
    if (item->encoding == ENCODE_ITERATED)
        return n <= room ? n : 0;
    return n < room ? n : room;
}

/*
 * Runs one pass with rows of as many items of this encoding as fit. It begins with item *next and
 * goes round. Sets *empty if none has tokens left.
 */
static lckv_status next_pass(struct schedule *schedule, enum encoding encoding, size_t *next,
                             bool *empty)
{
    const struct lckv_cache *cache = schedule->cache;
    struct pass pass = {.cache = schedule->cache,
                        .model = cache->model,
                        .workspace = workspace_of(cache),
                        .iterated = encoding == ENCODE_ITERATED,
                        .n_iterations = schedule->n_iterations,
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
    return status == LCKV_OK && !*empty ? run_pass(schedule, &pass) : status;
}

lckv_status schedule_run(struct schedule *schedule)
{
    lckv_status status = LCKV_OK;
    for (int encoding = ENCODE_EXACT; encoding <= ENCODE_ITERATED; encoding++) {
        size_t next = 0;
        for (bool empty = false; status == LCKV_OK && !empty;)
            status = next_pass(schedule, (enum encoding)encoding, &next, &empty);
    }
    return status;
}
