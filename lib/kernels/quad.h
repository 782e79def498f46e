/*
 * Quads: four neighbouring bytes, at any alignment.
 */
#ifndef LCKV_KERNELS_QUAD_H
#define LCKV_KERNELS_QUAD_H

#include <stdint.h>
#include <string.h>

static inline uint32_t load_quad(const uint8_t *from)
{
    uint32_t quad;
    memcpy(&quad, from, 4);
    return quad;
}

static inline void store_quad(uint8_t *to, uint32_t quad)
{
    memcpy(to, &quad, 4);
}

#endif
