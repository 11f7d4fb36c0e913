// Registers of doubles for the instruction set that a variant is compiled for.
#ifndef TRIBUTARY_VECTORS_H
#define TRIBUTARY_VECTORS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

// Width of a register in doubles, and how many rows of a Gram tile fit into the registers.
#if defined(__AVX512F__)
#include <immintrin.h>
#define WIDTH 8
#define TILE 5
#define FUSED_PRODUCT(a, b, sum) _mm512_fmadd_pd(a, b, sum)
#define LESSER(a, b) _mm512_min_ps(a, b)
#define GREATER(a, b) _mm512_max_ps(a, b)
#elif defined(__AVX__)
#include <immintrin.h>
#define WIDTH 4
#define TILE 3
#define FUSED_PRODUCT(a, b, sum) _mm256_fmadd_pd(a, b, sum)
#define LESSER(a, b) _mm256_min_ps(a, b)
#define GREATER(a, b) _mm256_max_ps(a, b)
#elif defined(__aarch64__)
#include <arm_neon.h>
#define WIDTH 2
#define TILE 4
#define FUSED_PRODUCT(a, b, sum) vfmaq_f64(sum, a, b)
#define LESSER(a, b) vminq_f32(a, b)
#define GREATER(a, b) vmaxq_f32(a, b)
#elif defined(__SSE__)
#include <xmmintrin.h>
#define WIDTH 2
#define TILE 3
#define FUSED_PRODUCT(a, b, sum) ((sum) + (a) * (b))
#define LESSER(a, b) _mm_min_ps(a, b)
#define GREATER(a, b) _mm_max_ps(a, b)
#else
#error "no vectors are known for this processor"
#endif

typedef double doubles __attribute__((vector_size(8 * WIDTH)));
typedef double loose_doubles __attribute__((vector_size(8 * WIDTH), aligned(8)));
typedef float floats __attribute__((vector_size(8 * WIDTH)));
typedef float loose_floats __attribute__((vector_size(4 * WIDTH), aligned(1), may_alias));

#define INLINE static inline __attribute__((always_inline))

INLINE doubles widened(const void *values) {
#if defined(__AVX512F__)
  // Compilers that prefer 256 bits would convert two halves and join them.
  return (doubles)_mm512_cvtps_pd(_mm256_loadu_ps(values));
#else
  return __builtin_convertvector(*(const loose_floats *)values, doubles);
#endif
}

#endif
