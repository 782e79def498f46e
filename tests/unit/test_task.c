/*
 * Claims: every unit of a step goes to one worker, own shares in order, whatever the number of
 * units, workers and pieces.
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
    struct claims claims[WORKERS * CLAIM_STEPS];
    size_t count, align, most;
    _Atomic int taken[STEPS][MOST_UNITS];
};

static void begin(struct setting *s, size_t count, size_t align, size_t most)
{
    memset(s->claims, 0, sizeof s->claims);
    memset(s->taken, 0, sizeof s->taken);
    s->workspace = (struct workspace){.claims = s->claims};
    s->pass = (struct pass){.workspace = &s->workspace, .few = true};
    s->count = count;
    s->align = align;
    s->most = most;
}

static struct task task_of(struct setting *s, const struct worker *worker)
{
    return (struct task){.worker = worker, .pass = &s->pass};
}

static bool claim(struct setting *s, struct task *task, struct range *range)
{
    if (!task_claim(task, s->count, s->align, s->most, range))
        return false;
    ck_assert_uint_lt(range->begin, range->end);
    ck_assert_uint_le(range->end, s->count);
    ck_assert_uint_le(range->end - range->begin, s->most);
    ck_assert_uint_eq(range->begin % s->align, 0);
    ck_assert(range->end % s->align == 0 || range->end == s->count);
    for (size_t i = range->begin; i < range->end; i++)
        ck_assert_int_eq(atomic_fetch_add(&s->taken[task->step][i], 1), 0);
    return true;
}

static void check_all_taken(struct setting *s, size_t step)
{
    for (size_t i = 0; i < s->count; i++)
        ck_assert_int_eq(s->taken[step][i], 1);
}

/* One worker after the other: the first takes its share in order, then all that is left. */
START_TEST(a_lone_worker_takes_everything)
{
    static const size_t aligns[] = {1, 4, 8}, mosts[] = {8, 16, SIZE_MAX};
    static struct setting s;
    for (size_t i = 0; i < COUNT(aligns) * COUNT(mosts); i++) {
        for (size_t count = 0; count <= MOST_UNITS; count++) {
            begin(&s, count, aligns[i % COUNT(aligns)], mosts[i / COUNT(aligns)]);
            const struct worker worker = {NULL, 2, WORKERS};
            struct task task = task_of(&s, &worker);
            struct range range, share = task_own(&task, count, s.align);
            size_t at = share.begin;
            while (at < share.end) {
                ck_assert(claim(&s, &task, &range));
                ck_assert_uint_eq(range.begin, at);
                at = range.end;
            }
            while (claim(&s, &task, &range))
                ck_assert(range.end <= share.begin || range.begin >= at);
            check_all_taken(&s, 0);
        }
    }
}
END_TEST

static void claim_in_steps(const struct worker *worker, void *context)
{
    struct setting *s = context;
    struct task task = task_of(s, worker);
    struct range range;
    for (int step = 0; step < STEPS; step++) {
        while (claim(s, &task, &range))
            ;
        task_barrier(&task);
        check_all_taken(s, (size_t)step);
    }
}

START_TEST(workers_share_every_step)
{
    static struct setting s;
    ck_assert_ok(pool_create(WORKERS, &memory_default_allocator, &s.pool));
    for (size_t count = 0; count <= MOST_UNITS; count++) {
        begin(&s, count, count % 2 == 0 ? 1 : 4, count % 3 == 0 ? 8 : SIZE_MAX);
        pool_run(s.pool, claim_in_steps, &s);
    }
    pool_release(s.pool);
}
END_TEST

static void add_all(Suite *suite)
{
    const TTest *const tests[] = {a_lone_worker_takes_everything, workers_share_every_step};
    add_tests(suite, "task", tests, COUNT(tests));
}

TEST_MAIN("task", add_all)
