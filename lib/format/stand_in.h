/*
 * Recognises what people find where a model's file should be: a pointer to a file elsewhere, an
 * error page, an archive. The message can then name the cause.
 */
#ifndef LCKV_FORMAT_STAND_IN_H
#define LCKV_FORMAT_STAND_IN_H

#include "base/checked.h"
#include "base/file.h"

/*
 * LCKV_BAD_FORMAT, "<name>: is <what it is>", if a file that begins with these bytes is known to be
 * neither weights nor JSON; otherwise LCKV_OK.
 */
CHECKED lckv_status stand_in_refuse_text(const char *name, const void *bytes, size_t length);

/* The same for a chat template, which may begin with any character. */
CHECKED lckv_status stand_in_refuse_template(const char *name, const void *bytes, size_t length);

/* The same for a file of weights, for which JSON and weights of other kinds are refused, too. */
CHECKED lckv_status stand_in_refuse_weights(const struct file *file);

#endif
