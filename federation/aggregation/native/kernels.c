// The arithmetic of merging. Sums are float64 in the order of ../kernels.ts, and nothing is contracted (the build says
// -ffp-contract=off), so every variant gives the same bits. Where a product is fused with a sum by hand, it is a product
// of two float32 values: exact in float64, so that rounding once or twice is the same.
#include "kernels.h"
#include "sorting.h"
#include "vectors.h"

#include <stdlib.h>
#include <string.h>

// The sums of a tile stay in the second-level cache while all updates pass by. Shorter tiles would end the streams in which
// processors read ahead.
#define SUM_TILE 16384
#define FUSED 8

// `count` is a constant where this is used, so that nothing is looked up while the values pass by.
INLINE void accumulate_fused(double *sums, const float *const *updates, const double *weights, size_t count, size_t length) {
  size_t i = 0;
  for (; i + WIDTH <= length; i += WIDTH) {
    doubles sum = *(loose_doubles *)(sums + i);
    for (size_t k = 0; k < count; k++) sum += weights[k] * widened(updates[k] + i);
    *(loose_doubles *)(sums + i) = sum;
  }
  for (; i < length; i++) {
    for (size_t k = 0; k < count; k++) sums[i] += weights[k] * (double)updates[k][i];
  }
}

static void accumulate_some(double *sums, const float *const *updates, const double *weights, size_t count, size_t length) {
  switch (count) {
    case 1: accumulate_fused(sums, updates, weights, 1, length); break;
    case 2: accumulate_fused(sums, updates, weights, 2, length); break;
    case 3: accumulate_fused(sums, updates, weights, 3, length); break;
    case 4: accumulate_fused(sums, updates, weights, 4, length); break;
    case 5: accumulate_fused(sums, updates, weights, 5, length); break;
    case 6: accumulate_fused(sums, updates, weights, 6, length); break;
    case 7: accumulate_fused(sums, updates, weights, 7, length); break;
    default: accumulate_fused(sums, updates, weights, FUSED, length);
  }
}

static void accumulate(double *sums, const float *const *updates, const double *weights, size_t count, size_t length) {
  for (size_t start = 0; start < length; start += SUM_TILE) {
    size_t tile = length - start < SUM_TILE ? length - start : SUM_TILE;
    for (size_t k = 0; k < count; k += FUSED) {
      size_t some = count - k < FUSED ? count - k : FUSED;
      const float *rows[FUSED];
      for (size_t j = 0; j < some; j++) rows[j] = updates[k + j] + start;
      accumulate_some(sums + start, rows, weights + k, some, tile);
    }
  }
}

INLINE double added_up(const double *lanes) {
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

// TILE x TILE inner products at once: each value is loaded and widened once for TILE products.
INLINE void gram_tile(double lanes[TILE][TILE][LANES], const float *const *a, const float *const *b) {
  for (size_t half = 0; half < LANES; half += WIDTH) {
    doubles sums[TILE][TILE] = {0};
    for (size_t i = half; i < GRAM_BLOCK; i += LANES) {
      doubles columns[TILE];
      for (int l = 0; l < TILE; l++) columns[l] = widened(b[l] + i);
      for (int k = 0; k < TILE; k++) {
        doubles row = widened(a[k] + i);
        for (int l = 0; l < TILE; l++) sums[k][l] = FUSED_PRODUCT(row, columns[l], sums[k][l]);
      }
    }
    for (int k = 0; k < TILE; k++) {
      for (int l = 0; l < TILE; l++) memcpy(&lanes[k][l][half], &sums[k][l], sizeof sums[k][l]);
    }
  }
}

// A whole block. Tiles at the edge repeat the last row and drop what they computed for it.
static void gram_block(double *gram, const float *const *rows, size_t count) {
  for (size_t k = 0; k < count; k += TILE) {
    for (size_t l = 0; l <= k; l += TILE) {
      const float *a[TILE], *b[TILE];
      double lanes[TILE][TILE][LANES];
      for (size_t j = 0; j < TILE; j++) {
        a[j] = rows[k + j < count ? k + j : count - 1];
        b[j] = rows[l + j < count ? l + j : count - 1];
      }
      gram_tile(lanes, a, b);
      for (size_t i = 0; i < TILE && k + i < count; i++) {
        for (size_t j = 0; j < TILE && l + j <= k + i; j++) gram[(k + i) * count + l + j] += added_up(lanes[i][j]);
      }
    }
  }
}

// The last block, shorter than the others.
static void gram_rest(double *gram, const float *const *rows, size_t count, size_t length) {
  for (size_t k = 0; k < count; k++) {
    for (size_t l = 0; l <= k; l++) {
      double lanes[LANES] = {0};
      for (size_t i = 0; i < length; i++) lanes[i % LANES] += (double)rows[k][i] * (double)rows[l][i];
      gram[k * count + l] += added_up(lanes);
    }
  }
}

static int add_gram(double *gram, const float *const *updates, size_t count, size_t length) {
  const float **rows = malloc((count ? count : 1) * sizeof *rows);
  if (!rows) return -1;
  for (size_t start = 0; start < length; start += GRAM_BLOCK) {
    for (size_t k = 0; k < count; k++) rows[k] = updates[k] + start;
    if (length - start >= GRAM_BLOCK) gram_block(gram, rows, count);
    else gram_rest(gram, rows, count, length - start);
  }
  for (size_t k = 0; k < count; k++) {
    for (size_t l = 0; l < k; l++) gram[l * count + k] = gram[k * count + l];
  }
  free(rows);
  return 0;
}

INLINE double value_at(const unsigned char *values, size_t index) {
  float value;
  memcpy(&value, values + 4 * index, sizeof value);
  return (double)value;
}

static void add_squares(double *lanes, const unsigned char *values, size_t length, size_t position) {
  size_t i = 0;
  for (; i < length && (position + i) % LANES != 0; i++) {
    lanes[(position + i) % LANES] += value_at(values, i) * value_at(values, i);
  }
  doubles sums[LANES / WIDTH];
  memcpy(sums, lanes, sizeof sums);
  for (; i + LANES <= length; i += LANES) {
    for (int part = 0; part < LANES / WIDTH; part++) {
      doubles wide = widened(values + 4 * (i + (size_t)part * WIDTH));
      sums[part] = FUSED_PRODUCT(wide, wide, sums[part]);
    }
  }
  memcpy(lanes, sums, sizeof sums);
  for (; i < length; i++) lanes[(position + i) % LANES] += value_at(values, i) * value_at(values, i);
}

int ELEMENTWISE(VARIANT)(const elementwise_job *job, size_t start, size_t end);
static void add_mean(float *out, const float *base, const double *sums, double divisor, size_t length) {
  for (size_t i = 0; i < length; i++) out[i] = (float)((double)base[i] + sums[i] / divisor);
}

const kernel_table VARIANT = {
    .name = VARIANT_NAME,
    .accumulate = accumulate,
    .add_gram = add_gram,
    .sorted_mean = sorted_mean,
    .mean_around_median = mean_around_median,
    .add_squares = add_squares,
    .run_elementwise = ELEMENTWISE(VARIANT),
    .add_mean = add_mean,
};
