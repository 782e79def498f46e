/*
 * A conversation with a model: its messages, one session that follows them, and the answers.
 *
 * Knows nothing of terminals but that answers go to standard output as they come.
 */
#ifndef TOOLS_CONVERSATION_H
#define TOOLS_CONVERSATION_H

#include "stream.h"

struct conversation {
    const lckv_model *model;
    lckv_cache *cache;
    lckv_sampler *sampler;
    lckv_session *session;
    uint64_t max_tokens; /* of an answer */
    uint64_t context;    /* of the whole conversation */
    bool has_template;   /* false: each line is a text of its own, which the model continues */
    lckv_message *messages;
    size_t n_messages;
    size_t capacity;
};

enum answer {
    ANSWER_WHOLE,
    ANSWER_CUT,   /* Ctrl-C, or max_tokens */
    ANSWER_FULL,  /* the context has no room for what was said, or for the rest of the answer */
    ANSWER_FAILED /* after a complaint */
};

/* Adds a message from "system" or "user". False: out of memory, after a complaint. */
bool conversation_add(struct conversation *conversation, const char *role, const char *text,
                      size_t length);

/*
 * Whether the model has a chat template that the library knows; if not, why not is in
 * lckv_last_error().
 */
bool conversation_has_template(const lckv_model *model);

/* Answers what the user says. Without an answer, what was said is forgotten too. */
enum answer conversation_say(struct conversation *conversation, const char *text, size_t length);

/* Forgets all messages but the first `n_messages`. */
void conversation_cut(struct conversation *conversation, size_t n_messages);

/* Frees what it owns: the messages and the session. */
void conversation_end(struct conversation *conversation);

#endif
