/*
 * What stands where a model's file should be: the pointer of a file store, a server's answer, an
 * archive. Recognised so that the message names the cause.
 */
#ifndef LCKV_FORMAT_STAND_IN_H
#define LCKV_FORMAT_STAND_IN_H

#include "base/checked.h"
#include "base/file.h"

/*
 * LCKV_BAD_FORMAT, "<name>: is <what it is>", if the bytes at a file's beginning are known for
 * something that is neither weights nor JSON; otherwise LCKV_OK.
 */
CHECKED lckv_status stand_in_refuse_text(const char *name, const void *bytes, size_t length);

/* The same for a file of weights, where JSON and other kinds of weights are stand-ins, too. */
CHECKED lckv_status stand_in_refuse_weights(const struct file *file);

#endif
