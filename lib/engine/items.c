/*
 * The items of an evaluate call: reads them once, checks them, and counts what they want. See
 * items.h.
 */
#include "engine/items.h"

#include "base/status.h"
#include "engine/encoding.h"

#define WANT_HIDDENS (LCKV_WANT_HIDDEN | LCKV_WANT_HIDDEN_ALL)

/* How many of the item's last tokens give logits, and how many a hidden state. */
static void count_wanted(struct scheduled *item)
{
    const lckv_item *given = &item->item;
    uint32_t logits = given->want & ~(uint32_t)WANT_HIDDENS;
    item->n_logits = logits == LCKV_WANT_ALL ? given->n_tokens : logits == LCKV_WANT_LAST;
    if ((given->want & LCKV_WANT_HIDDEN_ALL) != 0)
        item->n_hidden = given->n_tokens;
    else if ((given->want & LCKV_WANT_HIDDEN) != 0)
        item->n_hidden = item->n_logits > 0 ? item->n_logits : 1;
}

static lckv_status check_capacity(size_t i, const char *what, size_t rows, size_t width,
                                  size_t capacity)
{
    if (capacity / width < rows)
        return fail(LCKV_INVALID_ARGUMENT,
                    "item %zu: %s_capacity is %zu floats; %zu rows of %zu are needed", i, what,
                    capacity, rows, width);
    return LCKV_OK;
}

static lckv_status check_want(const struct hparams *h, const struct scheduled *item, size_t i)
{
    const lckv_item *given = &item->item;
    if ((given->want & ~(uint32_t)WANT_HIDDENS) > LCKV_WANT_ALL ||
        (given->want & WANT_HIDDENS) == WANT_HIDDENS)
        return fail(LCKV_INVALID_ARGUMENT,
                    "item %zu: want is %u; expected NOTHING, LAST or ALL, and beside it HIDDEN, "
                    "HIDDEN_ALL or neither",
                    i, given->want);
    if (item->n_hidden > 0 && given->hidden == NULL)
        return fail(LCKV_INVALID_ARGUMENT, "item %zu: HIDDEN needs an array `hidden`", i);
    lckv_status status = LCKV_OK;
    if (item->n_logits > 0 && given->logits != NULL)
        status = check_capacity(i, "logits", item->n_logits, h->n_vocab, given->logits_capacity);
    if (status == LCKV_OK && item->n_hidden > 0)
        status =
            check_capacity(i, "hidden", item->n_hidden, h->hidden_size, given->hidden_capacity);
    return status;
}

/*
 * A text that is longer than the limit would need another rotation than that of the keys in the
 * cache. With a context window that is no longer, tokens attend only to others that are near
 * enough, so the text may be of any length.
 */
bool session_can_rotate(const struct lckv_session *session, size_t n_tokens)
{
    const struct lckv_cache *cache = session->cache;
    const uint32_t limit = cache->model->hparams.rope_limit;
    const uint32_t window = cache->paging.windows.context;
    return limit == 0 || session->length + n_tokens <= limit || (window != 0 && window <= limit);
}

static lckv_status check_positions(const struct lckv_session *session, size_t n_tokens, size_t i)
{
    if (session_can_rotate(session, n_tokens))
        return LCKV_OK;
    return fail(LCKV_UNSUPPORTED,
                "item %zu: the session would have %zu tokens; the model rotates heads as in texts "
                "of up to %u: open it with rope_context (lckv: --rope-context) for longer ones",
                i, session->length + n_tokens, session->cache->model->hparams.rope_limit);
}

/* Checks all but the ids of the tokens. */
static lckv_status check_item(struct lckv_cache *cache, const struct scheduled *item, size_t i)
{
    const lckv_item *given = &item->item;
    struct lckv_session *session = given->session;
    if (session == NULL || session->cache != cache)
        return fail(LCKV_INVALID_ARGUMENT, "item %zu: expected a session of this cache", i);
    if (session->item_of == cache->n_evaluates)
        return fail(LCKV_INVALID_ARGUMENT, "item %zu: its session is in the call twice", i);
    session->item_of = cache->n_evaluates;
    if (given->tokens == NULL || given->n_tokens == 0)
        return fail(LCKV_INVALID_ARGUMENT, "item %zu: expected at least one token", i);
    if (given->n_tokens > UINT32_MAX - session->length)
        return fail(LCKV_UNSUPPORTED, "item %zu: sessions end at 2^32 tokens", i);
    if (given->reserved != 0)
        return fail(LCKV_INVALID_ARGUMENT, "item %zu: reserved must be 0", i);
    lckv_status status = check_positions(session, given->n_tokens, i);
    return status == LCKV_OK ? check_want(&cache->model->hparams, item, i) : status;
}

static lckv_status check_tokens(const struct hparams *h, const lckv_item *item, size_t i)
{
    for (size_t t = 0; t < item->n_tokens; t++) {
        lckv_token token = item->tokens[t];
        if (token < 0 || (uint32_t)token >= h->n_vocab)
            return fail(LCKV_INVALID_ARGUMENT,
                        "item %zu: token %zu is %d; the vocabulary has ids 0 to %u", i, t,
                        (int)token, h->n_vocab - 1);
    }
    return LCKV_OK;
}

lckv_status take_item(struct schedule *schedule, const lckv_item *given, size_t i,
                      lckv_prefill prefill)
{
    struct lckv_cache *cache = schedule->cache;
    struct scheduled item = {.item = *given};
    count_wanted(&item);
    lckv_status status = check_item(cache, &item, i);
    if (status != LCKV_OK)
        return status;
    size_t n_tokens = item.item.n_tokens;
    item.encoding = encoding_of(schedule, prefill, n_tokens);
    if (item.encoding == ENCODE_ITERATED && n_tokens > cache->max_rows)
        return fail(LCKV_INVALID_ARGUMENT,
                    "item %zu: %zu tokens; iterated encoding takes at most max_rows (%u)", i,
                    n_tokens, cache->max_rows);
    schedule->items[i] = item;
    return check_tokens(&cache->model->hparams, &item.item, i);
}

lckv_status reserve_item(struct schedule *schedule, size_t i)
{
    lckv_item *item = &schedule->items[i].item;
    struct lckv_session *session = item->session;
    lckv_status status = session_reserve(session, item->tokens, item->n_tokens);
    if (status != LCKV_OK)
        return status;
    item->tokens = session_next_tokens(session);
    return check_tokens(&schedule->cache->model->hparams, item, i);
}

lckv_status check_logit_rows(const struct schedule *schedule)
{
    size_t rows = 0;
    for (size_t i = 0; i < schedule->n_items; i++) {
        if (schedule->items[i].item.logits == NULL)
            rows += schedule->items[i].n_logits;
    }
    if (rows > schedule->cache->max_logit_rows)
        return fail(LCKV_INVALID_ARGUMENT,
                    "%zu rows of logits are wanted and the cache holds %u; raise max_logit_rows or "
                    "give the items arrays",
                    rows, schedule->cache->max_logit_rows);
    return LCKV_OK;
}
