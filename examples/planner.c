/*
 * The memory planner shows what layer plans cost for one model shape, before any model is trained.
 * It needs no model file.
 *
 *     cc planner.c $(pkg-config --cflags --libs lckv) -o planner && ./planner
 */
#include <inttypes.h>
#include <lckv.h>
#include <stdio.h>
#include <string.h>

/* 16 layers, 8 KV heads of 128 elements, f16 keys and values, 8192 tokens in a session, 16 GiB. */
static const struct {
    const char *name, *plan;
} plans[] = {
    {"standard", "0_1_2_3_4_5_6_7_8_9_10_11_12_13_14_15"},
    {"CLA-2", "0_0_2_2_4_4_6_6_8_8_10_10_12_12_14_14"},
    {"YOCO-like", "0s_1s_2s_3s_4s_5s_6s_7_7_7_7_7_7_7_7_7"},
    {"LCKV, w = 2", "0_14_14_14_14_14_14_14_14_14_14_14_14_14_14_15"},
};

int main(void)
{
    printf("%-12s %6s %12s %14s %9s\n", "plan", "slots", "bytes/token", "MiB/session", "sessions");
    for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++) {
        lckv_plan *plan;
        lckv_plan_info info = {.size = sizeof info};
        lckv_memory_report report = {.size = sizeof report};
        if (lckv_plan_parse(plans[i].plan, strlen(plans[i].plan), 16, &plan)) {
            fprintf(stderr, "%s\n", lckv_last_error());
            return 1;
        }
        lckv_memory_request request = {.size = sizeof request,
                                       .plan = plan,
                                       .n_kv_heads = 8,
                                       .head_dim = 128,
                                       .sliding_window = 1024,
                                       .context = 8192,
                                       .budget_bytes = (uint64_t)16 << 30};
        int failed = lckv_plan_get_info(plan, &info) || lckv_memory_estimate(&request, &report);
        lckv_plan_release(plan);
        if (failed) {
            fprintf(stderr, "%s\n", lckv_last_error());
            return 1;
        }
        printf("%-12s %6" PRIu32 " %12" PRIu64 " %14.1f %9" PRIu64 "\n", plans[i].name,
               info.n_slots, report.bytes_per_token, (double)report.bytes_per_session / (1 << 20),
               report.sessions_that_fit);
    }
    return 0;
}
