/*
 * Which kernel sets there are, which of them this processor runs, and which one is used.
 */
#include "kernels/kernels.h"

#include "base/status.h"
#include "kernels/kernels_sets.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Which vector registers the operating system saves: bits of XCR0. */
#define XCR0_AVX 0x6u     /* the upper halves of 16 registers */
#define XCR0_AVX512 0xe6u /* and masks, upper halves of 512 bits, 16 more registers */
#define XCR0_TILES 0x60000u

static bool system_saves(uint32_t wanted)
{
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & wanted) == wanted;
}

static bool has_avx2(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d))
        return false;
    const unsigned needed = bit_OSXSAVE | bit_AVX | bit_FMA | bit_F16C;
    if ((c & needed) != needed || !system_saves(XCR0_AVX))
        return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_AVX2) != 0;
}

static bool has_avx512(void)
{
    unsigned a, b, c, d;
    const unsigned needed = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    return has_avx2() && system_saves(XCR0_AVX512) && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
           (b & needed) == needed && (c & bit_AVX512VNNI) != 0;
}

static bool has_avx512bf16(void)
{
    unsigned a, b, c, d;
    return has_avx512() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & bit_AVX512BF16) != 0;
}

/*
 * Linux lets a process use tiles once it has asked for them. Asking is left to the host program: it
 * holds for the whole process, whose signal handlers then need larger stacks.
 */
static bool tiles_are_permitted(void)
{
#if defined(__linux__) && defined(SYS_arch_prctl)
    const int get_permission = 0x1022; /* ARCH_GET_XCOMP_PERM; bits as in XCR0 */
    uint64_t permitted = 0;
    return syscall(SYS_arch_prctl, get_permission, &permitted) == 0 &&
           (permitted & XCR0_TILES) == XCR0_TILES;
#else
    return false;
#endif
}

static bool has_amx(void)
{
    const unsigned needed = 1u << 24 | 1u << 25; /* AMX-TILE, AMX-INT8 */
    unsigned a, b, c, d;
    return has_avx512() && system_saves(XCR0_TILES) && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
           (d & needed) == needed && tiles_are_permitted();
}

static bool has_amxbf16(void)
{
    const unsigned amx_bf16 = 1u << 22;
    unsigned a, b, c, d;
    return has_amx() && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & amx_bf16) != 0;
}

/*
 * Today's Intel cores start one vdpbf16ps in two cycles but two multiply-adds of float32 in each
 * cycle (measured on Sapphire Rapids). On them avx512bf16 is slower than avx512.
 */
static bool is_intel(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(0, &a, &b, &c, &d) && b == signature_INTEL_ebx && d == signature_INTEL_edx &&
           c == signature_INTEL_ecx;
}
#endif

static const struct kernels *const sets[] = {
    &kernels_portable,
#if defined(__x86_64__)
    &kernels_avx2,     &kernels_avx512, &kernels_avx512bf16, &kernels_amx, &kernels_amxbf16,
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
    if (kernels == &kernels_avx512)
        return has_avx512();
    if (kernels == &kernels_avx512bf16)
        return has_avx512bf16();
    if (kernels == &kernels_amx)
        return has_amx();
    if (kernels == &kernels_amxbf16)
        return has_amxbf16();
#endif
    return kernels == &kernels_portable;
}

/* Whether the set is worth using where it is available. */
static bool is_preferred(const struct kernels *kernels)
{
#if defined(__x86_64__)
    if (kernels == &kernels_avx512bf16)
        return !is_intel();
#endif
    (void)kernels;
    return true;
}

/*
 * Finds a set by name, among all sets or among those that run `here`. Without a name it finds the
 * best that runs here.
 */
static lckv_status choose(const char *name, bool here, const struct kernels **kernels)
{
    const char *from = "kernel set";
    if (name == NULL || name[0] == '\0') {
        name = getenv("LCKV_CPU");
        from = "LCKV_CPU";
    }
    bool any = name == NULL || name[0] == '\0';
    char names[64] = "";
    for (size_t i = N_SETS; i-- > 0;) {
        if ((any || here) && !kernels_available(sets[i]))
            continue;
        if (any ? is_preferred(sets[i]) : strcmp(name, sets[i]->name) == 0) {
            *kernels = sets[i];
            return LCKV_OK;
        }
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%s", used > 0 ? ", " : "", sets[i]->name);
    }
    return fail(LCKV_UNSUPPORTED, "%s %s is %s; expected one of: %s", from,
                quoted_string(name).text, here ? "not available here" : "unknown", names);
}

lckv_status kernels_choose(const char *name, const struct kernels **kernels)
{
    return choose(name, true, kernels);
}

lckv_status kernels_find(const char *name, const struct kernels **kernels)
{
    return choose(name, false, kernels);
}

const struct kernels *kernels_any(void)
{
    const struct kernels *kernels;
    return kernels_choose(NULL, &kernels) == LCKV_OK ? kernels : &kernels_portable;
}

enum input_form kernels_input(const struct kernels *kernels, lckv_dtype dtype, bool fast)
{
    if (fast && dtype == LCKV_DTYPE_BF16 && kernels->multiply_bf16 != NULL)
        return INPUT_BF16;
    return fast && kernels->multiply_int8[dtype] != NULL ? INPUT_INT8 : INPUT_FLOAT;
}

multiply_function kernels_multiply(const struct kernels *kernels, lckv_dtype dtype, bool fast)
{
    switch (kernels_input(kernels, dtype, fast)) {
    case INPUT_INT8:
        return kernels->multiply_int8[dtype];
    case INPUT_BF16:
        return kernels->multiply_bf16;
    default:
        return kernels->multiply_full[dtype];
    }
}

void gelu_gate(float *gate, const float *up, size_t n)
{
    const float half_root = 0.707106781f;
    for (size_t i = 0; i < n; i++)
        gate[i] = 0.5f * gate[i] * (1.0f + erff(gate[i] * half_root)) * up[i];
}

/* Fills whole blocks, from block `first` on, with n values. */
static void prepare_blocks(const struct kernels *kernels, const struct activations *x, size_t row,
                           size_t first, const float *values, size_t n)
{
    if (x->int8 != NULL) {
        struct panel_row to = panel_row(x->int8, INT8_BLOCK_BYTES, x->columns, x->n_rows, row);
        to.panel += first * to.height * INT8_BLOCK_BYTES;
        kernels->quantize(values, n, to);
    }
    if (x->bf16 != NULL) {
        struct panel_row to = panel_row(x->bf16, BF16_BLOCK_BYTES, x->columns, x->n_rows, row);
        to.panel += first * to.height * BF16_BLOCK_BYTES;
        kernels->round_bf16(values, n, to);
    }
}

void kernels_prepare(const struct kernels *kernels, const struct activations *x, size_t row,
                     size_t begin, size_t end)
{
    const float *values = x->values + row * x->stride;
    const size_t rest = end % ACTIVATION_BLOCK, whole = end - rest;
    if (whole > begin)
        prepare_blocks(kernels, x, row, begin / ACTIVATION_BLOCK, values + begin, whole - begin);
    if (rest > 0) {
        float last[ACTIVATION_BLOCK] = {0};
        memcpy(last, values + whole, rest * sizeof *last);
        prepare_blocks(kernels, x, row, whole / ACTIVATION_BLOCK, last, ACTIVATION_BLOCK);
    }
}
