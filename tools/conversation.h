/*
 * A conversation with a model: its messages, and one session that follows them. Answers go to
 * standard output as they come.
 */
#ifndef TOOLS_CONVERSATION_H
#define TOOLS_CONVERSATION_H

#include "saved.h"
#include "stream.h"

struct conversation {
    const lckv_model *model;
    lckv_cache *cache;
    lckv_sampler *sampler;
    lckv_session *session;
    struct token_list
        held;            /* the session's tokens; with a context window, it forgets some itself */
    uint64_t max_tokens; /* of an answer */
    uint64_t context;    /* of the whole conversation */
    bool has_template;   /* false: each message is a text of its own, which the model continues */
    lckv_message *messages;
    size_t n_messages;
    size_t capacity;
};

enum answer {
    ANSWER_WHOLE,
    ANSWER_CUT,   /* Ctrl-C, or max_tokens */
    ANSWER_FULL,  /* the context has no room for the message, or for the rest of the answer */
    ANSWER_FAILED /* after a complaint */
};

/*
 * Adds a message; `role` must live as long as the conversation. Complains and returns false if
 * memory runs out.
 */
bool conversation_add(struct conversation *conversation, const char *role, const char *text,
                      size_t length);

/*
 * Whether the model has a chat template that the library understands. If not, lckv_last_error()
 * says why.
 */
bool conversation_has_template(const lckv_model *model);

/* Adds a message of the user and answers it. If there is no answer, the message is forgotten. */
enum answer conversation_say(struct conversation *conversation, const char *text, size_t length);

/* Forgets all messages but the first `n_messages`. */
void conversation_cut(struct conversation *conversation, size_t n_messages);

/* The messages that do not belong to a turn: 1 if the first is a system message, or 0. */
size_t conversation_n_first(const struct conversation *conversation);

/*
 * Saves the session with the messages as its note, or begins with those of a file, which a terminal
 * then shows. Both complain and return an exit status.
 */
int conversation_save(struct conversation *conversation, const char *path);
int conversation_restore(struct conversation *conversation, const struct saved_settings *saved);

/* Frees what it owns: the messages, the session and its tokens. */
void conversation_end(struct conversation *conversation);

#endif
