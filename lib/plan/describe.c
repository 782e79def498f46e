/*
 * Plans as text: the plan language, and the picture for people. Parsing is plan.c's.
 */
#include "base/status.h"
#include "plan/plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Text that is counted whether it fits or not. */
struct writer {
    char *buffer;
    size_t capacity;
    size_t length;
    size_t column; /* bytes since the line began; only for lines of ASCII */
};

__attribute__((format(printf, 2, 3))) static void put(struct writer *writer, const char *format, ...)
{
    char piece[160];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(piece, sizeof piece, format, arguments);
    va_end(arguments);
    for (const char *c = piece; *c != '\0'; c++) {
        if (writer->length < writer->capacity)
            writer->buffer[writer->length] = *c;
        writer->length++;
        writer->column = *c == '\n' ? 0 : writer->column + 1;
    }
}

/*
 * A slot that other layers read is a vertical line beside the layers, from its lowest end to its
 * highest. Lines that share a layer get different lanes, the short ones the lanes nearest to the text.
 */
struct line {
    uint32_t low, high; /* layers; low == high: no line */
    uint32_t lane;
};

struct picture {
    const struct lckv_plan *plan;
    struct line *lines; /* [n_slots] */
    bool *taken;        /* [n_slots]: lanes, while they are assigned */
    uint32_t n_lanes;
};

static void assign_lane(struct picture *picture, uint32_t slot, const bool *assigned)
{
    struct line *line = &picture->lines[slot];
    memset(picture->taken, 0, picture->plan->n_slots * sizeof *picture->taken);
    for (uint32_t other = 0; other < picture->plan->n_slots; other++) {
        const struct line *beside = &picture->lines[other];
        if (assigned[other] && beside->low <= line->high && beside->high >= line->low)
            picture->taken[beside->lane] = true;
    }
    while (picture->taken[line->lane])
        line->lane++;
    if (line->lane >= picture->n_lanes)
        picture->n_lanes = line->lane + 1;
}

static lckv_status lay_out(struct picture *picture)
{
    const struct lckv_plan *plan = picture->plan;
    bool *assigned;
    lckv_status status =
        memory_alloc(&plan->allocator, plan->n_slots, sizeof *assigned, "a picture", &assigned);
    if (status != LCKV_OK)
        return status;
    for (uint32_t s = 0; s < plan->n_slots; s++)
        picture->lines[s].low = picture->lines[s].high = plan->slots[s].layer;
    for (uint32_t i = 0; i < plan->n_layers; i++) {
        struct line *line = &picture->lines[plan->layers[i].source_slot];
        line->low = i < line->low ? i : line->low;
        line->high = i > line->high ? i : line->high;
    }
    for (uint32_t span = 1; span < plan->n_layers; span++) {
        for (uint32_t s = 0; s < plan->n_slots; s++) {
            if (picture->lines[s].high - picture->lines[s].low != span)
                continue;
            assign_lane(picture, s, assigned);
            assigned[s] = true;
        }
    }
    memory_free(&plan->allocator, assigned, plan->n_slots, sizeof *assigned);
    return LCKV_OK;
}

/* The line in `lane` that passes or touches layer `i`, or NULL. */
static const struct line *line_at(const struct picture *picture, uint32_t lane, uint32_t i)
{
    for (uint32_t s = 0; s < picture->plan->n_slots; s++) {
        const struct line *line = &picture->lines[s];
        if (line->low < line->high && line->lane == lane && line->low <= i && i <= line->high)
            return line;
    }
    return NULL;
}

/* Where layer `i` meets the line. `goes_on`: the layer meets another line further out, too. */
static const char *corner(const struct line *line, uint32_t i, bool goes_on)
{
    if (i == line->high) /* the picture has the highest layer on top */
        return goes_on ? "┬" : "┐";
    if (i == line->low)
        return goes_on ? "┴" : "┘";
    return goes_on ? "┼" : "┤";
}

static void put_lines(struct writer *writer, const struct picture *picture, uint32_t i)
{
    const struct plan_layer *layer = &picture->plan->layers[i];
    const struct line *read = &picture->lines[layer->source_slot];
    const struct line *written = layer->slot >= 0 ? &picture->lines[layer->slot] : NULL;
    if (layer->source == i && read->low == read->high)
        read = NULL;
    if (written != NULL && written->low == written->high)
        written = NULL;
    uint32_t reach = 0, outermost = 0; /* lanes that this layer's own strokes cross; lines beside it */
    if (read != NULL)
        reach = read->lane + 1;
    if (written != NULL && written->lane + 1 > reach)
        reach = written->lane + 1;
    for (uint32_t lane = 0; lane < picture->n_lanes; lane++)
        if (line_at(picture, lane, i) != NULL)
            outermost = lane + 1;
    if (outermost == 0)
        return;
    put(writer, written != NULL ? "  ◄" : reach > 0 ? "  ─" : "   ");
    for (uint32_t lane = 0; lane < outermost; lane++) {
        const struct line *line = line_at(picture, lane, i);
        const bool own = line != NULL && (line == read || line == written);
        put(writer, "%s", lane < reach ? "─" : " ");
        if (own)
            put(writer, "%s", corner(line, i, lane + 1 < reach));
        else
            put(writer, "%s", line != NULL ? "│" : lane < reach ? "─" : " ");
    }
}

static void put_layer(struct writer *writer, const struct picture *picture, uint32_t i)
{
    const struct lckv_plan *plan = picture->plan;
    const struct plan_layer *layer = &plan->layers[i];
    const bool lines = picture->n_lanes > 0;
    char writes[32] = "", reads[48];
    if (layer->slot >= 0)
        snprintf(writes, sizeof writes, "slot %d%s", layer->slot,
                 plan->slots[layer->slot].windowed ? ", window" : "");
    if (layer->source == i)
        snprintf(reads, sizeof reads, "itself%s", layer->windowed ? ", window" : "");
    else
        snprintf(reads, sizeof reads, "layer %u%s%s", layer->source, layer->upward ? " above" : "",
                 layer->windowed ? ", window" : "");
    const int writes_width = plan->n_windowed_slots > 0 ? 17 : 9;
    bool any_window = false;
    for (uint32_t k = 0; k < plan->n_layers; k++)
        any_window |= plan->layers[k].windowed;
    const int reads_width = 10 + (plan->n_upward > 0 ? 6 : 0) + (any_window ? 8 : 0);
    size_t before = writer->length;
    put(writer, "%5u  %-*s  ", i, writes_width, writes);
    if (lines)
        put(writer, "%-*s", reads_width, reads);
    else
        put(writer, "%s", reads);
    put_lines(writer, picture, i);
    /* No blanks at the end of a line. */
    while (writer->length > before && writer->length <= writer->capacity &&
           writer->buffer[writer->length - 1] == ' ')
        writer->length--;
    put(writer, "\n");
}
