/*
 * Restores sessions. They are made of bytes that may come from anywhere, so nothing of them can be
 * seen before all have been read and checked. See saved.h.
 */
#include "base/frames.h"
#include "base/reader.h"
#include "base/status.h"
#include "cache/placing.h"
#include "cache/restoration.h"
#include "cache/saved.h"
#include "cache/saved_description.h"
#include "cache/transfer.h"

#include <math.h>
#include <string.h>

#define PIECE 4096 /* bytes of notes and tokens that are read at once */

static lckv_status fail_session(size_t i, const char *what, uint64_t value)
{
    return fail(LCKV_BAD_FORMAT, "saved session %zu has %s %llu, which cannot be", i, what,
                (unsigned long long)value);
}

/* Whether windows have left behind something of a slot, without which min_length must be 0. */
static bool has_dropped(const struct lckv_session *session)
{
    const struct lckv_plan *plan = session->cache->model->plan;
    bool result = false;
    for (uint32_t s = 0; s < plan->n_slots; s++)
        result = result || session_held(session, plan->slots[s].windowed).begin > 0;
    return result;
}

/* Reads the first numbers of a session. */
static lckv_status read_numbers(struct restoration *restoration, size_t i)
{
    struct lckv_session *session = restoration->sessions[i];
    uint8_t bytes[32];
    struct reader fields;
    lckv_status status = frame_get(&restoration->reader, bytes, sizeof bytes);
    if (status != LCKV_OK)
        return status;
    reader_init(&fields, bytes, sizeof bytes, "saved sessions");
    const uint64_t length = reader_u64(&fields, "length");
    const uint64_t min_length = reader_u64(&fields, "min_length");
    const uint64_t inexact_from = reader_u64(&fields, "inexact_from");
    const uint64_t bits = reader_u64(&fields, "tolerance");
    const uint32_t low_bits = (uint32_t)bits;
    float tolerance;
    memcpy(&tolerance, &low_bits, sizeof tolerance);
    if (length > UINT32_MAX)
        return fail_session(i, "length", length);
    if (inexact_from != UINT64_MAX && inexact_from >= length)
        return fail_session(i, "inexact_from", inexact_from);
    if (bits != low_bits || !(tolerance >= 0) || (tolerance > 0) != (inexact_from != UINT64_MAX))
        return fail_session(i, "tolerance bits", bits);
    session->length = length;
    session->min_length = min_length;
    if (min_length > length || (min_length > 0 && !has_dropped(session)))
        return fail_session(i, "min_length", min_length);
    const struct held_positions tokens = session_held(session, false);
    session->n_forgotten = tokens.begin - tokens.n_sinks;
    session->inexact_from = inexact_from;
    session->tolerance = tolerance;
    if (!restoration->is_exact && length > 0) {
        session->inexact_from = 0;
        session->tolerance = INFINITY;
    }
    return LCKV_OK;
}

/* The table grows with the tokens that come, since the length may be a lie. */
static lckv_status read_tokens(struct restoration *restoration, size_t i)
{
    struct lckv_cache *cache = restoration->cache;
    struct lckv_session *session = restoration->sessions[i];
    const uint32_t n_vocab = cache->model->hparams.n_vocab;
    const size_t n_held = (size_t)session_n_held(session), most = PIECE / sizeof *session->tokens;
    lckv_status status = LCKV_OK;
    for (size_t at = 0, end; status == LCKV_OK && at < n_held; at = end) {
        end = n_held - at < most ? n_held : at + most;
        status = cache_grow_table(cache, &session->tokens, &session->token_capacity, end,
                                  sizeof *session->tokens, "a session's tokens");
        if (status == LCKV_OK)
            status = frame_get(&restoration->reader, session->tokens + at,
                               (end - at) * sizeof *session->tokens);
        for (size_t t = at; status == LCKV_OK && t < end; t++) {
            if (session->tokens[t] < 0 || (uint32_t)session->tokens[t] >= n_vocab)
                status = fail_session(i, "token", (uint32_t)session->tokens[t]);
        }
    }
    return status;
}

/* Reads the numbers of the parts of a slot and plans its pages. */
static lckv_status read_slot(struct restoration *restoration, struct lckv_session *session,
                             uint32_t s)
{
    struct placing *placing = &restoration->placing;
    struct slot_pages *slot = &session->slots[s];
    const size_t n = saved_parts_of_page(restoration->cache, s);
    const struct held_positions held =
        session_held(session, restoration->cache->model->plan->slots[s].windowed);
    const uint64_t first_behind_sinks = held.begin / SAVED_PART / n;
    uint32_t numbers[KV_MOST_PAGE_POSITIONS / SAVED_PART] = {0};
    lckv_status status = LCKV_OK;
    if (first_behind_sinks > slot->n_sink_pages)
        slot->gap = first_behind_sinks - slot->n_sink_pages;
    for (uint64_t i = saved_first_part(held), next; status == LCKV_OK && i * SAVED_PART < held.end;
         i = next) {
        uint8_t bytes[4];
        struct reader field;
        status = frame_get(&restoration->reader, bytes, sizeof bytes);
        if (status != LCKV_OK)
            return status;
        reader_init(&field, bytes, sizeof bytes, "saved sessions");
        numbers[i % n] = reader_u32(&field, "number of a part");
        status = placing_name_part(placing, numbers[i % n], s, i, saved_span(held, i));
        next = saved_next_part(held, i);
        const bool is_last = next / n != i / n || next * SAVED_PART >= held.end;
        if (status == LCKV_OK && is_last) {
            status = placing_add_page(placing, slot, numbers);
            for (size_t k = 0; k < n; k++)
                numbers[k] = 0;
        }
    }
    return status;
}

static lckv_status read_session(struct restoration *restoration, size_t i)
{
    lckv_status status = session_allocate(restoration->cache, &restoration->sessions[i]);
    if (status == LCKV_OK)
        status = read_numbers(restoration, i);
    if (status == LCKV_OK)
        status = read_tokens(restoration, i);
    for (uint32_t s = 0; status == LCKV_OK && s < restoration->cache->model->plan->n_slots; s++)
        status = read_slot(restoration, restoration->sessions[i], s);
    return status == LCKV_OK ? cache_check_cancel(restoration->cache) : status;
}

static lckv_status read_part(struct restoration *restoration, const struct placed_part *part)
{
    const struct placing *placing = &restoration->placing;
    const struct kv_layout *layout = cache_layout(restoration->cache, part->slot);
    const size_t n_bytes = kv_plain_bytes(layout);
    const uint32_t first = saved_first_position(restoration->cache, part->slot, part->index);
    uint8_t *page = placing_page(placing, part);
    for (uint32_t p = first + part->span.begin; p < first + part->span.end; p++) {
        for (uint32_t head = 0; head < layout->n_kv_heads; head++) {
            lckv_status status = frame_get(&restoration->reader, restoration->plain, n_bytes);
            if (status != LCKV_OK)
                return status;
            if (!kv_import(layout, page, p, head, restoration->plain))
                return fail(LCKV_BAD_FORMAT,
                            "the saved sessions have a value in slot %u that is not finite",
                            part->slot);
        }
    }
    return transfer_step(&restoration->transfer,
                         saved_span_positions(part->span) * layout->position_bytes);
}

static lckv_status read_parts(struct restoration *restoration)
{
    const struct placing *placing = &restoration->placing;
    lckv_status status = LCKV_OK;
    for (size_t i = 0; i < placing->n_parts; i++)
        restoration->transfer.total +=
            saved_span_positions(placing->parts[i].span) *
            cache_layout(restoration->cache, placing->parts[i].slot)->position_bytes;
    for (size_t i = 0; status == LCKV_OK && i < placing->n_parts; i++)
        status = read_part(restoration, &placing->parts[i]);
    return status;
}

static lckv_status read_note(struct restoration *restoration, uint64_t length,
                             const lckv_restore_options *options)
{
    uint8_t piece[PIECE];
    lckv_status status = LCKV_OK;
    while (status == LCKV_OK && length > 0) {
        const size_t n = length < PIECE ? (size_t)length : PIECE;
        status = frame_get(&restoration->reader, piece, n);
        if (status == LCKV_OK && options->note != NULL &&
            options->note(options->note_user, piece, n) != 0)
            status = fail(LCKV_CANCELLED, "the note callback cancelled the call");
        length -= n;
    }
    return status;
}

lckv_status restoration_read(struct restoration *restoration, frame_read_function read, void *user,
                             const lckv_restore_options *options, size_t capacity)
{
    struct lckv_cache *cache = restoration->cache;
    struct frame_reader *reader = &restoration->reader;
    struct saved_counts counts;
    restoration->transfer =
        (struct transfer){cache, options->progress, options->progress_user, 0, 0, 0};
    lckv_status status = frame_reader_init(reader, saved_sessions, read, user, &cache->allocator);
    if (status == LCKV_OK)
        status = saved_description_check(reader, cache, options->any_kernels != 0, &counts,
                                         &restoration->is_exact);
    if (status != LCKV_OK)
        return status;
    restoration->n_saved = counts.n_sessions;
    if (counts.n_sessions > capacity)
        return fail(LCKV_BUFFER_TOO_SMALL, "room for %zu sessions; %u were saved", capacity,
                    counts.n_sessions);
    status = session_check_room(cache, counts.n_sessions);
    if (status == LCKV_OK)
        status = memory_alloc(&cache->allocator, saved_plain_bytes(cache), 1,
                              "a head of saved sessions", &restoration->plain);
    if (status == LCKV_OK)
        status = memory_alloc(&cache->allocator, counts.n_sessions, sizeof(struct lckv_session *),
                              "restored sessions", &restoration->sessions);
    if (status == LCKV_OK)
        status = read_note(restoration, counts.note_bytes, options);
    restoration->n_sessions = restoration->sessions != NULL ? counts.n_sessions : 0;
    for (size_t i = 0; status == LCKV_OK && i < restoration->n_sessions; i++)
        status = read_session(restoration, i);
    if (status == LCKV_OK)
        status =
            placing_take(&restoration->placing, restoration->sessions, restoration->n_sessions);
    if (status == LCKV_OK)
        status = read_parts(restoration);
    if (status == LCKV_OK)
        status = placing_copy(&restoration->placing, restoration->plain);
    return status == LCKV_OK ? frame_reader_finish(reader) : status;
}

void restoration_begin(struct restoration *restoration, struct lckv_cache *cache)
{
    *restoration = (struct restoration){.cache = cache};
    placing_init(&restoration->placing, cache);
}

void restoration_publish(struct restoration *restoration, struct lckv_session **sessions)
{
    for (size_t i = 0; i < restoration->n_sessions; i++) {
        session_publish(restoration->sessions[i]);
        sessions[i] = restoration->sessions[i];
        restoration->sessions[i] = NULL;
    }
}

void restoration_end(struct restoration *restoration)
{
    const lckv_allocator *allocator = &restoration->cache->allocator;
    for (size_t i = 0; i < restoration->n_sessions; i++) {
        if (restoration->sessions[i] != NULL)
            session_destroy(restoration->sessions[i]);
    }
    placing_release(&restoration->placing);
    memory_free(allocator, restoration->sessions, restoration->n_saved,
                sizeof *restoration->sessions);
    memory_free(allocator, restoration->plain, saved_plain_bytes(restoration->cache), 1);
    if (restoration->reader.buffer != NULL)
        frame_reader_release(&restoration->reader);
}
