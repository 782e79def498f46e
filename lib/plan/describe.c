/*
 * Writes plans as text: in the plan language, and as a picture for people. plan.c parses them.
 */
#include "base/status.h"
#include "plan/plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Counts all text, and stores what fits. */
struct writer {
    char *buffer;
    size_t capacity;
    size_t length;
    size_t line_begin;
};

__attribute__((format(printf, 2, 3))) static void put(struct writer *writer, const char *format,
                                                      ...)
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
        if (*c == '\n')
            writer->line_begin = writer->length;
    }
}

/*
 * A slot that other layers read is a vertical line beside them, from its lowest end to its highest.
 * Lines that share a layer stand in different lanes, short ones nearer to the text.
 */
#define NO_LANE UINT32_MAX

struct line {
    uint32_t low, high; /* layers; equal if no other layer reads the slot: nothing is drawn */
    uint32_t lane;
};

struct picture {
    const struct lckv_plan *plan;
    struct line *lines; /* [n_slots] */
    const struct line *
        *beside; /* [n_slots], by lane: the lines that find_lines_beside() has found */
    uint32_t n_lanes;
    bool has_windows;
};

static void find_lines_beside(struct picture *picture, uint32_t low, uint32_t high)
{
    for (uint32_t lane = 0; lane < picture->n_lanes; lane++)
        picture->beside[lane] = NULL;
    for (uint32_t s = 0; s < picture->plan->n_slots; s++) {
        const struct line *line = &picture->lines[s];
        if (line->lane != NO_LANE && line->low <= high && line->high >= low)
            picture->beside[line->lane] = line;
    }
}

static void lay_out(struct picture *picture)
{
    const struct lckv_plan *plan = picture->plan;
    for (uint32_t s = 0; s < plan->n_slots; s++)
        picture->lines[s] = (struct line){plan->slots[s].layer, plan->slots[s].layer, NO_LANE};
    for (uint32_t i = 0; i < plan->n_layers; i++) {
        struct line *line = &picture->lines[plan->layers[i].source_slot];
        line->low = i < line->low ? i : line->low;
        line->high = i > line->high ? i : line->high;
        picture->has_windows |= plan->layers[i].windowed;
    }
    for (uint32_t span = 1; span < plan->n_layers; span++) {
        for (uint32_t s = 0; s < plan->n_slots; s++) {
            struct line *line = &picture->lines[s];
            if (line->high - line->low != span)
                continue;
            find_lines_beside(picture, line->low, line->high);
            uint32_t lane = 0;
            while (lane < picture->n_lanes && picture->beside[lane] != NULL)
                lane++;
            line->lane = lane;
            picture->n_lanes += lane == picture->n_lanes;
        }
    }
}

/* The sign where layer `i` meets a line. `onward`: its stroke goes on to a line further out. */
static const char *corner(const struct line *line, uint32_t i, bool onward)
{
    if (i == line->high) /* the highest layer is drawn on top */
        return onward ? "┬" : "┐";
    if (i == line->low)
        return onward ? "┴" : "┘";
    return onward ? "┼" : "┤";
}

/*
 * Puts `blanks` blanks and the lines beside layer `i`, with its strokes to the slot that it reads
 * and the one that it writes. Puts nothing if there are no lines.
 */
static void put_lines(struct writer *writer, struct picture *picture, uint32_t i, size_t blanks)
{
    const struct plan_layer *layer = &picture->plan->layers[i];
    const struct line *read = &picture->lines[layer->source_slot];
    const struct line *written = layer->slot >= 0 ? &picture->lines[layer->slot] : read;
    uint32_t reach = 0, n_lanes = 0; /* lanes that the strokes reach; lanes in use here */
    find_lines_beside(picture, i, i);
    for (uint32_t lane = 0; lane < picture->n_lanes; lane++) {
        const struct line *line = picture->beside[lane];
        n_lanes = line != NULL ? lane + 1 : n_lanes;
        reach = line != NULL && (line == read || line == written) ? lane + 1 : reach;
    }
    if (n_lanes == 0)
        return;
    const bool is_source = layer->slot >= 0 && written->lane != NO_LANE;
    put(writer, "%*s%s", (int)blanks, "", is_source ? "◄" : reach > 0 ? "─" : " ");
    for (uint32_t lane = 0; lane < n_lanes; lane++) {
        const struct line *line = picture->beside[lane];
        const char *blank = lane < reach ? "─" : " ";
        const char *mark = line != NULL ? "│" : blank;
        if (line != NULL && (line == read || line == written))
            mark = corner(line, i, lane + 1 < reach);
        put(writer, "%s%s", blank, mark);
    }
}

/* Widths of columns: the longest text that the plan can have there, and two blanks. */
static int writes_width(const struct lckv_plan *plan)
{
    return plan->n_windowed_slots > 0 ? 18 : 10;
}

static size_t reads_width(const struct picture *picture)
{
    return 12 + (picture->plan->n_upward > 0 ? 6u : 0u) + (picture->has_windows ? 8u : 0u);
}

static void put_layer(struct writer *writer, struct picture *picture, uint32_t i)
{
    const struct lckv_plan *plan = picture->plan;
    const struct plan_layer *layer = &plan->layers[i];
    const char *window = layer->windowed ? ", window" : "";
    char writes[32] = "", reads[48];
    if (layer->slot >= 0)
        snprintf(writes, sizeof writes, "slot %d%s", layer->slot,
                 plan->slots[layer->slot].windowed ? ", window" : "");
    if (layer->source == i)
        snprintf(reads, sizeof reads, "itself%s", window);
    else
        snprintf(reads, sizeof reads, "layer %u%s%s", layer->source, layer->upward ? " above" : "",
                 window);
    size_t width = reads_width(picture), used = strlen(reads);
    put(writer, "%5u  %-*s%s", i, writes_width(plan), writes, reads);
    put_lines(writer, picture, i, used < width ? width - used : 1);
    put(writer, "\n");
}

static void put_groups(struct writer *writer, const struct lckv_plan *plan)
{
    const size_t widest = 88; /* longer lines are broken */
    put(writer, "\nA prompt goes through");
    for (uint32_t g = 0; g < plan->n_groups; g++) {
        const struct plan_group *group = &plan->groups[g];
        const char *how = group->cyclic ? "repeatedly" : "once";
        put(writer, "%s", g > 0 ? "," : "");
        put(writer, "%s", writer->length - writer->line_begin > widest ? "\n    " : " ");
        if (group->first == group->last)
            put(writer, "layer %u %s", group->first, how);
        else
            put(writer, "layers %u-%u %s", group->first, group->last, how);
    }
    put(writer, ".\n");
}

static void put_picture(struct writer *writer, struct picture *picture)
{
    const struct lckv_plan *plan = picture->plan;
    put(writer, "%u layer%s, %u KV slot%s (standard: %u)\n\n", plan->n_layers,
        plan->n_layers == 1 ? "" : "s", plan->n_slots, plan->n_slots == 1 ? "" : "s",
        plan->n_layers);
    put(writer, "layer  %-*sreads\n", writes_width(plan), "writes");
    for (uint32_t i = plan->n_layers; i-- > 0;)
        put_layer(writer, picture, i);
    put_groups(writer, plan);
    if (plan->n_upward > 0)
        put(writer, "above: sees the tokens before, not its own.\n");
    if (picture->has_windows)
        put(writer, "window: sees the last tokens only%s.\n",
            plan->n_windowed_slots > 0 ? "; a slot so marked keeps no others" : "");
}

static void put_language(struct writer *writer, const struct lckv_plan *plan)
{
    for (uint32_t i = 0; i < plan->n_layers; i++)
        put(writer, "%s%u%s", i > 0 ? "_" : "", plan->layers[i].source,
            plan->layers[i].windowed ? "s" : "");
}

/* Once the length is known: nothing may be written to a buffer that cannot hold all of the text. */
static lckv_status check_room(const struct writer *counted, size_t capacity, size_t *length)
{
    *length = counted->length;
    if (counted->length >= capacity)
        return fail(LCKV_BUFFER_TOO_SMALL, "the text of the plan needs %zu bytes, got %zu",
                    counted->length + 1, capacity);
    return LCKV_OK;
}

lckv_status plan_text(const struct lckv_plan *plan, char *buffer, size_t capacity, size_t *length)
{
    struct writer counter = {0}, writer = {.buffer = buffer, .capacity = capacity};
    put_language(&counter, plan);
    lckv_status status = check_room(&counter, capacity, length);
    if (status != LCKV_OK)
        return status;
    put_language(&writer, plan);
    buffer[writer.length] = '\0';
    return LCKV_OK;
}

lckv_status plan_describe(const struct lckv_plan *plan, char *buffer, size_t capacity,
                          size_t *length)
{
    struct picture picture = {.plan = plan};
    const lckv_allocator *allocator = &plan->allocator;
    const uint32_t n_slots = plan->n_slots;
    lckv_status status =
        memory_alloc(allocator, n_slots, sizeof *picture.lines, "a picture", &picture.lines);
    if (status == LCKV_OK)
        status =
            memory_alloc(allocator, n_slots, sizeof *picture.beside, "a picture", &picture.beside);
    if (status == LCKV_OK) {
        struct writer counter = {0}, writer = {.buffer = buffer, .capacity = capacity};
        lay_out(&picture);
        put_picture(&counter, &picture);
        status = check_room(&counter, capacity, length);
        if (status == LCKV_OK) {
            put_picture(&writer, &picture);
            buffer[writer.length] = '\0';
        }
    }
    memory_free(allocator, picture.lines, n_slots, sizeof *picture.lines);
    memory_free(allocator, picture.beside, n_slots, sizeof *picture.beside);
    return status;
}
