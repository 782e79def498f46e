/*
 * The tokens of a call on their way through the stages of a plan. See prefill.h.
 */
#include "engine/prefill.h"

#include "engine/movement.h"
#include "engine/row_steps.h"

#define MOST_SLOW_PASSES 16 /* in a row, before a window narrows */

/* Where the tokens of an item are in a stage. Both are numbers of tokens, from the first one on. */
struct passage {
    size_t n_entered; /* have been in a pass */
    size_t n_gone;    /* have gone on to the next stage */
    uint32_t window;  /* the most tokens in a pass, unless the item is iterated */
    uint32_t n_slow;  /* passes in a row after which a single one has gone */
};

/* An item on its way. */
struct stream {
    struct scheduled *item;
    struct passage *passages;     /* [n_stages] */
    uint32_t first_kept, n_kept;  /* the rows of `kept` that its tokens take in turn */
    uint32_t n_passes;            /* of an iterated item in its present stage */
    size_t begin, end, first_row; /* its tokens in the present pass, and the row of the first */
    bool active;
};

/* What went through a stage. */
struct work {
    uint64_t n_rows, n_passes;
};

struct prefill {
    struct schedule *schedule;
    enum encoding encoding;
    uint32_t n_stages;
    uint32_t window; /* with which streams begin */
    struct stream *streams;
    size_t n_streams, n_started, n_active;
    struct passage *passages; /* [n_streams][n_stages] */
    struct work *work;        /* [n_stages] */
    struct pass pass;         /* the present one */
};

/* ---- Passes ---- */

static void begin_pass(struct prefill *prefill, uint32_t stage)
{
    struct lckv_cache *cache = prefill->schedule->cache;
    prefill->pass = (struct pass){.cache = cache,
                                  .model = cache->model,
                                  .workspace = workspace_of(cache),
                                  .stage = stages_at(cache->model->plan, stage)};
    prefill->pass.measures = prefill->pass.stage.cyclic && prefill->encoding == ENCODE_WINDOW;
}

/* Puts the stream's tokens [begin, end) into the pass; `entered` of all its tokens have been in. */
static void add_rows(struct prefill *prefill, struct stream *stream, size_t begin, size_t end,
                     size_t entered)
{
    struct pass *pass = &prefill->pass;
    stream->first_row = pass->n_rows;
    stream->begin = begin;
    stream->end = end;
    for (size_t t = begin; t < end; t++) {
        struct row *row = &pass->workspace->rows[pass->n_rows++];
        *row = schedule_row(prefill->schedule, stream->item, t);
        row->kept = stream->first_kept + (uint32_t)(t % stream->n_kept);
        row->enters = t >= entered;
        if (!pass->stage.ends) { /* what is wanted comes later */
            row->want = 0;
            row->logits = row->hidden = NULL;
        }
    }
}

static lckv_status run_pass(struct prefill *prefill, uint32_t stage)
{
    if (prefill->pass.n_rows == 0)
        return LCKV_OK;
    prefill->work[stage].n_rows += prefill->pass.n_rows;
    prefill->work[stage].n_passes++;
    return schedule_pass(prefill->schedule, &prefill->pass);
}

/* ---- Stages that every token passes once ---- */

/* How many of the stream's tokens have come to the stage. */
static size_t arrived(const struct prefill *prefill, const struct stream *stream, uint32_t stage)
{
    if (stage > 0)
        return stream->passages[stage - 1].n_gone;
    const size_t all = stream->item->item.n_tokens;
    const size_t most = stream->passages[prefill->n_stages - 1].n_gone + stream->n_kept;
    return all < most ? all : most;
}

/* Takes pages for the tokens that come to the first stage. */
static lckv_status take_pages(const struct prefill *prefill, const struct stream *stream,
                              size_t end)
{
    struct lckv_session *session = stream->item->item.session;
    const size_t done = stream->passages[prefill->n_stages - 1].n_gone;
    return session_extend(session, session->length + done, session->length + end);
}

/* The first of the stream's tokens that go through the whole last stage, or to its last slot. */
static size_t first_needed(const struct prefill *prefill, const struct stream *stream)
{
    const struct scheduled *item = stream->item;
    const size_t n_wanted = item->n_logits > item->n_hidden ? item->n_logits : item->n_hidden;
    const bool all = prefill->pass.model->plan->last_kv_layer > prefill->pass.stage.first;
    return all ? 0 : item->item.n_tokens - n_wanted;
}

static lckv_status run_once(struct prefill *prefill, uint32_t index)
{
    lckv_status status = LCKV_OK;
    begin_pass(prefill, index);
    const struct stage *stage = &prefill->pass.stage;
    for (size_t i = 0; status == LCKV_OK && i < prefill->n_started; i++) {
        struct stream *stream = &prefill->streams[i];
        if (!stream->active)
            continue;
        struct passage *passage = &stream->passages[index];
        const size_t end = arrived(prefill, stream, index);
        size_t begin = passage->n_gone;
        if (stage->begins)
            status = take_pages(prefill, stream, end);
        if (stage->ends && begin < first_needed(prefill, stream))
            begin = first_needed(prefill, stream);
        add_rows(prefill, stream, begin, end, end);
        passage->n_gone = end;
    }
    if (status == LCKV_OK)
        status = run_pass(prefill, index);
    for (size_t m = 0; status == LCKV_OK && !stage->ends && m < prefill->pass.n_rows; m++)
        keep_row(prefill->pass.workspace, m);
    return status;
}

/* ---- Cyclic stages ---- */

/* The most tokens of the stream in a pass. */
static size_t window_of(const struct prefill *prefill, const struct stream *stream, uint32_t stage)
{
    return prefill->encoding == ENCODE_ITERATED ? stream->item->item.n_tokens
                                                : stream->passages[stage].window;
}

/*
 * After many passes in a row that let a single token go, half of the window is enough: it computes
 * less in vain, down to one token, which is the exact way. This depends on the stream alone.
 */
static void narrow_window(struct passage *passage, size_t n_done)
{
    passage->n_slow = n_done == 1 ? passage->n_slow + 1 : 0;
    if (passage->n_slow < MOST_SLOW_PASSES)
        return;
    passage->n_slow = 0;
    passage->window = passage->window > 1 ? passage->window / 2 : 1;
}

/*
 * The most tokens that enter the window in a pass. The last ones of many would be computed from
 * zeros for the others, and that is of little use: three eighths of a window cost less work than
 * all that fit, and no more passes.
 */
static size_t most_entering(const struct prefill *prefill, const struct stream *stream,
                            uint32_t stage)
{
    const size_t window = window_of(prefill, stream, stage);
    return prefill->encoding == ENCODE_WINDOW ? (3 * window + 7) / 8 : window;
}

/*
 * Puts the stream's window into the pass; nothing if it has to wait for tokens that are below, so
 * that it does not depend on when they come.
 */
static void add_window(struct prefill *prefill, struct stream *stream, uint32_t stage)
{
    struct passage *passage = &stream->passages[stage];
    const size_t here = arrived(prefill, stream, stage);
    const size_t present =
        passage->n_entered > passage->n_gone ? passage->n_entered : passage->n_gone;
    size_t end = passage->n_gone + window_of(prefill, stream, stage);
    if (end > present + most_entering(prefill, stream, stage))
        end = present + most_entering(prefill, stream, stage);
    if (end > here && here < stream->item->item.n_tokens)
        end = passage->n_gone;
    else if (end > here)
        end = here;
    add_rows(prefill, stream, passage->n_gone, end, passage->n_entered);
}

/*
 * How many tokens leave the window: the first one, and all behind it that have been in a pass
 * before and have moved by less than the tolerance since.
 */
static size_t count_still(const struct prefill *prefill, const struct stream *stream,
                          size_t n_before)
{
    struct schedule *schedule = prefill->schedule;
    size_t n = 1;
    for (; stream->begin + n < n_before; n++) {
        const float change = movement_of_row(&prefill->pass, stream->first_row + n);
        if (!(change < schedule->tolerance))
            break;
        if (change > schedule->residual)
            schedule->residual = change;
    }
    return n;
}

/* How many tokens leave the window after the pass; `n_before` had been in an earlier one. */
static size_t count_done(const struct prefill *prefill, struct stream *stream, size_t n_before)
{
    if (prefill->encoding == ENCODE_EXACT)
        return 1;
    if (prefill->encoding == ENCODE_WINDOW)
        return count_still(prefill, stream, n_before);
    if (++stream->n_passes < prefill->schedule->n_iterations)
        return 0;
    stream->n_passes = 0;
    return stream->end - stream->begin;
}

static void move_window(const struct prefill *prefill, struct stream *stream, uint32_t stage)
{
    struct passage *passage = &stream->passages[stage];
    const size_t n_done = count_done(prefill, stream, passage->n_entered);
    for (size_t i = 0; i < n_done; i++)
        keep_row(prefill->pass.workspace, stream->first_row + i);
    passage->n_entered = stream->end;
    passage->n_gone += n_done;
    if (prefill->encoding == ENCODE_WINDOW)
        narrow_window(passage, n_done);
    stream->item->done = stream->passages[prefill->n_stages - 2].n_gone;
}

/* Runs passes until every window has to wait, or has nothing more to do. */
static lckv_status run_cyclic(struct prefill *prefill, uint32_t stage)
{
    for (;;) {
        begin_pass(prefill, stage);
        for (size_t i = 0; i < prefill->n_started; i++) {
            if (prefill->streams[i].active)
                add_window(prefill, &prefill->streams[i], stage);
        }
        lckv_status status = run_pass(prefill, stage);
        if (status != LCKV_OK || prefill->pass.n_rows == 0)
            return status;
        for (size_t i = 0; i < prefill->n_started; i++) {
            struct stream *stream = &prefill->streams[i];
            if (stream->active && stream->end > stream->begin)
                move_window(prefill, stream, stage);
        }
    }
}

/* ---- Streams ---- */

static void start(struct prefill *prefill, uint32_t first_kept, uint32_t n_kept)
{
    struct stream *stream = &prefill->streams[prefill->n_started++];
    stream->first_kept = first_kept;
    stream->n_kept = n_kept;
    stream->active = true;
    prefill->n_active++;
}

/* The fewest rows with which a stream never waits for itself: a window for each cyclic stage. */
static uint32_t least_kept(const struct prefill *prefill)
{
    return prefill->window > 1 ? prefill->n_stages / 2 * prefill->window : 1;
}

/*
 * Starts as many streams as there is room for; all that have been started before have ended. An
 * iterated one has room for all of its tokens, and others have equal shares.
 */
static void start_streams(struct prefill *prefill)
{
    const struct schedule *schedule = prefill->schedule;
    const uint32_t room = schedule->cache->max_rows;
    const uint32_t most = room / least_kept(prefill);
    const size_t n_left = prefill->n_streams - prefill->n_started;
    uint32_t share = room / (n_left < most ? (uint32_t)n_left : most), used = 0;
    if (share > schedule->chunk)
        share = (uint32_t)schedule->chunk;
    while (prefill->n_started < prefill->n_streams) {
        const struct stream *next = &prefill->streams[prefill->n_started];
        if (prefill->encoding == ENCODE_ITERATED)
            share = (uint32_t)next->item->item.n_tokens;
        if (share > room - used)
            break;
        start(prefill, used, share);
        used += share;
    }
}

/* Ends the streams that are through; others take their places. */
static void end_streams(struct prefill *prefill)
{
    for (size_t i = 0; i < prefill->n_started; i++) {
        struct stream *stream = &prefill->streams[i];
        if (!stream->active ||
            stream->passages[prefill->n_stages - 1].n_gone < stream->item->item.n_tokens)
            continue;
        stream->active = false;
        prefill->n_active--;
        if (prefill->encoding != ENCODE_ITERATED && prefill->n_started < prefill->n_streams)
            start(prefill, stream->first_kept, stream->n_kept);
    }
}

static lckv_status run_streams(struct prefill *prefill)
{
    lckv_status status = LCKV_OK;
    while (status == LCKV_OK &&
           (prefill->n_active > 0 || prefill->n_started < prefill->n_streams)) {
        if (prefill->n_active == 0)
            start_streams(prefill);
        for (uint32_t stage = 0; status == LCKV_OK && stage < prefill->n_stages; stage++)
            status = stage % 2 == 0 ? run_once(prefill, stage) : run_cyclic(prefill, stage);
        end_streams(prefill);
    }
    return status;
}

/* ---- The call ---- */

static void list_streams(struct prefill *prefill)
{
    struct schedule *schedule = prefill->schedule;
    size_t n = 0;
    for (size_t i = 0; i < schedule->n_items; i++) {
        if (schedule->items[i].encoding != prefill->encoding)
            continue;
        prefill->streams[n] = (struct stream){
            .item = &schedule->items[i], .passages = prefill->passages + n * prefill->n_stages};
        for (uint32_t stage = 0; stage < prefill->n_stages; stage++)
            prefill->streams[n].passages[stage].window = prefill->window;
        n++;
    }
}

/* Every token passes every stage, so the largest of the stages' numbers tells the work. */
static void report_work(const struct prefill *prefill)
{
    uint64_t n_rows = 0, n_passes = 0;
    for (uint32_t stage = 1; stage < prefill->n_stages; stage += 2) {
        const struct work *work = &prefill->work[stage];
        n_rows = work->n_rows > n_rows ? work->n_rows : n_rows;
        n_passes = work->n_passes > n_passes ? work->n_passes : n_passes;
    }
    prefill->schedule->n_rows += n_rows;
    prefill->schedule->n_passes += n_passes;
}

lckv_status prefill_run(struct schedule *schedule, enum encoding encoding)
{
    const lckv_allocator *allocator = &schedule->cache->allocator;
    struct prefill prefill = {.schedule = schedule, .encoding = encoding};
    prefill.n_stages = stages_count(schedule->cache->model->plan);
    prefill.window = encoding == ENCODE_WINDOW ? schedule->window : 1;
    for (size_t i = 0; i < schedule->n_items; i++)
        prefill.n_streams += schedule->items[i].encoding == encoding;
    static const char what[] = "the state of a prefill";
    lckv_status status =
        memory_alloc(allocator, prefill.n_streams, sizeof *prefill.streams, what, &prefill.streams);
    if (status == LCKV_OK)
        status = memory_alloc(allocator, prefill.n_streams * prefill.n_stages,
                              sizeof *prefill.passages, what, &prefill.passages);
    if (status == LCKV_OK)
        status =
            memory_alloc(allocator, prefill.n_stages, sizeof *prefill.work, what, &prefill.work);
    if (status == LCKV_OK) {
        list_streams(&prefill);
        status = run_streams(&prefill);
        report_work(&prefill);
    }
    memory_free(allocator, prefill.streams, prefill.n_streams, sizeof *prefill.streams);
    memory_free(allocator, prefill.passages, prefill.n_streams * prefill.n_stages,
                sizeof *prefill.passages);
    memory_free(allocator, prefill.work, prefill.n_stages, sizeof *prefill.work);
    return status;
}
