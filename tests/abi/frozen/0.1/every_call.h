/*
 * What the parts of the program share: see every_call.c.
 */
#ifndef EVERY_CALL_H
#define EVERY_CALL_H

#include <lckv.h>
#include <string.h>

/* Ends the program with a message unless a condition holds, or a call succeeds. */
#define EXPECT(condition) expect((condition) != 0, #condition, __FILE__, __LINE__)
#define OK(call) expect((call) == LCKV_OK, #call, __FILE__, __LINE__)

/* A struct that the library fills in, with a guard behind it. */
#define RESULT(type, name)            \
    struct {                          \
        type result;                  \
        unsigned char guard[64];      \
    } name;                           \
    memset(&name, 0xa5, sizeof name); \
    name.result.size = sizeof name.result
#define WHOLE(name)                                                                               \
    expect(name.result.size == sizeof name.result && is_untouched(name.guard, sizeof name.guard), \
           "the library stays within " #name, __FILE__, __LINE__)

/* The same for options that the library initializes. */
#define OPTIONS(type, name)                                                                \
    RESULT(type, name);                                                                    \
    expect(type##_init(&name.result, sizeof(type)) == LCKV_OK, #type, __FILE__, __LINE__); \
    WHOLE(name)

/* How often the program's callbacks were called; allocations: the blocks that are not freed yet. */
struct calls {
    int allocations, remarks, steps, tokens, logits;
};

void expect(int holds, const char *what, const char *file, int line);
int is_untouched(const unsigned char *guard, size_t size);
void remark(void *user, const char *text, size_t length);
int32_t progress(void *user, uint64_t done, uint64_t total);

/* The parts, in the order of the header. */
void use_library(void);
void use_plans(void);
void use_memory_planner(void);
void use_model(const lckv_model *model);
size_t use_text(const lckv_model *model, lckv_token *tokens, size_t capacity);
void use_convert(const char *input, const char *output, struct calls *calls);
lckv_cache *make_cache(const lckv_model *model, lckv_pool *pool);
void use_evaluate(lckv_cache *cache, lckv_session *session, const lckv_token *tokens, size_t n);
void use_sessions(lckv_cache *cache, lckv_session *session, const lckv_token *tokens, size_t n);
void use_saved(lckv_cache *cache, lckv_session *session, const char *path);
lckv_sampler *use_sampler(lckv_session *session, struct calls *calls,
                          const lckv_allocator *allocator);
void use_generate(lckv_session *session, lckv_sampler *sampler, const lckv_token *prompt,
                  struct calls *calls);

#endif
