/*
 * Steps: every unit goes to one worker, and own shares are taken in order, whatever the number of
 * units, workers and pieces. A step needs no worker that claims nothing; a late worker joins at the
 * present step.
 */
#include "engine/task.h"

#include "base/pool.h"

#include <stdatomic.h>

#include "support.h"

enum { WORKERS = 5, MOST_UNITS = 70, STEPS = 7 };

struct setting {
    struct lckv_pool *pool;
    struct pass pass;
    struct workspace workspace;
    struct claims claims[WORKERS];
    struct step_count step_count;
    size_t count, align, most;
    _Atomic int taken[STEPS][MOST_UNITS];
};

static void begin(struct setting *s, size_t count, size_t align, size_t most)
{
    memset(s->claims, 0, sizeof s->claims);
    memset(s->taken, 0, sizeof s->taken);
    s->workspace = (struct workspace){.claims = s->claims, .step = &s->step_count};
    s->pass = (struct pass){.workspace = &s->workspace};
    s->count = count;
    s->align = align;
    s->most = most;
}

static bool claim(struct setting *s, struct step *step, struct range *range)
{
    if (!step_claim(step, range))
        return false;
    ck_assert_uint_lt(range->begin, range->end);
    ck_assert_uint_le(range->end, s->count);
    ck_assert_uint_le(range->end - range->begin, s->most);
    ck_assert_uint_eq(range->begin % s->align, 0);
    ck_assert(range->end % s->align == 0 || range->end == s->count);
    for (size_t i = range->begin; i < range->end; i++)
        ck_assert_int_eq(atomic_fetch_add(&s->taken[step->task->n_steps][i], 1), 0);
    return true;
}

static void check_all_taken(struct setting *s, size_t step)
{
    for (size_t i = 0; i < s->count; i++)
        ck_assert_int_eq(s->taken[step][i], 1);
}

/*
 * Workers go one after the other: the first takes its own share in order, and then all that is
 * left.
 */
START_TEST(a_lone_worker_takes_everything)
{
    static const size_t aligns[] = {1, 4, 8}, mosts[] = {8, 16, SIZE_MAX};
    static struct setting s;
    ck_assert_ok(pool_create(WORKERS, &memory_default_allocator, &s.pool));
    for (size_t i = 0; i < COUNT(aligns) * COUNT(mosts); i++) {
        for (size_t count = 0; count <= MOST_UNITS; count++) {
            begin(&s, count, aligns[i % COUNT(aligns)], mosts[i / COUNT(aligns)]);
            const struct worker worker = {.pool = s.pool, .index = 2, .count = WORKERS};
            struct task task = task_begin(&worker, &s.pass);
            struct step step = step_begin(&task, count, s.align, s.most);
            struct range range, share = task_own(&task, count, s.align);
            size_t at = share.begin;
            while (at < share.end) {
                ck_assert(claim(&s, &step, &range));
                ck_assert_uint_eq(range.begin, at);
                at = range.end;
            }
            while (claim(&s, &step, &range))
                ck_assert(range.end <= share.begin || range.begin >= at);
            check_all_taken(&s, 0);
        }
    }
    pool_release(s.pool);
}
END_TEST

/* The pool runs nothing: worker 0 goes through all steps alone, then worker 1 begins. */
START_TEST(a_late_worker_joins_at_the_present_step)
{
    static struct setting s;
    ck_assert_ok(pool_create(2, &memory_default_allocator, &s.pool));
    begin(&s, MOST_UNITS, 1, SIZE_MAX);
    const struct worker workers[] = {{.pool = s.pool, .index = 0, .count = 2},
                                     {.pool = s.pool, .index = 1, .count = 2}};
    struct task first = task_begin(&workers[0], &s.pass);
    struct task late = task_begin(&workers[1], &s.pass);
    struct range range;
    for (size_t i = 0; i + 1 < STEPS; i++) {
        struct step step = step_begin(&first, s.count, s.align, s.most);
        while (claim(&s, &step, &range))
            ;
        step_end(&step);
        ck_assert_uint_eq(first.n_steps, i + 1);
        check_all_taken(&s, i);
    }
    struct step present = step_begin(&first, s.count, s.align, s.most);
    ck_assert(claim(&s, &present, &range));
    for (size_t i = 0; i + 1 < STEPS; i++) {
        struct step over = step_begin(&late, s.count, s.align, s.most);
        ck_assert(!claim(&s, &over, &range));
        step_end(&over);
        struct step none = step_begin(&late, 0, 1, 1);
        ck_assert(!claim(&s, &none, &range));
        step_end(&none); /* an empty step is none for any worker */
    }
    struct step joined = step_begin(&late, s.count, s.align, s.most);
    ck_assert(claim(&s, &joined, &range));
    ck_assert_uint_eq(range.begin, s.count / 2);
    while (claim(&s, &joined, &range))
        ;
    check_all_taken(&s, STEPS - 1);
    pool_release(s.pool);
}
END_TEST

/* There are more units than a word of claims can count, so pieces get larger. */
START_TEST(many_units_are_claimed_in_larger_pieces)
{
    static struct setting s;
    enum { UNITS = 5 * TASK_MOST_PIECES + 3 };
    ck_assert_ok(pool_create(WORKERS, &memory_default_allocator, &s.pool));
    begin(&s, UNITS, 1, 1);
    const struct worker worker = {.pool = s.pool, .count = 1};
    struct task task = task_begin(&worker, &s.pass);
    struct step step = step_begin(&task, UNITS, 1, 1);
    struct range range;
    size_t at = 0;
    for (; step_claim(&step, &range); at = range.end)
        ck_assert_uint_eq(range.begin, at);
    ck_assert_uint_eq(at, UNITS);
    pool_release(s.pool);
}
END_TEST

static void claim_in_steps(const struct worker *worker, void *context)
{
    struct setting *s = context;
    struct task task = task_begin(worker, &s->pass);
    struct range range;
    for (size_t i = 0; i < STEPS; i++) {
        struct step step = step_begin(&task, s->count, s->align, s->most);
        while (claim(s, &step, &range))
            ;
        step_end(&step);
        if (!task.left)
            check_all_taken(s, i);
    }
}

START_TEST(workers_share_every_step)
{
    static struct setting s;
    ck_assert_ok(pool_create(WORKERS, &memory_default_allocator, &s.pool));
    for (size_t count = 0; count <= MOST_UNITS; count++) {
        begin(&s, count, count % 2 == 0 ? 1 : 4, count % 3 == 0 ? 8 : SIZE_MAX);
        pool_run(s.pool, 0, claim_in_steps, &s);
    }
    pool_release(s.pool);
}
END_TEST

static void add_all(Suite *suite)
{
    const TTest *const tests[] = {
        a_lone_worker_takes_everything, a_late_worker_joins_at_the_present_step,
        many_units_are_claimed_in_larger_pieces, workers_share_every_step};
    add_tests(suite, "task", tests, COUNT(tests));
}

TEST_MAIN("task", add_all)
