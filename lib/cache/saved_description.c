/*
 * Writes the description of saved sessions, and compares one with a cache. See
 * saved_description.h.
 */
#include "cache/saved_description.h"

#include "base/reader.h"
#include "base/status.h"
#include "model/fingerprint.h"

#include <string.h>

const struct frame_kind saved_sessions = {"LCKVSAVE", 2, "saved sessions"};

#define MOST_NAME 64 /* bytes of a model's or a kernel set's name */
#define VERSION_NUMBER (LCKV_VERSION_MAJOR * 10000 + LCKV_VERSION_MINOR * 100 + LCKV_VERSION_PATCH)

/* The numbers of a description, in the order in which they are written. */
enum fact {
    FACT_LAYERS, /* these are the model's, as a mismatch names them */
    FACT_SLOTS,
    FACT_KV_HEADS,
    FACT_HEAD_DIM,
    FACT_VOCAB,
    FACT_SLIDING_WINDOW,
    FACT_CONTEXT_WINDOW, /* from here on, the cache's */
    FACT_SINKS,
    FACT_KEY_DTYPE,
    FACT_VALUE_DTYPE,
    FACT_PRECISION,
    FACT_OPENBLAS,
    FACT_VERSION,
    FACTS
};
static const char *const fact_names[] = {"n_layers", "n_slots", "n_kv_heads",
                                         "head_dim", "n_vocab", "sliding_window"};

static void collect(const struct lckv_cache *cache, uint32_t facts[FACTS])
{
    const struct lckv_model *model = cache->model;
    facts[FACT_LAYERS] = model->plan->n_layers;
    facts[FACT_SLOTS] = model->plan->n_slots;
    facts[FACT_KV_HEADS] = model->hparams.widest.n_kv_heads;
    facts[FACT_HEAD_DIM] = model->hparams.widest.head_dim;
    facts[FACT_VOCAB] = model->hparams.n_vocab;
    facts[FACT_SLIDING_WINDOW] = model_sliding_window(model);
    facts[FACT_CONTEXT_WINDOW] = cache->paging.windows.context;
    facts[FACT_SINKS] = cache->paging.windows.n_sinks;
    facts[FACT_KEY_DTYPE] = (uint32_t)cache->layouts[0].keys.dtype;
    facts[FACT_VALUE_DTYPE] = (uint32_t)cache->layouts[0].values.dtype;
    facts[FACT_PRECISION] = (uint32_t)model->precision;
    facts[FACT_OPENBLAS] = model->use_openblas;
    facts[FACT_VERSION] = VERSION_NUMBER;
}

static lckv_status put_text(struct frame_writer *writer, const char *text, size_t length)
{
    length = length < MOST_NAME ? length : MOST_NAME;
    lckv_status status = frame_put_u32(writer, (uint32_t)length);
    return status == LCKV_OK ? frame_put(writer, text, length) : status;
}

lckv_status saved_description_put(struct frame_writer *writer, const struct lckv_cache *cache,
                                  struct saved_counts counts)
{
    const struct lckv_model *model = cache->model;
    uint32_t facts[FACTS];
    uint64_t fingerprint;
    lckv_status status = model_fingerprint(model, &fingerprint);
    if (status == LCKV_OK)
        status = frame_put_u64(writer, fingerprint);
    collect(cache, facts);
    for (int i = 0; status == LCKV_OK && i < FACTS; i++)
        status = frame_put_u32(writer, facts[i]);
    if (status == LCKV_OK)
        status = put_text(writer, model->hparams.name.bytes, model->hparams.name.length);
    if (status == LCKV_OK)
        status = put_text(writer, model->kernels->name, strlen(model->kernels->name));
    if (status == LCKV_OK)
        status = frame_put_u32(writer, counts.n_sessions);
    return status == LCKV_OK ? frame_put_u64(writer, counts.note_bytes) : status;
}

/* A description as it was read. */
struct saved_description {
    uint64_t fingerprint;
    uint32_t facts[FACTS];
    char name[MOST_NAME + 1], kernel_set[MOST_NAME + 1];
};

/* Reads a text with a NUL behind it. */
static lckv_status get_text(struct frame_reader *reader, char text[MOST_NAME + 1])
{
    uint8_t bytes[4];
    struct reader fields;
    lckv_status status = frame_get(reader, bytes, sizeof bytes);
    if (status != LCKV_OK)
        return status;
    reader_init(&fields, bytes, sizeof bytes, reader->kind.what);
    const uint32_t length = reader_u32(&fields, "length of a name");
    if (length > MOST_NAME)
        return fail(LCKV_BAD_FORMAT, "the %s have a name of %u bytes; expected at most %d",
                    reader->kind.what, length, MOST_NAME);
    text[length] = '\0';
    return frame_get(reader, text, length);
}

static lckv_status get(struct frame_reader *reader, struct saved_description *saved,
                       struct saved_counts *counts)
{
    uint8_t numbers[8 + 4 * FACTS], ends[12];
    struct reader fields;
    lckv_status status = frame_get(reader, numbers, sizeof numbers);
    if (status == LCKV_OK)
        status = get_text(reader, saved->name);
    if (status == LCKV_OK)
        status = get_text(reader, saved->kernel_set);
    if (status == LCKV_OK)
        status = frame_get(reader, ends, sizeof ends);
    if (status != LCKV_OK)
        return status;
    reader_init(&fields, numbers, sizeof numbers, reader->kind.what);
    saved->fingerprint = reader_u64(&fields, "fingerprint");
    for (int i = 0; i < FACTS; i++)
        saved->facts[i] = reader_u32(&fields, "description");
    reader_init(&fields, ends, sizeof ends, reader->kind.what);
    counts->n_sessions = reader_u32(&fields, "number of sessions");
    counts->note_bytes = reader_u64(&fields, "length of the note");
    return LCKV_OK;
}

static const char *type_name(uint32_t type)
{
    const struct dtype_info *info = type < DTYPE_COUNT ? dtype_info((lckv_dtype)type) : NULL;
    return info != NULL ? info->name : "unknown";
}

static const char *precision_name(uint32_t precision)
{
    return precision == LCKV_PRECISION_FULL ? "full" : "fast";
}

static const char *gemm_name(uint32_t is_openblas)
{
    return is_openblas != 0 ? "openblas" : "own";
}

static lckv_status check_model(const struct saved_description *saved, const uint32_t ours[FACTS],
                               const struct lckv_model *model)
{
    for (size_t i = 0; i < sizeof fact_names / sizeof fact_names[0]; i++) {
        if (saved->facts[i] != ours[i])
            return fail(LCKV_MISMATCH,
                        "the saved sessions need a model with %s %u; this one has %u",
                        fact_names[i], saved->facts[i], ours[i]);
    }
    uint64_t fingerprint;
    lckv_status status = model_fingerprint(model, &fingerprint);
    if (status == LCKV_OK && saved->fingerprint != fingerprint)
        status = fail(LCKV_MISMATCH,
                      "the saved sessions belong to model %s with fingerprint %016llx; this one "
                      "has %016llx: its plan, its weights or their types differ",
                      quoted_string(saved->name).text, (unsigned long long)saved->fingerprint,
                      (unsigned long long)fingerprint);
    return status;
}

static lckv_status check_cache(const struct saved_description *saved, const uint32_t ours[FACTS])
{
    if (saved->facts[FACT_CONTEXT_WINDOW] != ours[FACT_CONTEXT_WINDOW] ||
        saved->facts[FACT_SINKS] != ours[FACT_SINKS])
        return fail(LCKV_MISMATCH,
                    "the saved sessions have context_window %u and n_sinks %u; this cache has %u "
                    "and %u (0: none): create it with those of the sessions",
                    saved->facts[FACT_CONTEXT_WINDOW], saved->facts[FACT_SINKS],
                    ours[FACT_CONTEXT_WINDOW], ours[FACT_SINKS]);
    if (saved->facts[FACT_KEY_DTYPE] == ours[FACT_KEY_DTYPE] &&
        saved->facts[FACT_VALUE_DTYPE] == ours[FACT_VALUE_DTYPE])
        return LCKV_OK;
    return fail(LCKV_MISMATCH,
                "the saved sessions have keys in %s and values in %s; this cache has %s and %s: "
                "create it with the types of the sessions",
                type_name(saved->facts[FACT_KEY_DTYPE]), type_name(saved->facts[FACT_VALUE_DTYPE]),
                type_name(ours[FACT_KEY_DTYPE]), type_name(ours[FACT_VALUE_DTYPE]));
}

static bool same_kernels(const struct saved_description *saved, const uint32_t ours[FACTS],
                         const char *kernel_set)
{
    return strcmp(saved->kernel_set, kernel_set) == 0 &&
           saved->facts[FACT_PRECISION] == ours[FACT_PRECISION] &&
           saved->facts[FACT_OPENBLAS] == ours[FACT_OPENBLAS];
}

lckv_status saved_description_check(struct frame_reader *reader, const struct lckv_cache *cache,
                                    bool any_kernels, struct saved_counts *counts, bool *is_exact)
{
    struct saved_description saved;
    const char *kernel_set = cache->model->kernels->name;
    uint32_t ours[FACTS];
    lckv_status status = get(reader, &saved, counts);
    if (status != LCKV_OK)
        return status;
    collect(cache, ours);
    status = check_model(&saved, ours, cache->model);
    if (status == LCKV_OK)
        status = check_cache(&saved, ours);
    if (status != LCKV_OK)
        return status;
    const bool same = same_kernels(&saved, ours, kernel_set);
    *is_exact = same && saved.facts[FACT_VERSION] == VERSION_NUMBER;
    if (same || any_kernels)
        return LCKV_OK;
    return fail(LCKV_MISMATCH,
                "the saved sessions were computed with kernel set %s, precision %s, gemm %s; this "
                "model has %s, %s, %s, which rounds differently: open it as it was then, or set "
                "any_kernels",
                quoted_string(saved.kernel_set).text, precision_name(saved.facts[FACT_PRECISION]),
                gemm_name(saved.facts[FACT_OPENBLAS]), kernel_set,
                precision_name(ours[FACT_PRECISION]), gemm_name(ours[FACT_OPENBLAS]));
}
