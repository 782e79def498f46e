/*
 * lckv runs language models with a layer-condensed KV cache.
 *
 * Most layers of such a model have no keys and values of their own: they attend to those of a few
 * layers. lckv opens the checkpoint, keeps the keys and values of only those few layers, and
 * decodes many sequences, token by token, in a fixed amount of memory.
 *
 *     model    weights, layer plan, tokenizer; immutable, shared by any number of threads
 *     cache    the KV memory of many sessions, and the threads that compute on it
 *     session  one sequence of tokens
 *
 * Rules that hold for every function:
 *
 * - A call that can fail returns lckv_status. Results are written through pointers, and only when
 *   the status is LCKV_OK. There are three exceptions, each named where it applies: the needed size
 *   of a caller's buffer, the report of lckv_evaluate, and the arrays of its items.
 * - lckv_last_error() tells in words what was wrong with the last call that failed on this thread.
 * - Options and results are structs whose first member is their size. In options, zero or NULL in
 *   any member means its default, so `lckv_model_options o = {.size = sizeof o};` is valid, and a
 *   NULL pointer means all defaults. Struct sizes only ever grow; smaller, older ones stay valid.
 * - Text is (pointer, length) in UTF-8 and may hold any byte; paths are NUL-terminated.
 * - Handles are counted. Children hold their parents, so handles may be released in any order, from
 *   any thread, at any time; retaining and releasing NULL do nothing, and NULL has no parent. A
 *   handle is not usable after its release.
 * - A model and a plan may be used from any number of threads at once. While a call works on a
 *   cache, other calls that work on it or on its sessions return LCKV_BUSY, or wait for their turn
 *   (lckv_cache_options.waits). Calls that only ask work at any time, from any thread, and make no
 *   other call fail: those for the statistics, and for a session's length, shortest length and
 *   tokens. They tell what was before the working call, or what is after it. lckv_cache_cancel and
 *   the releases work at any time, too. Samplers and detokenizers belong to one thread at a time.
 * - Callbacks run on the calling thread. They may ask and cancel as above, but every call that
 *   works on the cache that they serve returns LCKV_BUSY. The functions of an allocator must not
 *   call lckv.
 * - A callback must return. No exception may pass through the library and no longjmp may leave it:
 *   the call would never end, and its cache would stay busy. Catch the exception, stop the call by
 *   what the callback returns, and throw the exception again after the call has returned
 *   (examples/stream.cpp).
 * - The library never prints, exits, aborts, installs handlers or changes the locale, and reads one
 *   environment variable: LCKV_CPU, the default of lckv_model_options.kernel_set.
 */
#ifndef LCKV_H
#define LCKV_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What stands before every function; define it before the header to have something else there. */
#ifndef LCKV_API
#if defined(__GNUC__)
#define LCKV_API __attribute__((visibility("default")))
#else
#define LCKV_API
#endif
#endif

/* Constants have the type that calls take, in languages that let an enum have one. */
#if defined(__cplusplus) || (defined(__STDC_VERSION__) && __STDC_VERSION__ >= 202311L)
#define LCKV_OF_INT32 : int32_t
#define LCKV_OF_UINT32 : uint32_t
#else
#define LCKV_OF_INT32
#define LCKV_OF_UINT32
#endif

/* ---- Library ------------------------------------------------------------------------------- */

#define LCKV_VERSION_MAJOR 0
#define LCKV_VERSION_MINOR 1
#define LCKV_VERSION_PATCH 0
#define LCKV_VERSION_STRING "0.1.0"

/* The version of the running library, as major * 10000 + minor * 100 + patch, and as text. */
LCKV_API uint32_t lckv_version_number(void);
LCKV_API const char *lckv_version_string(void);

typedef int32_t lckv_status;
enum LCKV_OF_INT32 {
    LCKV_OK = 0,
    LCKV_INVALID_ARGUMENT = 1,  /* an argument breaks the contract of the call */
    LCKV_OUT_OF_MEMORY = 2,     /* the allocator returned NULL */
    LCKV_IO = 3,                /* the system could not open, read or write a file */
    LCKV_BAD_FORMAT = 4,        /* a file or text is malformed */
    LCKV_UNSUPPORTED = 5,       /* something is well formed, but this version cannot do it */
    LCKV_BAD_PLAN = 6,          /* a layer plan is malformed, or the tensors contradict it */
    LCKV_CACHE_FULL = 7,        /* the cache has too few free pages, sessions or rows */
    LCKV_CANCELLED = 8,         /* lckv_cache_cancel or a callback asked to stop */
    LCKV_BUSY = 9,              /* another call is working on this cache */
    LCKV_BUFFER_TOO_SMALL = 10, /* the needed size has been written */
    LCKV_MISMATCH = 11,         /* two things that must agree do not */
    LCKV_OUT_OF_WINDOW = 12,    /* the position is older than what windowed layers keep */
    LCKV_INTERNAL = 13          /* a defect of the library */
};

/* "LCKV_OK", "LCKV_INVALID_ARGUMENT", ...; "unknown status" for any other number. */
LCKV_API const char *lckv_status_name(lckv_status status);

/*
 * The message of the last failed call on this thread: what was wrong, where, and what was expected.
 * It is never NULL, a success does not clear it, and it is valid until the next failure on this
 * thread.
 */
LCKV_API const char *lckv_last_error(void);

/*
 * Copies that message, cut to `capacity` - 1 bytes and NUL-terminated, for callers that cannot hold
 * the pointer. Returns the length of the whole message. `buffer` may be NULL if `capacity` is 0.
 */
LCKV_API size_t lckv_last_error_copy(char *buffer, size_t capacity);

/*
 * The kernel sets, in the order of the instructions that they need: "portable" is always first.
 * lckv_kernel_set_name gives the name of set `index`, or NULL past the end;
 * lckv_kernel_set_available says whether this processor can run a set. For "amx" and "amxbf16" the
 * process must have asked Linux for tiles (docs/guide.md), which the library never does.
 */
LCKV_API const char *lckv_kernel_set_name(size_t index);
LCKV_API int32_t lckv_kernel_set_available(const char *name);

typedef int32_t lckv_dtype; /* element types of weights and of keys and values */
enum LCKV_OF_INT32 {
    LCKV_DTYPE_DEFAULT = 0, /* in options: let the call choose */
    LCKV_DTYPE_F32 = 1,
    LCKV_DTYPE_F16 = 2,
    LCKV_DTYPE_BF16 = 3,
    LCKV_DTYPE_Q8_0 = 4,
    LCKV_DTYPE_Q4_0 = 5,
    LCKV_DTYPE_Q4_1 = 6,
    LCKV_DTYPE_Q6_K = 7,
    LCKV_DTYPE_Q4_K = 8,
    LCKV_DTYPE_Q5_K = 9,
    LCKV_DTYPE_Q2_K = 10,
    LCKV_DTYPE_Q3_K = 11,
    LCKV_DTYPE_Q5_0 = 12,
    LCKV_DTYPE_Q5_1 = 13,
    LCKV_DTYPE_IQ4_NL = 14,
    LCKV_DTYPE_IQ4_XS = 15,
    LCKV_DTYPE_MXFP4 = 16,
    LCKV_DTYPE_F8_E4M3 =
        17 /* of safetensors; such weights become BF16 in memory and in GGUF files */
};

/* "f32", "q4_0", ...; NULL for a type that this version does not know. */
LCKV_API const char *lckv_dtype_name(lckv_dtype dtype);

/* The type of that name, in upper or lower case. LCKV_UNSUPPORTED if there is none. */
LCKV_API lckv_status lckv_dtype_from_name(const char *name, lckv_dtype *dtype);

/*
 * The caller's memory. Both functions must be safe to call from several threads at once. `alloc`
 * returns `size` bytes aligned to `align` (a power of two), or NULL; `free` gets the size that was
 * asked for. All that the library allocates comes from here, PCRE2's memory for patterns included;
 * only the C library (stacks of threads) and OpenBLAS, where it is used, have memory of their own.
 */
typedef struct lckv_allocator {
    size_t size; /* sizeof(lckv_allocator) */
    void *user;
    void *(*alloc)(void *user, size_t size, size_t align);
    void (*free)(void *user, void *pointer, size_t size);
} lckv_allocator;

/*
 * Takes remarks that are no errors (a missing tokenizer key, a matrix kept in f16). A remark is one
 * line without a newline.
 */
typedef void (*lckv_log_callback)(void *user, const char *text, size_t length);

/* Is told that `done` of `total` bytes or tokens are done. Anything but 0 cancels the call. */
typedef int32_t (*lckv_progress_callback)(void *user, uint64_t done, uint64_t total);

/* ---- Layer plans --------------------------------------------------------------------------- */

/*
 * A layer plan says which layer attends to the keys and values of which. "0_6_6_6_6_6_6_7" gives
 * each of 8 layers its source layer; a trailing `s` makes a layer attend to a sliding window. Only
 * layers that are the source of some layer compute keys and values and own a cache slot.
 */
typedef struct lckv_plan lckv_plan;

/*
 * Parses and checks a plan for `n_layers` layers. If `text` is NULL (and `length` 0), it is the
 * standard plan, in which every layer is its own source. LCKV_BAD_PLAN names the wrong entry.
 */
LCKV_API lckv_status lckv_plan_parse(const char *text, size_t length, uint32_t n_layers,
                                     lckv_plan **plan);
LCKV_API void lckv_plan_retain(const lckv_plan *plan);
LCKV_API void lckv_plan_release(const lckv_plan *plan);

typedef struct lckv_plan_info {
    size_t size;
    uint32_t n_layers;
    uint32_t n_slots;          /* layers that compute keys and values */
    uint32_t n_windowed_slots; /* slots that only windowed layers read */
    uint32_t n_upward;         /* layers whose source lies above them */
    uint32_t n_groups;         /* groups of iterative encoding */
    int32_t is_standard;       /* every layer is its own source, and none is windowed */
} lckv_plan_info;
LCKV_API lckv_status lckv_plan_get_info(const lckv_plan *plan, lckv_plan_info *info);

typedef struct lckv_layer_info {
    size_t size;
    uint32_t source;      /* the layer whose keys and values this layer attends to */
    int32_t is_upward;    /* source > layer: attends to earlier positions only */
    int32_t is_windowed;  /* sliding-window attention */
    int32_t slot;         /* the slot that this layer writes, or -1 */
    uint32_t source_slot; /* the slot that this layer reads */
    uint32_t reserved;
} lckv_layer_info;
LCKV_API lckv_status lckv_plan_get_layer(const lckv_plan *plan, uint32_t layer,
                                         lckv_layer_info *info);

typedef struct lckv_slot_info {
    size_t size;
    uint32_t layer;      /* the layer that writes the slot */
    uint32_t n_readers;  /* the layers that read it */
    int32_t is_windowed; /* only windowed layers read the slot, so it forgets old tokens */
    uint32_t reserved;
} lckv_slot_info;
LCKV_API lckv_status lckv_plan_get_slot(const lckv_plan *plan, uint32_t slot, lckv_slot_info *info);

typedef struct lckv_group_info {
    size_t size;
    uint32_t first; /* the group's layers: first .. last */
    uint32_t last;
    int32_t is_cyclic; /* iterative encoding repeats it; others are computed once */
    uint32_t reserved;
} lckv_group_info;
LCKV_API lckv_status lckv_plan_get_group(const lckv_plan *plan, uint32_t group,
                                         lckv_group_info *info);

/*
 * Writes the plan in the plan language, NUL-terminated. `length` gets the length without the NUL,
 * also with LCKV_BUFFER_TOO_SMALL (capacity 0 and buffer NULL ask for it).
 */
LCKV_API lckv_status lckv_plan_text(const lckv_plan *plan, char *buffer, size_t capacity,
                                    size_t *length);

/* Draws the plan for people: a line for each layer, with what it reads and writes. */
LCKV_API lckv_status lckv_plan_describe(const lckv_plan *plan, char *buffer, size_t capacity,
                                        size_t *length);

/* ---- Memory planner ------------------------------------------------------------------------ */

/* The keys and values of one token in one layer. This struct never grows. */
typedef struct lckv_kv_shape {
    uint32_t n_kv_heads;
    uint32_t head_dim;
} lckv_kv_shape;

/* What to plan for: a plan, the shape of a model, tokens, sessions, bytes. Needs no model. */
typedef struct lckv_memory_request {
    size_t size;
    const lckv_plan *plan; /* required */
    uint32_t n_kv_heads;   /* these two are required, unless there are kv_shapes */
    uint32_t head_dim;
    lckv_dtype kv_dtype;     /* as in lckv_cache_options; 0: f16 */
    uint32_t sliding_window; /* tokens that windowed layers attend to; required if there are any */
    uint32_t rollback;       /* as in lckv_cache_options; 0: 64 */
    uint32_t page_positions; /* as in lckv_cache_options; 0: 64 */
    uint64_t context;        /* tokens of each session; 0: 4096 */
    uint64_t budget_bytes;   /* for sessions_that_fit and context_that_fits; 0: not asked */
    uint64_t n_sessions;     /* for bytes_needed and context_that_fits; 0: 1 */
    lckv_dtype v_dtype;      /* as in lckv_cache_options; 0: as kv_dtype */
    uint32_t context_window; /* these two as in lckv_cache_options */
    uint32_t n_sinks;
    uint32_t reserved;
    const lckv_kv_shape *kv_shapes; /* of each layer of the plan, if they differ; NULL: all layers
                                       have n_kv_heads and head_dim. Not more than 4 different
                                       ones: LCKV_UNSUPPORTED */
    size_t n_kv_shapes;             /* the number of layers; 0 without kv_shapes */
} lckv_memory_request;
LCKV_API lckv_status lckv_memory_request_init(lckv_memory_request *request, size_t size);

/*
 * The KV memory, in whole pages; a cache's scratch and tables come on top (lckv_cache_get_stats).
 * It is enough for sessions that begin with a prompt, encoded exactly, and then append single
 * tokens. A call that appends many tokens to a session whose windows have moved on needs more in
 * windowed slots until it has succeeded, at most as much again.
 */
typedef struct lckv_memory_report {
    size_t size;
    uint64_t bytes_per_token; /* of keys and values, in all slots */
    /* The members standard_... give the same for the standard plan. UINT64_MAX: beyond 64 bits. */
    uint64_t standard_bytes_per_token;
    uint64_t bytes_per_session; /* at `context` tokens; windowed slots keep only some of them */
    uint64_t standard_bytes_per_session;
    uint64_t bytes_needed; /* bytes_per_session x n_sessions */
    uint64_t sessions_that_fit;
    uint64_t standard_sessions_that_fit;
    uint64_t context_that_fits;    /* the most tokens that each session may have: as `context` they
                                   need no more than the budget. UINT64_MAX: there is no limit (all
                                   slots are windowed, or there is a context window). 0: not even
                                   one token fits */
    uint64_t full_bytes_per_token; /* of bytes_per_token: in slots that are not windowed. A session
                                      grows by so much with each token, once its windows are full */
} lckv_memory_report;
LCKV_API lckv_status lckv_memory_estimate(const lckv_memory_request *request,
                                          lckv_memory_report *report);

/* ---- Threads ------------------------------------------------------------------------------- */

/* Threads that read the weights of models and compute for caches, for one of them at a time. */
typedef struct lckv_pool lckv_pool;

/*
 * `n_threads` 0: one for each physical core that this process may use, but no more than its CPU
 * quota allows. Threads start with the first call.
 */
LCKV_API lckv_status lckv_pool_create(uint32_t n_threads, lckv_pool **pool);
LCKV_API void lckv_pool_retain(lckv_pool *pool);
LCKV_API void lckv_pool_release(lckv_pool *pool);

/* ---- Models -------------------------------------------------------------------------------- */

typedef struct lckv_model lckv_model;

typedef int32_t lckv_precision;
enum LCKV_OF_INT32 {
    LCKV_PRECISION_DEFAULT = 0, /* fast */
    LCKV_PRECISION_FULL = 1,    /* activations and sums are float32, whatever the weights are */
    /*
     * Activations have 8 bits where that makes kernels faster. The kernel set avx512bf16 also
     * rounds to bf16 what is multiplied by bf16: activations (by weights), queries (by keys) and
     * probabilities (by values). The set amxbf16 rounds activations.
     */
    LCKV_PRECISION_FAST = 2
};

typedef int32_t lckv_gemm;
enum LCKV_OF_INT32 {
    LCKV_GEMM_DEFAULT = 0, /* own; openblas for the portable kernel set, if built with it */
    LCKV_GEMM_OWN = 1,
    /*
     * OpenBLAS multiplies prompt chunks of 32 rows and more in precision fast. Its sums depend on
     * the shape of the product, so that feeding a prompt in another way gives logits that are only
     * nearly equal. Its serial build is not safe for two threads at once: lckv calls it under a
     * lock of its own, but a program that calls the same OpenBLAS meanwhile does not take it.
     */
    LCKV_GEMM_OPENBLAS = 2
};

typedef int32_t lckv_weights;
enum LCKV_OF_INT32 {
    /*
     * Weights of a file that is packed for the kernel set (lckv_convert) are mapped and used in
     * place; others are read into memory. Of models whose layers have embeddings of their own
     * (Gemma 4 and 3n), the table of these is mapped in any file, since a token reads one row of
     * it. A mapped file must stay as it is while the model is open: if it is truncated, or cannot
     * be read any more, the next evaluate may raise SIGBUS.
     */
    LCKV_WEIGHTS_DEFAULT = 0,
    LCKV_WEIGHTS_COPIED = 1, /* weights are always read into memory */
    /*
     * For weights that are larger than memory: a thread reads the next layers from the file while
     * others compute, into a ring that holds a few of them (stream_bytes). Only norms and biases
     * stay in memory for good. The output matrix is read like layers, in parts that are no larger;
     * of the embedding the rows that a call needs are read. Logits are bitwise those of the same
     * model in memory.
     *
     * The file must be packed for the kernel set in use (lckv_convert), and must stay as it is.
     * LCKV_UNSUPPORTED says how to make it. Reads go past the page cache where the file system
     * allows it. Each pass of an evaluate call reads all layers that the ring does not hold from
     * before, once for all rows of the pass, so large batches cost little more than small ones;
     * memory for more layers saves as much reading.
     *
     * The thread belongs to the model, starts with the first evaluate call, and ends with the
     * model. After a call it goes on until the ring holds the next layers. Caches of one model take
     * turns, pass by pass, and lckv_cache_cancel also reaches a call that waits.
     *
     * If the file cannot be read any more, or nothing comes for 60 seconds, the evaluate call that
     * needs it fails with LCKV_IO, and its sessions are as before. The next call tries again.
     */
    LCKV_WEIGHTS_STREAMED = 2,
    /*
     * No weights are read, so that opening takes neither time nor memory for them: for text,
     * metadata, the plan and what lckv_cache_estimate tells. This opens what other modes refuse,
     * too: files that hold a vocabulary only, directories and split files whose weights are missing
     * (of a directory, tokenizer.json suffices), and models that this version cannot compute;
     * lckv_model_info.problem then tells why. lckv_cache_create and lckv_model_fingerprint return
     * LCKV_UNSUPPORTED.
     */
    LCKV_WEIGHTS_NONE = 3
};

typedef struct lckv_model_options {
    size_t size;
    const char *kernel_set; /* "portable", "avx2", ...; NULL: $LCKV_CPU, else the fastest here */
    lckv_precision precision;
    lckv_gemm gemm;
    uint32_t sliding_window; /* tokens attended, the current one included; 0: what the file says */
    lckv_weights weights;
    const lckv_allocator *allocator; /* copied; NULL: the C library's */
    lckv_log_callback log;           /* during the open only: which tensors and which keys of the
                                        configuration are not used (the first 16 of each, without
                                        weights all), why there is no text */
    void *log_user;
    lckv_progress_callback progress; /* during the open only, in bytes of weights */
    void *progress_user;
    lckv_pool *pool; /* its threads read the weights, during the open only; NULL: threads that end
                        with the open, as many as lckv_pool_create makes for 0. The open's callbacks
                        run while the pool is taken: what they call on it gets only their thread,
                        and they must not wait for other threads that use it */
    uint64_t stream_bytes; /* with LCKV_WEIGHTS_STREAMED, memory for the ring, at least two layers
                              (the largest); 0: three */
    /*
     * Of models whose rotation depends on the length of the text (longrope, dynamic): for how many
     * tokens it is; 0: for as many as need no scaling. Positions behind those are LCKV_UNSUPPORTED
     * to evaluate, unless context_window of the cache is no longer. longrope's rotation for longer
     * texts is the same for any length. All other models ignore this. Sessions are restored only
     * into a model that was opened for the same rotation.
     */
    uint64_t rope_context;
} lckv_model_options;

/* Clears the options and sets their size: sizeof *options in the caller's program. */
LCKV_API lckv_status lckv_model_options_init(lckv_model_options *options, size_t size);

/*
 * Opens a GGUF file (of a split model the first part, "name-00001-of-00003.gguf", beside which the
 * others are), or a Hugging Face directory (config.json, model.safetensors or its sharded
 * index, tokenizer.json or tokenizer.model). The weights are read into memory once, in the layout
 * of the kernel set; the file is not needed afterwards, unless it is mapped or streamed
 * (lckv_weights). Files that another process truncates during the open can raise SIGBUS: read such
 * a file yourself and use lckv_model_open_memory.
 */
LCKV_API lckv_status lckv_model_open(const char *path, const lckv_model_options *options,
                                     lckv_model **model);

/* Opens the bytes of a GGUF file. They may be freed when the call returns. */
LCKV_API lckv_status lckv_model_open_memory(const void *bytes, size_t length,
                                            const lckv_model_options *options, lckv_model **model);
LCKV_API void lckv_model_retain(const lckv_model *model);
LCKV_API void lckv_model_release(const lckv_model *model);

typedef struct lckv_model_info {
    size_t size;
    uint32_t n_layers;
    uint32_t n_vocab;
    uint32_t hidden_size;
    uint32_t intermediate_size;
    uint32_t n_heads;
    uint32_t n_kv_heads; /* lckv_model_get_layer has these two, and intermediate_size, by layer */
    uint32_t head_dim;
    uint32_t context_length; /* the tokens that the model was trained for; not a limit */
    uint32_t sliding_window; /* tokens attended by windowed layers; 0 if the plan has none */
    uint32_t forward_passes; /* the model's own numbers for iterated encoding */
    uint32_t backward_passes;
    int32_t use_sequential;
    int32_t force_nodiag;
    int32_t has_tokenizer;
    int32_t is_tied; /* the output matrix is the token embedding */
    lckv_precision precision;
    float rope_theta;
    float rms_norm_eps;
    uint64_t n_parameters;     /* elements of the tensors that the model uses */
    uint64_t weight_bytes;     /* in packed form: in memory, mapped or streamed */
    const char *architecture;  /* "llama", "lckv-llama"; these four live as long as the model */
    const char *name;          /* general.name, or the name of the directory; may be "" */
    const char *kernel_set;    /* the one in use */
    const char *weight_dtypes; /* "q8_0", or several as "q4_1, q8_0, f32", most bytes first */
    int32_t is_mapped;         /* the weights lie in the file, packed for this kernel set */
    int32_t is_repacked;       /* the file is packed for another one, so opening takes longer */
    uint64_t decode_bytes;     /* bytes of weights that decoding one token reads: all but those of
                                  the embedding, which count only if it is the output matrix, too,
                                  and the table of the layers' own embeddings */
    uint64_t resident_bytes;   /* of weight_bytes: those that are never read again, all but those of
                                  streamed matrices */
    uint64_t ring_bytes;       /* the memory in which matrices are streamed; 0: they are not */
    /*
     * After an open with LCKV_WEIGHTS_NONE: why an open with the default would fail, as far as the
     * headers of the files tell; it lives as long as the model. If the shape and the plan could not
     * be understood, all numbers that describe them are 0. NULL: nothing speaks against it, and the
     * figures of the weights are those that it would give.
     */
    const char *problem;
    int32_t has_weights;     /* 0 after LCKV_WEIGHTS_NONE */
    int32_t is_table_mapped; /* the table of the layers' own embeddings stays in the file, and only
                                the rows of tokens that occur come into memory */
    uint64_t table_bytes;    /* of weight_bytes: that table; 0: there is none */
} lckv_model_info;
LCKV_API lckv_status lckv_model_get_info(const lckv_model *model, lckv_model_info *info);

/* What may differ from layer to layer; lckv_model_info has the largest number of each. */
typedef struct lckv_model_layer {
    size_t size;
    lckv_kv_shape kv_shape; /* also of the keys and values of the layer that it reads */
    uint32_t intermediate_size;
    uint32_t reserved;
} lckv_model_layer;

/*
 * Layer `layer`, from 0 on. lckv_plan_get_layer tells what it reads. LCKV_INVALID_ARGUMENT if there
 * is no such layer.
 */
LCKV_API lckv_status lckv_model_get_layer(const lckv_model *model, uint32_t layer,
                                          lckv_model_layer *info);

/*
 * A number that tells models apart, for files of what was computed with one. It covers the shape,
 * the plan, all norms and biases, and of each matrix its type and some rows, read as numbers. So a
 * GGUF file, its packed form and a Hugging Face directory with the same weights in the same types
 * have the same fingerprint. Names, the tokenizer and the options of the open are not covered
 * (docs/saved-sessions.md). It is computed when it is first asked for, which takes milliseconds;
 * a streamed model is read once for it, and the call may return LCKV_IO.
 */
LCKV_API lckv_status lckv_model_fingerprint(const lckv_model *model, uint64_t *fingerprint);

/*
 * The model's plan; it lives as long as the model (retain it to keep it longer). NULL after an open
 * with LCKV_WEIGHTS_NONE that could not understand it.
 */
LCKV_API const lckv_plan *lckv_model_plan(const lckv_model *model);

/*
 * The message of this model's last failure on any thread, cut to capacity - 1 bytes. Returns its
 * length.
 */
LCKV_API size_t lckv_model_last_error(const lckv_model *model, char *buffer, size_t capacity);

/*
 * Writes a metadata value as text (an array as JSON). `key` is a GGUF key ("general.name") or a
 * member of config.json. `length` is as in lckv_plan_text. LCKV_INVALID_ARGUMENT if there is no
 * such key.
 */
LCKV_API lckv_status lckv_model_metadata(const lckv_model *model, const char *key, char *buffer,
                                         size_t capacity, size_t *length);

/* The key of metadata entry `index`, or NULL past the end; it lives as long as the model. */
LCKV_API const char *lckv_model_metadata_key(const lckv_model *model, size_t index);

/* ---- Text ---------------------------------------------------------------------------------- */

/*
 * Every function here that returns a status returns LCKV_UNSUPPORTED for a model that has no
 * tokenizer, or one that was not understood; the message says why. Such a model can still evaluate
 * and generate tokens.
 */

typedef int32_t lckv_token;

/* Flags of lckv_tokenize. Without a BOS flag the model's own rule holds: it may add BOS and EOS. */
enum LCKV_OF_UINT32 {
    LCKV_TOKENIZE_NO_SPECIAL = 1, /* text that spells a control token stays text */
    LCKV_TOKENIZE_BOS = 2,        /* begin with BOS, and nothing at the end */
    LCKV_TOKENIZE_NO_BOS = 4      /* add nothing at either end */
};

/*
 * The tokens of a text of any bytes, invalid UTF-8 and NUL included. `n_tokens` gets their number,
 * also with LCKV_BUFFER_TOO_SMALL (capacity 0 and tokens NULL ask for it).
 *
 * Some vocabularies have no token for some bytes (SmolLM2 lacks 21: control characters and bytes
 * that rarely or never occur in UTF-8). In valid UTF-8 such a byte gives the unknown token or, if
 * there is none, no token; elsewhere it gives the tokens of U+FFFD. Detokenizing does not give such
 * bytes back. Some tokenizers also change white space or characters first, as they were trained to.
 *
 * The time is proportional to the bytes of the text. LCKV_UNSUPPORTED if a pattern of the tokenizer
 * would take more on this text (over 256 steps for each byte; those of known models take 5 to 15).
 */
LCKV_API lckv_status lckv_tokenize(const lckv_model *model, const char *text, size_t length,
                                   uint32_t flags, lckv_token *tokens, size_t capacity,
                                   size_t *n_tokens);

/* Flags of the detokenizers. */
enum LCKV_OF_UINT32 {
    LCKV_DETOKENIZE_SPECIAL = 1,  /* special tokens give their text; otherwise they give nothing */
    LCKV_DETOKENIZE_CONTINUES = 2 /* the tokens continue a text, so a space at its start stays */
};

/*
 * Writes the bytes of tokens, not NUL-terminated. `length` gets their number, as above. Ids that
 * the model has and its tokenizer lacks have no text.
 *
 * Tokenizers made with SentencePiece (Llama 2, Mistral, Phi-3) put a space in front of a text. The
 * first token shown loses it again, unless LCKV_DETOKENIZE_CONTINUES says that the tokens continue
 * a text, as generated tokens continue their prompt.
 */
LCKV_API lckv_status lckv_detokenize(const lckv_model *model, const lckv_token *tokens,
                                     size_t n_tokens, uint32_t flags, char *buffer, size_t capacity,
                                     size_t *length);

/* A detokenizer that takes one token at a time and never gives half a UTF-8 character. */
typedef struct lckv_detokenizer lckv_detokenizer;
LCKV_API lckv_status lckv_detokenizer_create(const lckv_model *model, uint32_t flags,
                                             lckv_detokenizer **detokenizer);
LCKV_API void lckv_detokenizer_retain(lckv_detokenizer *detokenizer);
LCKV_API void lckv_detokenizer_release(lckv_detokenizer *detokenizer);

/*
 * Takes a token and gives the text that is complete now (perhaps none). The text belongs to the
 * detokenizer until its next call.
 */
LCKV_API lckv_status lckv_detokenizer_push(lckv_detokenizer *detokenizer, lckv_token token,
                                           const char **text, size_t *length);

/* Gives the text that is left at the end, invalid bytes as they are, and starts a new text. */
LCKV_API lckv_status lckv_detokenizer_flush(lckv_detokenizer *detokenizer, const char **text,
                                            size_t *length);

typedef int32_t lckv_special;
enum LCKV_OF_INT32 {
    LCKV_SPECIAL_BOS = 0,
    LCKV_SPECIAL_EOS = 1,
    LCKV_SPECIAL_UNKNOWN = 2,
    LCKV_SPECIAL_PADDING = 3,
    LCKV_SPECIAL_EOT = 4 /* end of a turn */
};

/*
 * The id of a special token, or -1. If several files name one, the tokenizer's files count before
 * generation_config.json, and that before config.json. A model without a tokenizer may have special
 * tokens, too.
 */
LCKV_API lckv_token lckv_model_special_token(const lckv_model *model, lckv_special special);

/*
 * Whether this token ends generation. So does every id that the tokenizer's files, config.json,
 * generation_config.json or the keys of a GGUF file name as an end, and every control token that is
 * known to end a text or a turn. lckv_convert keeps them all.
 */
LCKV_API int32_t lckv_model_is_end_token(const lckv_model *model, lckv_token token);

typedef int32_t lckv_token_type;
enum LCKV_OF_INT32 {
    LCKV_TOKEN_NORMAL = 1, /* numbered as GGUF numbers them */
    LCKV_TOKEN_UNKNOWN = 2,
    LCKV_TOKEN_CONTROL = 3,
    LCKV_TOKEN_USER_DEFINED = 4,
    LCKV_TOKEN_UNUSED = 5,
    LCKV_TOKEN_BYTE = 6
};

/*
 * A token's bytes (they live as long as the model, not NUL-terminated) and its type. An id that the
 * model has and its tokenizer lacks is unused and has no bytes.
 */
LCKV_API lckv_status lckv_model_token(const lckv_model *model, lckv_token token, const char **text,
                                      size_t *length, lckv_token_type *type);

/* A turn of a conversation. This struct never grows. */
typedef struct lckv_message {
    const char *role; /* "system", "user", "assistant"; no control characters, no special tokens */
    size_t role_length;
    const char *content;
    size_t content_length;
} lckv_message;

/* Flags of lckv_chat_tokenize and lckv_chat_format. */
enum LCKV_OF_UINT32 { LCKV_CHAT_ANSWER = 1 /* end with the opening of the assistant's answer */ };

/*
 * The tokens of a conversation, written as the model's chat template writes it. What the template
 * writes may become special tokens; roles and contents never do, so a message that holds the text
 * of one ("<|im_end|>") cannot end its turn or begin another. No BOS or EOS is added to what the
 * template writes. `stride` is sizeof(lckv_message) or more, if the messages lie in larger structs.
 * `n_tokens` gets the number of tokens, also with LCKV_BUFFER_TOO_SMALL (capacity 0 and tokens NULL
 * ask for it). Any number of threads may call it for one model. A template that tells the model
 * today's date gets the one in UTC.
 *
 * LCKV_UNSUPPORTED if there is no chat template, or if it does something that this version does not
 * understand: the message says what, and where in the template. LCKV_INVALID_ARGUMENT for a role
 * with control characters or special tokens in it, and for messages that the template refuses.
 */
LCKV_API lckv_status lckv_chat_tokenize(const lckv_model *model, const lckv_message *messages,
                                        size_t stride, size_t n_messages, uint32_t flags,
                                        lckv_token *tokens, size_t capacity, size_t *n_tokens);

/*
 * Writes the same conversation as text, for people to look at. Text cannot keep apart what the
 * template wrote and what the messages say: special tokens in a content become structure when the
 * text is tokenized. To prepare a prompt, call lckv_chat_tokenize. `length` gets the number of
 * bytes, as in lckv_plan_text, but the text has no NUL behind it. Errors are as above.
 */
LCKV_API lckv_status lckv_chat_format(const lckv_model *model, const lckv_message *messages,
                                      size_t stride, size_t n_messages, uint32_t flags,
                                      char *buffer, size_t capacity, size_t *length);

/* ---- Conversion ---------------------------------------------------------------------------- */

typedef int32_t lckv_convert_init;
enum LCKV_OF_INT32 {
    LCKV_CONVERT_MEAN = 0, /* k and v of a source layer are the mean over all layers that read it */
    LCKV_CONVERT_COPY = 1  /* k and v of a source layer are its own */
};

typedef struct lckv_convert_options {
    size_t size;
    const char *plan; /* NUL-terminated; NULL: the model's own */
    lckv_dtype dtype; /* F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K or Q6_K; 0: as
                         the source has it. Where rows are not whole blocks of a k-quant, the matrix
                         becomes Q5_0, Q5_1 or Q8_0, and where they are none of these, F16 */
    lckv_convert_init init;
    const lckv_allocator *allocator;
    lckv_log_callback log; /* as in lckv_model_options, and one line for each tensor that could not
                              take `dtype` */
    void *log_user;
    lckv_progress_callback progress; /* in bytes written */
    void *progress_user;
    uint32_t sliding_window; /* tokens that windowed layers attend to; 0: what the source says */
    int32_t packed;          /* 1: write matrices in the packed form of a kernel set: opening the
                                file then maps them; only lckv can read such files */
    const char *kernel_set;  /* the set to pack for; NULL: $LCKV_CPU, else the fastest here */
    int32_t mixture;         /* 1: with dtype Q4_K or Q5_K, the usual mixture (q4_k_m, q5_k_m): the
                                output matrix and about half of v and down are Q6_K */
    uint32_t reserved;
} lckv_convert_options;

LCKV_API lckv_status lckv_convert_options_init(lckv_convert_options *options, size_t size);

typedef struct lckv_convert_report {
    size_t size;
    uint64_t n_tensors;
    uint64_t n_kept_f16; /* matrices in f16, which could not take their type; the log says why */
    uint64_t file_bytes;
} lckv_convert_report;

/*
 * Writes the model at `input` (as in lckv_model_open) to a GGUF file at `output`, which is replaced
 * only when the whole file has been written. The new file has the permissions of the one that it
 * replaces. If `output` is a symbolic link, the link stays and the file that it leads to is
 * replaced. Norms and biases are written as f32. A packed file as the input is as good as the file
 * that it was packed from. `report` may be NULL.
 */
LCKV_API lckv_status lckv_convert(const char *input, const char *output,
                                  const lckv_convert_options *options, lckv_convert_report *report);

/* ---- Caches -------------------------------------------------------------------------------- */

typedef struct lckv_cache lckv_cache;

typedef int32_t lckv_reuse;
enum LCKV_OF_INT32 {
    LCKV_REUSE_DEFAULT = 0, /* on */
    LCKV_REUSE_ON = 1,      /* released sessions are kept for lckv_session_reuse while there is
                               room */
    LCKV_REUSE_OFF = 2      /* lckv_session_reuse finds nothing */
};

typedef struct lckv_cache_options {
    size_t size;
    uint64_t budget_bytes;   /* for pages, tables and scratch together (with windowed slots, tokens
                                of which no slot holds a page add 4 bytes each); or instead: */
    uint64_t n_tokens;       /* room for so many tokens in all; if both are 0: 4096 */
    uint32_t max_sessions;   /* 0: 16 */
    lckv_dtype kv_dtype;     /* of keys and values: F32, F16, BF16, Q8_0 or Q4_0; 0: f16. The last
                                two need a head_dim that is a multiple of 32 */
    uint32_t page_positions; /* a multiple of 16, at most 1024; 0: 64 */
    uint32_t n_threads;      /* 0: as lckv_pool_create; ignored if there is a pool */
    lckv_pool *pool;         /* NULL: threads of its own */
    uint32_t max_rows;       /* tokens computed at once; bounds the scratch; 0: 256 */
    uint32_t max_logit_rows; /* rows of logits that the cache itself holds, at most 65536; 0: as
                                many as max_sessions, within that limit. The scratch has room for
                                twice as many: those of the last call stay until the next one has
                                succeeded */
    uint32_t rollback;       /* tokens beyond the window that windowed slots keep; 0: 64 */
    lckv_dtype v_dtype;      /* of values, if other than that of keys; 0: as kv_dtype */
    lckv_reuse reuse;        /* 0: on */
    float reuse_tolerance;   /* lckv_session_reuse takes over what AUTO encoded within this
                                tolerance (lckv_evaluate_options); 0: within the default one;
                                below 0: only what was encoded exactly */
    /*
     * 0: sessions remember everything. Otherwise they have no end: a token attends to the first
     * n_sinks tokens and to the last context_window - n_sinks, its own included, and slots keep no
     * more than these and `rollback`. At least 2; choose at most the context that the model was
     * trained for (lckv_model_info.context_length), which is not checked. docs/semantics.md,
     * section 7, defines the result. Until a session has context_window tokens, it is the ordinary
     * one.
     */
    uint32_t context_window;
    uint32_t n_sinks; /* less than context_window, at most 1024; 0: 4, or all but one of a shorter
                         context_window; must be 0 without one */
    /*
     * 0: a call that finds another one working on the cache returns LCKV_BUSY. 1: it waits, and
     * calls that wait work in the order in which they came. The sessions that it is about must not
     * be released meanwhile, and lckv_cache_cancel reaches the working call only. In a callback of
     * the working call it is LCKV_BUSY in any case; and a callback must not wait for a thread whose
     * call waits for the cache.
     */
    int32_t waits;
    uint32_t reserved;
} lckv_cache_options;

LCKV_API lckv_status lckv_cache_options_init(lckv_cache_options *options, size_t size);

/*
 * Pages and scratch are allocated here, once; later calls allocate only small tables (a session's
 * tokens and pages). Memory comes from the model's allocator. Pages are not touched before a
 * session takes them, so on a system that provides memory on demand only pages in use count.
 *
 * With n_tokens, sessions of so many tokens in all never find the cache full, however the tokens
 * are spread over max_sessions sessions, as long as each call appends single tokens and, beside
 * them, any number to one session or at most max_rows to several. Windowed slots keep what they had
 * until a call has succeeded, so a call that appends more to several may not fit: split it.
 */
LCKV_API lckv_status lckv_cache_create(const lckv_model *model, const lckv_cache_options *options,
                                       lckv_cache **cache);
LCKV_API void lckv_cache_retain(lckv_cache *cache);
LCKV_API void lckv_cache_release(lckv_cache *cache);

/* The cache's model, which lives as long as the cache (retain it to keep it longer). */
LCKV_API const lckv_model *lckv_cache_model(const lckv_cache *cache);

/* What a cache takes, to the byte: what lckv_cache_get_stats will tell. */
typedef struct lckv_cache_estimate_report {
    size_t size;
    uint64_t sessions_that_fit; /* of the context asked about, which share no pages; at most
                                   max_sessions */
    uint64_t n_pages;
    uint64_t page_bytes;
    uint64_t page_bytes_total;
    uint64_t scratch_bytes;
    uint64_t table_bytes; /* once single tokens have made those sessions so long, and no longer */
    uint32_t max_sessions;
    uint32_t reserved;
} lckv_cache_estimate_report;

/*
 * Tells what lckv_cache_create would make of the options, without making it, for sessions of
 * `context` tokens each (0: 4096). With budget_bytes and max_sessions 0 it finds the largest batch:
 * the most sessions of that context for which the budget suffices; create the cache with that
 * max_sessions. Fails as lckv_cache_create does, except for want of memory; the model needs no
 * weights.
 */
LCKV_API lckv_status lckv_cache_estimate(const lckv_model *model, const lckv_cache_options *options,
                                         uint64_t context, lckv_cache_estimate_report *report);

typedef struct lckv_cache_stats {
    size_t size;
    uint64_t bytes_per_token;  /* of KV, in all slots */
    uint64_t page_bytes;       /* `page_positions` positions of one slot */
    uint64_t n_pages;          /* fewer than at first while tables of sessions that share pages take
                                 more than was set aside for them */
    uint64_t n_pages_free;     /* that a call can have: those of kept sessions are among them */
    uint64_t page_bytes_total; /* the three parts of the budget */
    uint64_t table_bytes;
    uint64_t scratch_bytes;
    uint32_t n_sessions;
    uint32_t max_sessions;
    uint32_t n_threads;
    uint32_t page_positions;
    uint32_t max_rows;
    uint32_t max_logit_rows;
    lckv_dtype kv_dtype; /* of keys */
    uint32_t rollback;
    lckv_dtype v_dtype; /* of values */
    uint32_t reserved;
    uint64_t n_pages_kept;    /* that only released sessions hold, kept for lckv_session_reuse */
    uint64_t n_reuses;        /* calls of lckv_session_reuse that found something, */
    uint64_t n_reused_tokens; /* the tokens that they did not have to compute, */
    uint64_t n_reused_pages;  /* and the pages that these share */
    uint32_t context_window;  /* 0: none */
    uint32_t n_sinks;
} lckv_cache_stats;

/*
 * Answers while another thread evaluates or generates, too, with figures of before or after that
 * call.
 */
LCKV_API lckv_status lckv_cache_get_stats(lckv_cache *cache, lckv_cache_stats *stats);

/*
 * Makes the call that is working on the cache return LCKV_CANCELLED soon, with nothing changed
 * (lckv_generate: LCKV_OK and the reason LCKV_STOP_CANCELLED). A call that has computed all of its
 * results may still succeed. Does nothing if no call is working. May be called from any thread,
 * from a callback, and from a signal handler.
 */
LCKV_API void lckv_cache_cancel(lckv_cache *cache);

/* As lckv_model_last_error. */
LCKV_API size_t lckv_cache_last_error(lckv_cache *cache, char *buffer, size_t capacity);

/* ---- Sessions ------------------------------------------------------------------------------ */

typedef struct lckv_session lckv_session;

/*
 * An empty session. LCKV_CACHE_FULL if the cache has max_sessions sessions, or its budget has no
 * room for one more.
 */
LCKV_API lckv_status lckv_session_create(lckv_cache *cache, lckv_session **session);
LCKV_API void lckv_session_retain(lckv_session *session);
LCKV_API void lckv_session_release(lckv_session *session);

/* The session's cache, which lives as long as the session (retain it to keep it longer). */
LCKV_API lckv_cache *lckv_session_cache(const lckv_session *session);

/*
 * The number of encoded tokens. This and the next three functions answer at any time, from any
 * thread. While lckv_evaluate works, they tell what was before it; while lckv_generate works, they
 * tell what is after its last token.
 */
LCKV_API lckv_status lckv_session_length(lckv_session *session, uint64_t *length);

/*
 * The shortest length, other than 0, to which lckv_session_truncate can still go back. It is 0
 * without windowed slots and without a context window.
 */
LCKV_API lckv_status lckv_session_min_length(lckv_session *session, uint64_t *length);

/*
 * The encoded tokens, oldest first. `n_tokens` is as in lckv_tokenize. A cache with a context
 * window keeps tokens only as long as their keys and values: once lckv_session_min_length is above
 * context_window, the call returns LCKV_OUT_OF_WINDOW.
 */
LCKV_API lckv_status lckv_session_tokens(lckv_session *session, lckv_token *tokens, size_t capacity,
                                         size_t *n_tokens);

/*
 * The encoded tokens at positions [begin, end), into an array with room for end - begin.
 * LCKV_INVALID_ARGUMENT unless begin <= end <= the session's length. Without a context window a
 * session has all of its tokens. With one, once lckv_session_min_length is above context_window, it
 * has those of the sinks and those from position lckv_session_min_length - (context_window -
 * n_sinks) on: LCKV_OUT_OF_WINDOW if others are among those asked for.
 */
LCKV_API lckv_status lckv_session_read_tokens(lckv_session *session, uint64_t begin, uint64_t end,
                                              lckv_token *tokens);

/*
 * Forgets all tokens from position `length` on; if that is the session's present length, nothing
 * changes. Truncating to 0 always works. For a length between 0 and the shortest one the call
 * returns LCKV_OUT_OF_WINDOW, and the session is unchanged. The logits that the cache holds for the
 * session belong to a token that is gone, so they are dropped: lckv_session_logits then returns
 * LCKV_INVALID_ARGUMENT. To get logits for the shorter session, truncate by one more and evaluate
 * its last token again.
 */
LCKV_API lckv_status lckv_session_truncate(lckv_session *session, uint64_t length);

/*
 * A session with the same tokens, keys and values, and logits (lckv_session_logits). The two share
 * their pages. What either of them appends is its own: only a page that is not full is copied, when
 * one of them first writes to it. LCKV_CACHE_FULL if the cache has max_sessions sessions, or its
 * budget has no room for the tables of one more.
 */
LCKV_API lckv_status lckv_session_fork(lckv_session *session, lckv_session **fork);

/*
 * Lets an empty session begin with what the cache has computed already: it shares the pages of the
 * longest prefix of `tokens` that another session holds, or one that was released since and whose
 * pages no call has needed (what was used longest ago is given up first). At most n_tokens - 1
 * tokens are taken over, so that at least one is left to evaluate; `n_reused`, which may be NULL,
 * tells how many, and may be 0. Logits are bit for bit those of evaluating all tokens exactly, as
 * far as these were encoded so; what AUTO has encoded in a window is taken over within the cache's
 * reuse_tolerance. What an iterated call has encoded, and what windowed layers have left behind, is
 * not.
 * LCKV_INVALID_ARGUMENT if the session is not empty, LCKV_CACHE_FULL if the budget has no room for
 * its tables; the session is then empty, as before.
 */
LCKV_API lckv_status lckv_session_reuse(lckv_session *session, const lckv_token *tokens,
                                        size_t n_tokens, size_t *n_reused);

/*
 * Writes the keys (after rotation, in which elements d and d + head_dim/2 are a pair) and the
 * values of slot `slot` at positions [begin, end) to the caller's arrays, each float32 [end -
 * begin, n_kv_heads, head_dim] with the numbers of the slot's layer (lckv_model_get_layer). Either
 * array may be NULL. LCKV_OUT_OF_WINDOW for positions that the slot no longer keeps.
 */
LCKV_API lckv_status lckv_session_read_kv(lckv_session *session, uint32_t slot, uint64_t begin,
                                          uint64_t end, float *keys, float *values);

/* ---- Saved sessions ------------------------------------------------------------------------ */

/*
 * Sessions can be saved as bytes, from which any cache makes the same sessions again: bit for bit
 * the same keys and values, in another process, after years, whatever the size of its pages. It
 * needs the same model (lckv_model_fingerprint) with the same sliding window, and the same types of
 * keys and values, context_window and n_sinks. The last bits of keys and values also depend on the
 * kernel set, the precision and the gemm of the model that computed them, so these must be the
 * same, too, unless `any_kernels` says otherwise.
 *
 * What is saved of a session: its tokens, keys and values, as far as windows keep them, the length
 * to which it can go back, and which tokens are not exact. Logits are not: to get them,
 * truncate the restored session by one token and evaluate that token again
 * (lckv_session_read_tokens tells which it was). Pages that sessions share are saved once, and the
 * sessions share them again when they are restored. Bytes are made and read piece by piece, in one
 * small buffer.
 *
 * Checksums find damage of any kind, before anything is believed. They do not keep anybody from
 * making bytes of his own: these harm no memory, but may hold any keys and values, which
 * lckv_session_reuse then hands on. So restore only what you trust as much as the model's file.
 *
 * Saving and restoring work on the cache: other calls get LCKV_BUSY or wait, and lckv_cache_cancel
 * and the progress callback (in bytes of keys and values) stop them.
 */

/*
 * Takes all `length` bytes, which it must not keep. Anything but 0 stops the call, which then
 * returns LCKV_IO.
 */
typedef int32_t (*lckv_write_callback)(void *user, const void *bytes, size_t length);

/*
 * Gives the next bytes: at least one and at most `length`, and their number in `*n_read`. If it is
 * fewer than `length`, the library asks again. 0 says that there are no more. Anything but 0 as the
 * result stops the call, which then returns LCKV_IO. No byte is asked for that does not belong to
 * the saved sessions, so other things may follow them in a stream.
 */
typedef int32_t (*lckv_read_callback)(void *user, void *bytes, size_t length, size_t *n_read);

typedef struct lckv_save_options {
    size_t size;
    const void *note; /* bytes of the caller's own that are saved, too; NULL: none */
    size_t note_length;
    lckv_progress_callback progress;
    void *progress_user;
} lckv_save_options;
LCKV_API lckv_status lckv_save_options_init(lckv_save_options *options, size_t size);

/*
 * Saves sessions of one cache, at least one. After a failure the bytes that were written are of no
 * use; the sessions are as before in any case.
 */
LCKV_API lckv_status lckv_sessions_save(lckv_session *const *sessions, size_t n_sessions,
                                        lckv_write_callback write, void *user,
                                        const lckv_save_options *options);

/*
 * Saves them to a file, which is replaced only when all has been written and has reached the disk.
 * Permissions and symbolic links are as with lckv_convert.
 */
LCKV_API lckv_status lckv_sessions_save_file(lckv_session *const *sessions, size_t n_sessions,
                                             const char *path, const lckv_save_options *options);

typedef struct lckv_restore_options {
    size_t size;
    /*
     * 1: also restore what another kernel set, precision or gemm computed. It is as good, but not
     * bit for bit what this model would compute, so lckv_session_reuse does not take it over. (Nor
     * does it take over what another version of lckv computed, which is always restored.)
     */
    int32_t any_kernels;
    uint32_t reserved;
    /*
     * Gets the bytes of the note, in pieces, before the sessions: if the call fails after all,
     * forget them. Anything but 0 cancels the call. NULL: the note is skipped.
     */
    lckv_write_callback note;
    void *note_user;
    lckv_progress_callback progress;
    void *progress_user;
} lckv_restore_options;
LCKV_API lckv_status lckv_restore_options_init(lckv_restore_options *options, size_t size);

/*
 * Makes the saved sessions again, in the order in which they were given. `n_sessions` gets their
 * number, also with LCKV_BUFFER_TOO_SMALL, if `capacity` is less (capacity 0 and sessions NULL ask
 * for it). Either all are restored, or nothing has changed, but that kept sessions
 * (lckv_session_reuse) may have been given up:
 *
 * - LCKV_BAD_FORMAT: the bytes are damaged, cut off, or something else
 * - LCKV_UNSUPPORTED: another version of lckv wrote them, in a format that this one does not know
 * - LCKV_MISMATCH: they do not belong to this model, this cache or these kernels
 * - LCKV_CACHE_FULL: the cache has too few free pages or sessions; the message has the figures
 */
LCKV_API lckv_status lckv_sessions_restore(lckv_cache *cache, lckv_read_callback read, void *user,
                                           const lckv_restore_options *options,
                                           lckv_session **sessions, size_t capacity,
                                           size_t *n_sessions);

/* The same from a file, which must have nothing else behind the sessions. */
LCKV_API lckv_status lckv_sessions_restore_file(lckv_cache *cache, const char *path,
                                                const lckv_restore_options *options,
                                                lckv_session **sessions, size_t capacity,
                                                size_t *n_sessions);

/* ---- Evaluation ---------------------------------------------------------------------------- */

/* What an item wants back: one of the first three, and perhaps one of the last two added to it. */
enum LCKV_OF_UINT32 {
    LCKV_WANT_NOTHING = 0,
    LCKV_WANT_LAST = 1, /* logits after the last new token */
    LCKV_WANT_ALL = 2,  /* logits after every new token */
    /*
     * Hidden states after the final norm. HIDDEN gives them at the positions whose logits are
     * wanted, or if none are, at the last position. HIDDEN_ALL gives them at every new position,
     * whatever logits are wanted. Together with NOTHING, no logits are computed.
     */
    LCKV_WANT_HIDDEN = 4,
    LCKV_WANT_HIDDEN_ALL = 8
};

/*
 * A session and the tokens to append to it. A decode step brings one token, a prompt many. This
 * struct never grows.
 */
typedef struct lckv_item {
    lckv_session *session; /* of the cache; at most once in a call */
    const lckv_token *tokens;
    size_t n_tokens; /* at least one */
    uint32_t want;
    uint32_t reserved;
    /*
     * The caller's arrays for the wanted rows, float32 [rows, n_vocab] and [rows, hidden_size]. If
     * `logits` is NULL, the cache holds them (see lckv_session_logits). `hidden` is required with
     * HIDDEN and HIDDEN_ALL. After a failure the arrays may hold anything.
     */
    float *logits;
    size_t logits_capacity; /* in floats */
    float *hidden;
    size_t hidden_capacity; /* in floats */
} lckv_item;

typedef int32_t lckv_prefill;
enum LCKV_OF_INT32 {
    LCKV_PREFILL_AUTO = 0,     /* the exact result, in one pass, if no layer reads a higher one;
                                  else nearly that, in a window of tokens */
    LCKV_PREFILL_EXACT = 1,    /* the exact result: if layers read higher ones, token by token */
    LCKV_PREFILL_ITERATED = 2, /* each cyclic group forward_passes + backward_passes times */
    LCKV_PREFILL_MODEL = 3     /* what the model's configuration asks for */
};

typedef struct lckv_evaluate_options {
    size_t size;
    lckv_prefill prefill;
    uint32_t forward_passes; /* for ITERATED, at most 65536 each; both 0: the model's own */
    uint32_t backward_passes;
    /*
     * For AUTO, if the plan has upward layers and an item several tokens (docs/prefill.md). So many
     * tokens go through the cyclic layers together; 0: the library chooses by the machine, the
     * weights, the depth and the sessions of the call; 1: as EXACT. A token leaves this window when
     * its keys and values changed by less than the tolerance in the last pass, relatively; 0: 0.03
     * in fast precision, and in full precision 0.003, or with keys or values of Q8_0 0.01. The
     * result depends on the tolerance, on the window of the report, and on where the call begins,
     * but not on threads or on other items.
     */
    uint32_t window;
    lckv_progress_callback progress; /* in tokens */
    void *progress_user;
    float tolerance;
    uint32_t reserved;
} lckv_evaluate_options;
LCKV_API lckv_status lckv_evaluate_options_init(lckv_evaluate_options *options, size_t size);

/* The report is written on failure, too. */
typedef struct lckv_evaluate_report {
    size_t size;
    int64_t failed_item;   /* the index of the item that made the call fail, or -1 */
    uint64_t pages_needed; /* the most new pages that all items need at one time; with CACHE_FULL,
                              the items up to the failed one */
    uint64_t pages_free;   /* before the call; with CACHE_FULL, beside what tables need */
    uint64_t n_tokens;     /* new tokens of all items */
    uint64_t n_rows;       /* rows sent through the layers: one for each token and each pass that
                              it was in. Layers outside cyclic groups compute it once */
    uint64_t n_passes;     /* passes over the weights of the layers, of cyclic ones if there are,
                              and of several groups of these, those of the group with the most */
    /*
     * What AUTO took for the prompts of a plan with upward layers, else 0: with both as options,
     * the same call gives the same bits. The window is smaller than asked for if max_rows or, for
     * windowed slots, the free pages leave no room.
     */
    uint32_t window;
    float tolerance;
    float residual; /* the largest of the last changes of tokens that left a window early */
    uint32_t reserved;
    double seconds; /* that the call took */
} lckv_evaluate_report;

/*
 * Appends tokens to sessions, all of them in one batch, and computes what the items want. `stride`
 * is sizeof(lckv_item), or more if the items lie in larger structs. Arguments are checked and every
 * page is reserved before the first kernel runs, and sessions grow at the very end. So after
 * LCKV_CACHE_FULL, LCKV_CANCELLED or any other failure they are as before, and so are the logits
 * that the cache holds. Items and tokens are read once, before anything is computed. `options` and
 * `report` may be NULL. In an iterated call an item may have at most max_rows tokens.
 */
LCKV_API lckv_status lckv_evaluate(lckv_cache *cache, const lckv_item *items, size_t stride,
                                   size_t n_items, const lckv_evaluate_options *options,
                                   lckv_evaluate_report *report);

/*
 * Checks the same call and fills in its report, pages_needed and pages_free included, but computes
 * and changes nothing.
 */
LCKV_API lckv_status lckv_evaluate_cost(lckv_cache *cache, const lckv_item *items, size_t stride,
                                        size_t n_items, const lckv_evaluate_options *options,
                                        lckv_evaluate_report *report);

/*
 * The logits that the cache holds for this session, float32 [n_rows, n_vocab]: those of the last
 * evaluate that succeeded. They are valid until the next one on the cache succeeds (lckv_generate
 * evaluates for each token). LCKV_INVALID_ARGUMENT if that call computed none for the session, or
 * the session was truncated since; LCKV_BUSY while a call works on the cache, or it waits (then
 * the rows may be those of that call: threads that share a cache had better have logits written to
 * arrays of their own). `n_rows` may be NULL.
 */
LCKV_API lckv_status lckv_session_logits(lckv_session *session, const float **logits,
                                         size_t *n_rows);

/* ---- Sampling ------------------------------------------------------------------------------ */

typedef struct lckv_sampler lckv_sampler;

/* Never grows: arrays of it have no stride. */
typedef struct lckv_logit_bias {
    lckv_token token;
    float bias; /* added to the logit; -INFINITY bans the token */
} lckv_logit_bias;

/*
 * May change the logits, float32 [n_vocab], before a token is chosen (for a grammar, say). If it
 * returns anything but 0, the call fails with LCKV_CANCELLED.
 */
typedef int32_t (*lckv_logits_callback)(void *user, float *logits, size_t n_vocab);

typedef struct lckv_sampler_options {
    size_t size;
    float temperature; /* 0: greedy, always the most likely token, and of equals the lower id */
    uint32_t top_k;    /* keep the k most likely; 0: all */
    float top_p;       /* keep the fewest most likely tokens whose probabilities reach this sum, at
                          least one. 1: all; so is 0, because 0 means the default. To keep only the
                          most likely token, set top_k to 1 */
    float min_p;       /* keep tokens of at least this share of the top probability; 0: all */
    float repetition_penalty; /* divides positive logits of seen tokens, multiplies others; 0: 1 */
    float frequency_penalty;  /* subtracted once for each time that the token was seen */
    float presence_penalty;   /* subtracted once if it was seen */
    uint32_t penalty_window;  /* how many of the last accepted tokens count as seen; 0: 64 */
    uint64_t seed;
    const lckv_logit_bias *logit_bias; /* copied */
    size_t n_logit_bias;
    lckv_logits_callback callback;
    void *callback_user;
    const lckv_allocator *allocator; /* copied; NULL: the C library's */
} lckv_sampler_options;

LCKV_API lckv_status lckv_sampler_options_init(lckv_sampler_options *options, size_t size);
LCKV_API lckv_status lckv_sampler_create(const lckv_sampler_options *options,
                                         lckv_sampler **sampler);
LCKV_API void lckv_sampler_retain(lckv_sampler *sampler);
LCKV_API void lckv_sampler_release(lckv_sampler *sampler);

/* A second sampler in the same state: both give the same tokens for the same logits. */
LCKV_API lckv_status lckv_sampler_clone(const lckv_sampler *sampler, lckv_sampler **clone);

/* Goes back to the state after creation: no tokens seen, and the seed as given. */
LCKV_API lckv_status lckv_sampler_reset(lckv_sampler *sampler);

/*
 * Chooses a token from logits, float32 [n_vocab], which stay as they are. Does not accept the
 * token. Bias, callback, penalties, temperature, top_k, top_p and min_p are applied in this order.
 * The same options, accepted tokens and logits give the same token on every machine.
 * LCKV_INVALID_ARGUMENT if no logit is finite or one is NaN.
 */
LCKV_API lckv_status lckv_sampler_sample(lckv_sampler *sampler, const float *logits, size_t n_vocab,
                                         lckv_token *token);

/* The same, from the last row of logits that the cache holds for the session. */
LCKV_API lckv_status lckv_sampler_sample_session(lckv_sampler *sampler, lckv_session *session,
                                                 lckv_token *token);

/* Tells the sampler that a token was appended: penalties count it. */
LCKV_API lckv_status lckv_sampler_accept(lckv_sampler *sampler, lckv_token token);

/* Computes log(softmax(logits)), float32 [n_vocab]. Both arrays may be the same. */
LCKV_API lckv_status lckv_log_probabilities(const float *logits, size_t n_vocab,
                                            float *log_probabilities);

/* ---- Generation ---------------------------------------------------------------------------- */

typedef int32_t lckv_stop_reason;
enum LCKV_OF_INT32 {
    LCKV_STOP_LENGTH = 0,   /* max_tokens were generated */
    LCKV_STOP_END = 1,      /* the model ended its text */
    LCKV_STOP_STRING = 2,   /* a stop string occurred in the text */
    LCKV_STOP_CALLBACK = 3, /* the callback asked to stop */
    LCKV_STOP_FULL = 4,     /* the cache is full, or the text as long as rope_context allows; this
                               is no failure, and the text so far is good */
    LCKV_STOP_CANCELLED = 5 /* lckv_cache_cancel, or the sampler's callback */
};

/*
 * Gets each token, with the text that is complete now: whole UTF-8 characters, perhaps none. Text
 * that may be the beginning of a stop string is held back. At the end it is called once more with
 * token -1 and the text that is left. If it returns anything but 0, generation stops, and it is not
 * called again. `text` is empty for a model without a tokenizer.
 */
typedef int32_t (*lckv_token_callback)(void *user, lckv_token token, const char *text,
                                       size_t length);

/* Never grows: arrays of it have no stride. */
typedef struct lckv_string {
    const char *text;
    size_t length;
} lckv_string;

typedef struct lckv_generate_options {
    size_t size;
    uint64_t max_tokens;      /* 0: 256 */
    const lckv_string *stops; /* the text ends before the first of these */
    size_t n_stops;
    int32_t ignore_end; /* not 0: go on after an end token */
    /*
     * How the prompt is encoded; ITERATED takes the model's own numbers. A prompt that is iterated
     * must not have more tokens than the cache's max_rows, because it cannot be split.
     */
    lckv_prefill prefill;
    lckv_token_callback callback;
    void *callback_user;
    uint32_t window; /* of the prompt, as in lckv_evaluate_options */
    float tolerance;
} lckv_generate_options;
LCKV_API lckv_status lckv_generate_options_init(lckv_generate_options *options, size_t size);

typedef struct lckv_generate_report {
    size_t size;
    lckv_stop_reason reason;
    uint32_t reserved;
    uint64_t n_prompt;
    uint64_t n_generated; /* the end token, if one came, included */
    double prompt_seconds;
    double decode_seconds;
    uint64_t n_prompt_rows; /* how the prompt was encoded, as in lckv_evaluate_report */
    uint64_t n_prompt_passes;
    uint32_t window;
    float tolerance;
    float residual;
    uint32_t reserved2;
} lckv_generate_report;

/*
 * Appends the prompt (at least one token) to the session, then samples, accepts and appends tokens
 * until something ends it. The session then holds the prompt and every generated token but the
 * last, which has not been evaluated (the last too, if the sampler's callback cancelled). Penalties
 * see generated tokens only; to count those of the prompt, accept them before the call. A cancel is
 * no failure: the report's reason tells of it, and n_prompt is 0 if it came during the prompt. The
 * call works on the cache from its beginning to its end, and while callbacks run, so that other
 * calls get LCKV_BUSY or wait all that time. If `sampler` is NULL, the most likely token is chosen.
 * `report` may be NULL. The cache needs one row of logits.
 */
LCKV_API lckv_status lckv_generate(lckv_session *session, lckv_sampler *sampler,
                                   const lckv_token *prompt, size_t n_prompt,
                                   const lckv_generate_options *options,
                                   lckv_generate_report *report);

#ifdef __cplusplus
}
#endif

#endif
