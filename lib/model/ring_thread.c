/*
 * The thread that reads streamed weights. See ring_thread.h.
 */
#include "model/ring_thread.h"

#include "base/status.h"

#define PIECE_BYTES ((size_t)4 << 20) /* that one read asks for */

/* What to read next, and where to. False if there is nothing to do now. */
static bool choose(const struct weight_ring *ring, uint32_t *portion, uint32_t *place)
{
    const uint64_t now = ring->position;
    uint64_t first = UINT64_MAX, last = 0;
    *portion = *place = RING_NONE;
    for (uint32_t i = 0; i < ring->n_portions; i++) {
        uint64_t use = portion_next_use(&ring->order, i, now);
        if (ring->place_of[i] == RING_NONE && use < first) {
            first = use;
            *portion = i;
        }
    }
    for (uint32_t i = 0; *portion != RING_NONE && i < ring->n_places; i++) {
        uint64_t use = ring->held[i] == RING_NONE
                           ? UINT64_MAX
                           : portion_next_use(&ring->order, ring->held[i], now);
        if (use > first && use > last) {
            last = use;
            *place = i;
        }
    }
    return *place != RING_NONE;
}

static bool row_is_wanted(const struct weight_ring *ring)
{
    return ring->row_asked != ring->row_done;
}

/* Reads the row that a pass waits for, which goes before portions. */
static lckv_status read_row(struct weight_ring *ring)
{
    pthread_mutex_lock(&ring->mutex);
    const uint32_t number = ring->row_asked;
    const uint64_t offset = ring->row_offset;
    const size_t needed = ring->row_needed;
    pthread_mutex_unlock(&ring->mutex);
    lckv_status status = direct_file_read(&ring->file, offset, ring->row,
                                          round_up(needed, DIRECT_ALIGNMENT), needed);
    if (status != LCKV_OK)
        return fail_in(status, "streamed weights of the embedding");
    pthread_mutex_lock(&ring->mutex);
    ring->row_done = number;
    ring->n_reads++;
    pthread_cond_broadcast(&ring->arrived);
    pthread_mutex_unlock(&ring->mutex);
    return LCKV_OK;
}

static lckv_status read_portion(struct weight_ring *ring, uint32_t portion, uint8_t *place)
{
    const struct portion *p = &ring->portions[portion];
    for (size_t done = 0; done < p->n_bytes; done += PIECE_BYTES) {
        const size_t left = p->n_bytes - done, n = left < PIECE_BYTES ? left : PIECE_BYTES;
        if (ring->ending)
            return LCKV_OK;
        lckv_status status = row_is_wanted(ring) ? read_row(ring) : LCKV_OK;
        if (status != LCKV_OK)
            return status;
        status = direct_file_read(&ring->file, p->offset + done, place + done,
                                  round_up(n, DIRECT_ALIGNMENT), n);
        if (status != LCKV_OK && portion < ring->order.n_layers)
            return fail_in(status, "streamed weights of layer %u", portion);
        if (status != LCKV_OK)
            return fail_in(status, "streamed weights of the output matrix");
        ring->n_reads++;
    }
    return LCKV_OK;
}

void ring_stop(struct weight_ring *ring, lckv_status status)
{
    ring->status = status;
    status_message_copy(ring->message, sizeof ring->message);
    pthread_cond_broadcast(&ring->arrived);
}

/* Reads the row or the portion that is needed first. False if there is nothing to do now. */
static bool read_next(struct weight_ring *ring)
{
    uint32_t portion, place;
    lckv_status status;
    if (row_is_wanted(ring)) {
        pthread_mutex_unlock(&ring->mutex);
        status = read_row(ring);
        pthread_mutex_lock(&ring->mutex);
    } else if (choose(ring, &portion, &place)) {
        if (ring->held[place] != RING_NONE)
            ring->place_of[ring->held[place]] = RING_NONE;
        ring->held[place] = RING_NONE;
        pthread_mutex_unlock(&ring->mutex);
        status = read_portion(ring, portion, ring->places + place * ring->place_bytes);
        pthread_mutex_lock(&ring->mutex);
        if (status == LCKV_OK) {
            ring->held[place] = portion;
            ring->place_of[portion] = place;
            pthread_cond_broadcast(&ring->arrived);
        }
    } else {
        return false;
    }
    if (status != LCKV_OK)
        ring_stop(ring, status);
    return true;
}

void *ring_thread(void *argument)
{
    struct weight_ring *ring = argument;
    pthread_mutex_lock(&ring->mutex);
    while (!ring->ending) {
        if (ring->status != LCKV_OK || !read_next(ring))
            pthread_cond_wait(&ring->wanted, &ring->mutex);
    }
    pthread_mutex_unlock(&ring->mutex);
    return NULL;
}
