/*
 * Prints what is known about a plan and its memory, as text or as JSON.
 */
#ifndef TOOLS_PLAN_REPORT_H
#define TOOLS_PLAN_REPORT_H

#include "lckv.h"

#include <stdbool.h>

struct plan_answer {
    const lckv_plan *plan;
    lckv_plan_info info;
    bool is_assumed; /* n_kv_heads or head_dim is a guess */
    lckv_memory_request request;
    lckv_memory_report report;
    bool has_cache; /* `cache` tells of the model's own plan and the memory asked about */
    lckv_cache_estimate_report cache;
    char *text;
    char *picture;
};

/* Each complains and returns an exit status. */
int plan_print_text(const struct plan_answer *answer);
int plan_print_json(const struct plan_answer *answer);

#endif
