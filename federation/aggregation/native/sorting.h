// Means of sorted values, coordinate by coordinate: the part of kernels.c that sorts, compiled with each of its variants.
#ifndef TRIBUTARY_SORTING_H
#define TRIBUTARY_SORTING_H

#include <stdlib.h>

#include "network.h"
#include "vectors.h"

// Sorting works on integers that order as the floats do (and -0 before 0): integer minima are one instruction everywhere.
#define COLUMNS 64

INLINE int32_t key_of(int32_t bits) { return bits ^ ((bits >> 31) & 0x7fffffff); }

INLINE float value_of(int32_t key) {
  int32_t bits = key_of(key);
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static void load_columns(int32_t (*rows)[COLUMNS], const float *const *updates, size_t count, size_t start, size_t width) {
  for (size_t k = 0; k < count; k++) {
    int32_t bits[COLUMNS] = {0};
    memcpy(bits, updates[k] + start, width * sizeof *bits);
    for (int i = 0; i < COLUMNS; i++) rows[k][i] = key_of(bits[i]);
  }
}

static void sort_columns(int32_t (*rows)[COLUMNS], const network *sorting) {
  for (size_t at = 0; at < sorting->length; at++) {
    comparator one = sorting->comparators[at];
    int32_t *restrict low = rows[one.low], *restrict high = rows[one.high];
    if (one.writes == (WRITES_LOW | WRITES_HIGH)) {
      for (int i = 0; i < COLUMNS; i++) {
        int32_t a = low[i], b = high[i];
        low[i] = a < b ? a : b;
        high[i] = a < b ? b : a;
      }
    } else if (one.writes == WRITES_LOW) {
      for (int i = 0; i < COLUMNS; i++) low[i] = low[i] < high[i] ? low[i] : high[i];
    } else {
      for (int i = 0; i < COLUMNS; i++) high[i] = low[i] < high[i] ? high[i] : low[i];
    }
  }
}

static void mean_of_rows(double *means, int32_t (*rows)[COLUMNS], size_t lo, size_t hi) {
  double sums[COLUMNS] = {0};
  for (size_t k = lo; k < hi; k++) {
    for (int i = 0; i < COLUMNS; i++) sums[i] += (double)value_of(rows[k][i]);
  }
  for (int i = 0; i < COLUMNS; i++) means[i] = sums[i] / (double)(hi - lo);
}

typedef struct {
  int32_t (*rows)[COLUMNS];
  network sorting;
} sorter;

static int begin_sort(sorter *made, size_t count, size_t lo, size_t hi) {
  made->rows = aligned_alloc(64, (count ? count : 1) * sizeof *made->rows);
  if (!made->rows) return -1;
  if (make_network(&made->sorting, count, lo, hi) == 0) return 0;
  free(made->rows);
  return -1;
}

static void end_sort(sorter *made) {
  free(made->sorting.comparators);
  free(made->rows);
}

static int sorted_mean(float *out, const float *const *updates, size_t count, size_t length, size_t lo, size_t hi) {
  sorter work;
  if (begin_sort(&work, count, lo, hi) != 0) return -1;
  for (size_t start = 0; start < length; start += COLUMNS) {
    size_t width = length - start < COLUMNS ? length - start : COLUMNS;
    double means[COLUMNS];
    load_columns(work.rows, updates, count, start, width);
    sort_columns(work.rows, &work.sorting);
    mean_of_rows(means, work.rows, lo, hi);
    for (size_t i = 0; i < width; i++) out[start + i] = (float)means[i];
  }
  end_sort(&work);
  return 0;
}

// The nearest values of a sorted column stand together. The window moves up while the value that it would lose is
// farther from the median than the one that it would gain; a tie keeps the smaller value.
static void mean_of_windows(double *means, int32_t (*rows)[COLUMNS], size_t count, size_t nearest) {
  double medians[COLUMNS], sums[COLUMNS] = {0};
  int64_t first[COLUMNS] = {0};
  mean_of_rows(medians, rows, (count - 1) / 2, count / 2 + 1);
  for (size_t k = 0; k + nearest < count; k++) {
    for (int i = 0; i < COLUMNS; i++) {
      double lost = medians[i] - (double)value_of(rows[k][i]);
      double gained = (double)value_of(rows[k + nearest][i]) - medians[i];
      first[i] += lost > gained;
    }
  }
  for (size_t k = 0; k < count; k++) {
    for (int i = 0; i < COLUMNS; i++) {
      int64_t place = (int64_t)k - first[i];
      sums[i] += place >= 0 && place < (int64_t)nearest ? (double)value_of(rows[k][i]) : 0.0;
    }
  }
  for (int i = 0; i < COLUMNS; i++) means[i] = sums[i] / (double)nearest;
}

static int mean_around_median(float *out, const float *const *updates, size_t count, size_t length, size_t nearest) {
  sorter work;
  if (begin_sort(&work, count, 0, count) != 0) return -1;
  for (size_t start = 0; start < length; start += COLUMNS) {
    size_t width = length - start < COLUMNS ? length - start : COLUMNS;
    double means[COLUMNS];
    load_columns(work.rows, updates, count, start, width);
    sort_columns(work.rows, &work.sorting);
    mean_of_windows(means, work.rows, count, nearest);
    for (size_t i = 0; i < width; i++) out[start + i] = (float)means[i];
  }
  end_sort(&work);
  return 0;
}

#endif
