/*
 * Which kernel sets there are, which of them this processor runs, and which one is used.
 */
#include "kernels/kernels.h"

#include "base/status.h"
#include "kernels/kernels_sets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>

/* The operating system saves the upper halves of the vector registers (XCR0 bits 1 and 2). */
static bool system_saves_avx(void)
{
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & 6) == 6;
}

static bool has_avx2(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d))
        return false;
    const unsigned needed = bit_OSXSAVE | bit_AVX | bit_FMA | bit_F16C;
    if ((c & needed) != needed || !system_saves_avx())
        return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_AVX2) != 0;
}
#endif

static const struct kernels *const sets[] = {
    &kernels_portable,
#if defined(__x86_64__)
    &kernels_avx2,
#endif
};
#define N_SETS (sizeof sets / sizeof sets[0])

const struct kernels *const *kernels_all(size_t *count)
{
    *count = N_SETS;
    return sets;
}

bool kernels_available(const struct kernels *kernels)
{
#if defined(__x86_64__)
    if (kernels == &kernels_avx2)
        return has_avx2();
#endif
    return kernels == &kernels_portable;
}

lckv_status kernels_choose(const char *name, const struct kernels **kernels)
{
    const char *from = "kernel set";
    if (name == NULL || name[0] == '\0') {
        name = getenv("LCKV_CPU");
        from = "LCKV_CPU";
    }
    bool any = name == NULL || name[0] == '\0';
    char names[64] = "";
    for (size_t i = N_SETS; i-- > 0;) {
        if (!kernels_available(sets[i]))
            continue;
        if (any || strcmp(name, sets[i]->name) == 0) {
            *kernels = sets[i];
            return LCKV_OK;
        }
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%s", used > 0 ? ", " : "", sets[i]->name);
    }
    return fail(LCKV_UNSUPPORTED, "%s %s is not available here; expected one of: %s", from,
                quoted_string(name).text, names);
}

multiply_function kernels_multiply(const struct kernels *kernels, lckv_dtype dtype, bool fast)
{
    multiply_function function = fast ? kernels->multiply_fast[dtype] : NULL;
    return function != NULL ? function : kernels->multiply_full[dtype];
}

bool kernels_quantizes(const struct kernels *kernels, lckv_dtype dtype)
{
    return kernels->multiply_fast[dtype] != NULL;
}
