/*
 * A prompt of lckv batch on its way to an answer: its tokens, how many of them the model has seen,
 * and the text so far.
 *
 * All that decides the answer is here and not in the session. So a job can give its session up and
 * go on in another one later, and the answer is the same.
 */
#ifndef TOOLS_BATCH_JOB_H
#define TOOLS_BATCH_JOB_H

#include "batch_output.h"

/* What all jobs need to know of the model. */
struct batch_model {
    const lckv_model *model;
    uint32_t n_vocab;
    bool has_text;         /* it has a tokenizer */
    uint32_t prompt_flags; /* of lckv_tokenize */
    bool ignore_end;       /* go on after an end token */
};

struct batch_job {
    struct batch_request request;
    struct token_list tokens; /* the prompt, and behind it what was generated */
    size_t capacity;
    size_t n_prompt;
    size_t n_encoded;      /* tokens that are in the session */
    lckv_session *session; /* NULL while the job waits */
    lckv_sampler *sampler;
    lckv_detokenizer *detokenizer; /* NULL if the model has no tokenizer */
    struct bytes text;
    size_t text_capacity;
    bool is_stopped;    /* a stop string was found; no more text is kept */
    const char *reason; /* why the text has ended; NULL while it goes on */
    double began;
};

/*
 * Begins a job, which takes the request over. If the request cannot be answered, it has a problem
 * afterwards. NULL after a complaint.
 */
struct batch_job *batch_job_begin(const struct batch_model *model, struct batch_request *request);

/*
 * Chooses the next token from the session's logits. If that is impossible, the request has a
 * problem afterwards. Complains and returns an exit status.
 */
int batch_job_step(const struct batch_model *model, struct batch_job *job);

/* Completes the text and gives the answer, which points into the job. Complains as above. */
int batch_job_end(const struct batch_model *model, struct batch_job *job,
                  struct batch_answer *answer);

/* Whether the job is over: the text has ended, or the request has a problem. */
bool batch_job_is_over(const struct batch_job *job);

void batch_job_free(struct batch_job *job);

#endif
