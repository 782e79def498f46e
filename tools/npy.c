/*
 * See npy.h.
 */
#include "npy.h"

#include <inttypes.h>
#include <string.h>

bool npy_begin(FILE *file, uint64_t n_rows, uint64_t n_columns)
{
    enum { PREFIX = 10, HEADER = 128 }; /* the data should begin at a multiple of 64 */
    const char *order = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? "<f4" : ">f4";
    char header[HEADER + 1];
    memset(header, ' ', sizeof header);
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    header[8] = HEADER - PREFIX;
    header[9] = 0;
    int n =
        snprintf(header + PREFIX, HEADER - PREFIX,
                 "{'descr': '%s', 'fortran_order': False, 'shape': (%" PRIu64 ", %" PRIu64 "), }",
                 order, n_rows, n_columns);
    header[PREFIX + n] = ' ';
    header[HEADER - 1] = '\n';
    return fwrite(header, 1, HEADER, file) == HEADER;
}

bool npy_write(FILE *file, const float *values, size_t n_values)
{
    return fwrite(values, sizeof *values, n_values, file) == n_values;
}
