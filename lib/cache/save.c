/*
 * Saves sessions. See saved.h.
 */
#include "cache/saved.h"

#include "base/status.h"
#include "cache/saved_description.h"
#include "cache/saved_parts.h"
#include "cache/transfer.h"

#include <string.h>

/* A part of a page. */
struct part {
    uint32_t number; /* in the file, counted from 1; 0: no session named it yet */
    struct saved_span span;
};

struct saving {
    const struct lckv_cache *cache;
    struct lckv_session *const *sessions;
    size_t n_sessions;
    struct frame_writer writer;
    struct part *parts; /* [pages.n][most_parts] */
    size_t most_parts;  /* of a page */
    uint32_t n_parts;   /* that have numbers */
    uint32_t n_written; /* whose keys and values are written */
    uint64_t n_bytes;   /* of the keys and values of all parts */
    uint8_t *plain;     /* [saved_plain_bytes] */
    struct transfer transfer;
};

/* One part that a session holds. */
struct place {
    const struct lckv_session *session;
    uint32_t slot;
    uint64_t index; /* of the part in its slot: part 0 begins with position 0 */
    struct part *part;
};

typedef lckv_status (*part_function)(struct saving *saving, const struct place *place);

static struct held_positions held_in(const struct lckv_session *session, uint32_t slot)
{
    return session_held(session, session->cache->model->plan->slots[slot].windowed);
}

size_t saved_plain_bytes(const struct lckv_cache *cache)
{
    size_t most = 0;
    for (uint32_t i = 0; i < cache->model->hparams.kv_shapes.n; i++) {
        const size_t n_bytes = kv_plain_bytes(&cache->layouts[i]);
        most = n_bytes > most ? n_bytes : most;
    }
    return most;
}

/* Calls a function for each part of a slot of a session, in order. */
static lckv_status for_slot(struct saving *saving, const struct lckv_session *session,
                            uint32_t slot, part_function function)
{
    const struct held_positions held = held_in(session, slot);
    const size_t n = saved_parts_of_page(saving->cache, slot);
    lckv_status status = LCKV_OK;
    for (uint64_t i = saved_first_part(held); status == LCKV_OK && i * SAVED_PART < held.end;
         i = saved_next_part(held, i)) {
        const uint32_t page = session_page_id(session, slot, i * SAVED_PART);
        const struct place place = {session, slot, i,
                                    &saving->parts[page * saving->most_parts + i % n]};
        status = function(saving, &place);
    }
    return status;
}

static lckv_status for_all(struct saving *saving, part_function function)
{
    lckv_status status = LCKV_OK;
    for (size_t i = 0; status == LCKV_OK && i < saving->n_sessions; i++) {
        for (uint32_t s = 0; status == LCKV_OK && s < saving->cache->model->plan->n_slots; s++)
            status = for_slot(saving, saving->sessions[i], s, function);
    }
    return status;
}

/* Gives the part a number, if it has none, and notes which of its positions are needed. */
static lckv_status number_part(struct saving *saving, const struct place *place)
{
    const uint64_t position_bytes = cache_layout(saving->cache, place->slot)->position_bytes;
    struct part *part = place->part;
    if (part->number == 0 && saving->n_parts == UINT32_MAX)
        return fail(LCKV_UNSUPPORTED, "more than %u parts cannot be saved", UINT32_MAX);
    if (part->number == 0)
        part->number = ++saving->n_parts;
    saving->n_bytes -= saved_span_positions(part->span) * position_bytes;
    saved_span_join(&part->span, saved_span(held_in(place->session, place->slot), place->index));
    saving->n_bytes += saved_span_positions(part->span) * position_bytes;
    return LCKV_OK;
}

static lckv_status write_number(struct saving *saving, const struct place *place)
{
    return frame_put_u32(&saving->writer, place->part->number);
}

/* Writes the keys and values of a part when it is met for the first time. */
static lckv_status write_part(struct saving *saving, const struct place *place)
{
    const struct kv_layout *layout = cache_layout(saving->cache, place->slot);
    const struct part *part = place->part;
    const size_t n_bytes = kv_plain_bytes(layout);
    lckv_status status = LCKV_OK;
    if (part->number != saving->n_written + 1)
        return LCKV_OK;
    saving->n_written++;
    const uint32_t first = saved_first_position(saving->cache, place->slot, place->index);
    const uint8_t *page = session_page(place->session, place->slot, place->index * SAVED_PART);
    for (uint32_t p = part->span.begin; status == LCKV_OK && p < part->span.end; p++) {
        for (uint32_t head = 0; status == LCKV_OK && head < layout->n_kv_heads; head++) {
            kv_export(layout, page, first + p, head, saving->plain);
            status = frame_put(&saving->writer, saving->plain, n_bytes);
        }
    }
    if (status != LCKV_OK)
        return status;
    return transfer_step(&saving->transfer,
                         saved_span_positions(part->span) * layout->position_bytes);
}

/* Writes the tokens that the session promises to hold; its table may have more. */
static lckv_status write_tokens(struct frame_writer *writer, const struct lckv_session *session)
{
    const struct held_positions held = session_held(session, false);
    const size_t size = sizeof *session->tokens;
    lckv_status status = LCKV_OK;
    if (held.n_sinks > 0)
        status = frame_put(writer, session->tokens, (size_t)held.n_sinks * size);
    if (status == LCKV_OK && held.end > held.begin)
        status = frame_put(writer, session->tokens + (held.begin - session->n_forgotten),
                           (size_t)(held.end - held.begin) * size);
    return status;
}

static uint64_t float_bits(float number)
{
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits;
}

/* Writes a session without its keys and values. */
static lckv_status write_session(struct saving *saving, const struct lckv_session *session)
{
    struct frame_writer *writer = &saving->writer;
    lckv_status status = frame_put_u64(writer, session->length);
    if (status == LCKV_OK)
        status = frame_put_u64(writer, session->min_length);
    if (status == LCKV_OK)
        status = frame_put_u64(writer, session->inexact_from);
    if (status == LCKV_OK)
        status = frame_put_u64(writer, float_bits(session->tolerance));
    if (status == LCKV_OK)
        status = write_tokens(writer, session);
    for (uint32_t s = 0; status == LCKV_OK && s < saving->cache->model->plan->n_slots; s++)
        status = for_slot(saving, session, s, write_number);
    return status;
}

static lckv_status write_all(struct saving *saving, const lckv_save_options *options)
{
    const struct saved_counts counts = {(uint32_t)saving->n_sessions, options->note_length};
    lckv_status status = for_all(saving, number_part);
    saving->transfer.total = saving->n_bytes;
    if (status == LCKV_OK)
        status = saved_description_put(&saving->writer, saving->cache, counts);
    if (status == LCKV_OK && options->note_length > 0)
        status = frame_put(&saving->writer, options->note, options->note_length);
    for (size_t i = 0; status == LCKV_OK && i < saving->n_sessions; i++)
        status = write_session(saving, saving->sessions[i]);
    if (status == LCKV_OK)
        status = for_all(saving, write_part);
    return status == LCKV_OK ? frame_writer_finish(&saving->writer) : status;
}

lckv_status sessions_save(struct lckv_session *const *sessions, size_t n_sessions,
                          frame_write_function write, void *user, const lckv_save_options *options)
{
    const struct lckv_cache *cache = sessions[0]->cache;
    const lckv_allocator *allocator = &cache->allocator;
    struct saving saving = {
        .cache = cache,
        .sessions = sessions,
        .n_sessions = n_sessions,
        .most_parts = saved_most_parts(cache),
        .transfer = {cache, options->progress, options->progress_user, 0, 0, 0}};
    const size_t n_parts = cache->pages.n * saving.most_parts;
    lckv_status status = memory_alloc(allocator, n_parts, sizeof *saving.parts,
                                      "the parts of saved sessions", &saving.parts);
    if (status == LCKV_OK)
        status = memory_alloc(allocator, saved_plain_bytes(cache), 1, "a head of saved sessions",
                              &saving.plain);
    if (status == LCKV_OK)
        status = frame_writer_init(&saving.writer, saved_sessions, write, user, allocator);
    if (status == LCKV_OK)
        status = write_all(&saving, options);
    if (saving.writer.buffer != NULL)
        frame_writer_release(&saving.writer);
    memory_free(allocator, saving.plain, saved_plain_bytes(cache), 1);
    memory_free(allocator, saving.parts, n_parts, sizeof *saving.parts);
    return status;
}
