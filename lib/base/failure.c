/*
 * A handle's own last failure. See failure.h.
 */
#include "base/failure.h"

#include "base/status.h"

#include <string.h>

void failure_init(struct failure *failure)
{
    pthread_mutex_init(&failure->mutex, NULL);
    failure->text[0] = '\0';
}

void failure_destroy(struct failure *failure)
{
    pthread_mutex_destroy(&failure->mutex);
}

lckv_status failure_keep(struct failure *failure, lckv_status status)
{
    if (status != LCKV_OK) {
        pthread_mutex_lock(&failure->mutex);
        status_message_copy(failure->text, sizeof failure->text);
        pthread_mutex_unlock(&failure->mutex);
    }
    return status;
}

size_t failure_copy(struct failure *failure, char *buffer, size_t capacity)
{
    pthread_mutex_lock(&failure->mutex);
    size_t length = strlen(failure->text);
    if (capacity > 0) {
        size_t kept = length < capacity ? length : capacity - 1;
        memcpy(buffer, failure->text, kept);
        buffer[kept] = '\0';
    }
    pthread_mutex_unlock(&failure->mutex);
    return length;
}
