/*
 * Finds out whether runs go faster in company or alone. See company.h.
 */
#include "base/company.h"

#define TRIAL_RUNS 4
#define TRIAL_NANOSECONDS 20000000 /* several of the time slices that other programs take */
#define STAY_NANOSECONDS (10 * TRIAL_NANOSECONDS)
#define STALLED_SHARE 0.1 /* runs that stall for more of their time in company are tried alone */

static void begin_period(struct company *company, bool alone, int64_t period)
{
    company->alone = alone;
    company->period = period;
    company->elapsed = company->stalled = 0;
    company->n_runs = 0;
}

bool company_alone(struct company *company, uint32_t kind)
{
    if (company->kind != kind) {
        company->kind = kind;
        company->estimate[false] = company->estimate[true] = 0;
        begin_period(company, false, TRIAL_NANOSECONDS);
    }
    return kind != 0 && company->alone;
}

void company_learn(struct company *company, int64_t elapsed, int64_t stalled)
{
    const bool alone = company->alone;
    company->elapsed += elapsed;
    company->stalled += stalled;
    if (++company->n_runs < TRIAL_RUNS || company->elapsed < company->period)
        return;
    const double mean = (double)company->elapsed / company->n_runs;
    double *estimate = &company->estimate[alone], *other = &company->estimate[!alone];
    *estimate = *estimate > 0 ? (*estimate + mean) / 2 : mean;
    if (!alone && (double)company->stalled < STALLED_SHARE * (double)company->elapsed) {
        *other = 0; /* it was measured when the machine was busier */
        begin_period(company, false, TRIAL_NANOSECONDS);
    } else if (*other == 0 || company->period == STAY_NANOSECONDS) {
        begin_period(company, !alone, TRIAL_NANOSECONDS);
    } else {
        begin_period(company, company->estimate[true] < company->estimate[false], STAY_NANOSECONDS);
    }
}
