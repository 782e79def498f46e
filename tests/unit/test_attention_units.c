/*
 * How attention is shared out: every position of a slice is taken once for each KV head, and
 * partials fit the room that they have.
 */
#include "engine/attention_units.h"

#include "plan_support.h"

#include <math.h>

enum { MANY_THREADS = 8 };

/*
 * A pass of few rows, without weights: rows[i] belongs to sessions[owner[i]] and is at position
 * at[i].
 */
struct setting {
    struct lckv_model model;
    struct lckv_cache cache;
    struct workspace workspace;
    struct pass pass;
    struct batch batch;
    struct lckv_session sessions[FEW_ROWS];
    struct row rows[FEW_ROWS];
    struct slice slices[FEW_ROWS];
    float partials[1]; /* stands for their memory */
};

static const struct plan_layer plain_plan = {0}, window_plan = {.windowed = true};
static struct layer_hparams shape = {.head_dim = 16};
static struct model_layer everything = {.plan = &plain_plan, .shape = &shape};
static struct model_layer window = {.plan = &window_plan, .shape = &shape};

static void set(struct setting *s, uint32_t n_heads, uint32_t n_kv_heads, size_t n_rows,
                const int *owner, const uint64_t *at)
{
    memset(s, 0, sizeof *s);
    s->model.hparams.n_heads = n_heads;
    s->model.hparams.n_layers = 1;
    s->model.layers = &everything;
    shape.n_kv_heads = n_kv_heads;
    s->cache.paging.windows.sliding = 100;
    s->workspace.partials = s->partials;
    s->pass = (struct pass){
        .cache = &s->cache, .model = &s->model, .workspace = &s->workspace, .few = true};
    for (size_t m = 0; m < n_rows; m++) {
        s->rows[m].session = &s->sessions[owner[m]];
        s->rows[m].position = at[m];
    }
    s->batch = attention_batch(&s->model, s->rows, n_rows, s->slices);
}

/*
 * Checks that the units of a KV head and slice follow each other without a gap, and that their
 * partials do, too.
 */
static void check_units(const struct setting *s, const struct model_layer *layer, bool partials)
{
    const uint32_t n_heads = s->model.hparams.n_heads;
    struct attention_units units = attention_units(&s->pass, &s->batch, layer, MANY_THREADS);
    ck_assert_int_eq(units.partials, partials);
    size_t index = 0, n_floats = 0;
    for (size_t r = 0; r < s->batch.n_slices; r++) {
        const struct slice *slice = &s->slices[r];
        uint64_t first = attention_span(&s->pass, &s->batch, layer, slice->first).begin;
        uint64_t last =
            attention_span(&s->pass, &s->batch, layer, slice->first + slice->count - 1).end;
        uint32_t n_partials = 0;
        for (uint32_t head = 0; head < shape.n_kv_heads; head++) {
            uint64_t taken = first;
            for (uint32_t part = 0; part == 0 || part < n_partials; part++, index++) {
                ck_assert_uint_lt(index, units.count);
                struct attention_unit unit = attention_unit(&s->pass, layer, &units, index);
                ck_assert_uint_eq(unit.slice, r);
                ck_assert_uint_eq(unit.kv_head, head);
                ck_assert_uint_eq(unit.part, part);
                ck_assert(unit.begin <= taken && (taken == first || unit.begin == taken));
                ck_assert(unit.end > taken || first >= last);
                taken = unit.end;
                n_partials = unit.n_partials;
                ck_assert_int_eq(n_partials > 0, partials);
                if (partials) {
                    ck_assert_uint_eq(unit.begin % KV_SEGMENT, 0);
                    ck_assert_uint_eq(unit.end - unit.begin, KV_SEGMENT);
                    ck_assert_uint_eq((size_t)(unit.partials - s->partials), n_floats);
                }
            }
            ck_assert_uint_ge(taken, last);
        }
        n_floats +=
            (size_t)n_partials * slice->count * n_heads * attend_partial_floats(shape.head_dim);
    }
    ck_assert_uint_eq(index, units.count);
    ck_assert_uint_le(n_floats, MOST_PARTIALS * n_heads * attend_partial_floats(shape.head_dim));
}

START_TEST(long_contexts_of_few_rows_are_cut_in_segments)
{
    static const int one[] = {0}, own[] = {0, 1, 2}, same[] = {0, 0, 0, 0};
    struct setting s;
    set(&s, 8, 2, 1, one, (const uint64_t[]){1023});
    check_units(&s, &everything, false);
    set(&s, 8, 2, 1, one, (const uint64_t[]){1024});
    check_units(&s, &everything, true);
    set(&s, 8, 2, 1, one, (const uint64_t[]){70000});
    check_units(&s, &everything, true);
    set(&s, 8, 2, 3, own, (const uint64_t[]){5, 9000, 2047});
    check_units(&s, &everything, true);
    set(&s, 8, 2, 4, same, (const uint64_t[]){1022, 1023, 1024, 1025});
    check_units(&s, &everything, true);
    set(&s, 8, 1, 3, own, (const uint64_t[]){0, 1025, 0}); /* the first position of a session */
    s.model.hparams.force_nodiag = true;
    check_units(&s, &everything, true);
}
END_TEST

START_TEST(windows_are_cut_where_they_are)
{
    static const int same[] = {0, 0, 0, 0};
    struct setting s;
    set(&s, 8, 2, 4, same, (const uint64_t[]){5000, 5001, 5002, 5003});
    check_units(&s, &window, false); /* within one segment */
    set(&s, 8, 2, 4, same, (const uint64_t[]){5118, 5119, 5120, 5121});
    check_units(&s, &window, true);
    struct attention_units units = attention_units(&s.pass, &s.batch, &window, MANY_THREADS);
    ck_assert_uint_eq(units.count, 4);
}
END_TEST

/* The sinks come first, and only where the context window has moved on. */
START_TEST(sinks_are_the_first_partial)
{
    static const int own[] = {0, 1, 1};
    struct setting s;
    set(&s, 8, 2, 3, own, (const uint64_t[]){1500, 1999, 2000});
    s.cache.paging.windows = (struct windows){.context = 2000, .n_sinks = 7};
    struct attention_units units = attention_units(&s.pass, &s.batch, &everything, MANY_THREADS);
    ck_assert(units.partials);
    ck_assert_uint_eq(units.count, 2 * 2 + 2 * 3);
    for (size_t i = 0; i < units.count; i++) {
        struct attention_unit unit = attention_unit(&s.pass, &everything, &units, i);
        const bool sinks = unit.slice == 1 && unit.part == 0;
        const uint64_t segment = unit.part - (unit.slice == 1);
        ck_assert_uint_eq(unit.n_partials, 2 + unit.slice);
        ck_assert_int_eq(unit.sinks, sinks);
        ck_assert_uint_eq(unit.begin, sinks ? 0 : segment * KV_SEGMENT);
        ck_assert_uint_eq(unit.end, sinks ? 0 : (segment + 1) * KV_SEGMENT);
    }
    ck_assert(!attention_has_sinks(&s.pass, &s.batch, &everything, &s.slices[0]));
    ck_assert(attention_has_sinks(&s.pass, &s.batch, &everything, &s.slices[1]));
    ck_assert(attention_sinks(&s.pass, &s.batch, &everything, 1).end == 0);
    ck_assert(attention_sinks(&s.pass, &s.batch, &everything, 2).end == 7);
    /* A window within one segment is not worth the cut. */
    s.cache.paging.windows.context = 400;
    ck_assert(!attention_units(&s.pass, &s.batch, &everything, MANY_THREADS).partials);
}
END_TEST

START_TEST(rotations_are_right_at_any_position)
{
    static const uint64_t positions[] = {1, 511, (1u << 24) + 1, UINT32_MAX};
    struct setting s;
    const double frequencies[] = {1, 0.316227766};
    float cosines[3], sines[3];
    memset(&s.model, 0, sizeof s.model);
    s.model.hparams.n_ropes = 2; /* the second one stands behind the first */
    s.model.ropes[0] = (struct rope){2, 0, frequencies, 1};
    s.model.ropes[1] = (struct rope){1, 2, &frequencies[1], 1.25}; /* as scaled ropes have it */
    for (size_t i = 0; i < COUNT(positions); i++) {
        rotation_compute(&s.model, positions[i], (struct rotation){cosines, sines});
        for (size_t d = 0; d < 3; d++) {
            const long double angle = (long double)positions[i] * frequencies[d < 2 ? d : 1];
            const long double magnitude = d < 2 ? 1 : 1.25L;
            ck_assert(fabsl((long double)cosines[d] - magnitude * cosl(angle)) < 1e-6L);
            ck_assert(fabsl((long double)sines[d] - magnitude * sinl(angle)) < 1e-6L);
        }
    }
}
END_TEST

START_TEST(more_parts_than_there_is_room_for_are_not_cut)
{
    static const int one[] = {0}, same[] = {0, 0, 0, 0};
    const uint64_t most = (uint64_t)MOST_PARTIALS * KV_SEGMENT;
    struct setting s;
    set(&s, 8, 2, 1, one, (const uint64_t[]){most - 1});
    check_units(&s, &everything, true);
    set(&s, 8, 2, 1, one, (const uint64_t[]){most});
    check_units(&s, &everything, false);
    set(&s, 8, 2, 1, one, (const uint64_t[]){UINT64_MAX / 2});
    check_units(&s, &everything, false);
    const uint64_t a_row = most / 4;
    set(&s, 8, 2, 4, same, (const uint64_t[]){a_row - 4, a_row - 3, a_row - 2, a_row - 1});
    check_units(&s, &everything, true);
    set(&s, 8, 2, 4, same, (const uint64_t[]){a_row - 3, a_row - 2, a_row - 1, a_row});
    check_units(&s, &everything, false);
}
END_TEST

START_TEST(nothing_is_cut_that_threads_would_not_gain_from)
{
    static const int one[] = {0};
    struct setting s;
    set(&s, 8, 4, 1, one, (const uint64_t[]){9000});
    ck_assert(!attention_units(&s.pass, &s.batch, &everything, 1).partials);
    ck_assert(!attention_units(&s.pass, &s.batch, &everything, 2).partials); /* two units each */
    ck_assert(attention_units(&s.pass, &s.batch, &everything, 3).partials);
    s.pass.few = false;
    ck_assert(!attention_units(&s.pass, &s.batch, &everything, MANY_THREADS).partials);
}
END_TEST

START_TEST(slices_are_rows_of_a_session_that_a_kernel_takes_at_once)
{
    static const int two[] = {0, 0, 1, 1};
    static const uint64_t at[] = {7, 8, 0, 1};
    struct setting s;
    set(&s, 8, 2, 4, two, at); /* 4 heads for each KV head: 8 rows at once */
    ck_assert_uint_eq(s.batch.n_slices, 2);
    ck_assert(s.batch.slices_alone);
    set(&s, 32, 1, 4, two, at); /* 32: one row */
    ck_assert_uint_eq(s.batch.n_slices, 4);
    ck_assert(!s.batch.slices_alone);
    set(&s, 40, 1, 4, two, at); /* more than a kernel takes */
    ck_assert_uint_eq(s.batch.n_slices, 4);
    ck_assert_uint_eq(attention_heads_at_once(&s.model, &everything), KV_MAX_QUERIES);
}
END_TEST

static void add_all(Suite *suite)
{
    const TTest *const tests[] = {long_contexts_of_few_rows_are_cut_in_segments,
                                  windows_are_cut_where_they_are,
                                  sinks_are_the_first_partial,
                                  rotations_are_right_at_any_position,
                                  more_parts_than_there_is_room_for_are_not_cut,
                                  nothing_is_cut_that_threads_would_not_gain_from,
                                  slices_are_rows_of_a_session_that_a_kernel_takes_at_once};
    add_tests(suite, "attention units", tests, COUNT(tests));
}

TEST_MAIN("attention_units", add_all)
