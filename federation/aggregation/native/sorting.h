// Means of sorted values, coordinate by coordinate: the part of kernels.c that sorts, compiled with each of its variants.
#ifndef TRIBUTARY_SORTING_H
#define TRIBUTARY_SORTING_H

#include <stdlib.h>

#include "network.h"
#include "vectors.h"

// Values are finite. Of two zeros a comparator may write one twice: sums start at +0, so that the sign of a zero is lost.
#define COLUMNS 64
#define CACHE_LINE 64
#define STEPS (COLUMNS * sizeof(float) / sizeof(floats))

typedef union {
  floats steps[STEPS];
  float values[COLUMNS];
} row;

// More streams than a processor reads ahead in: what the next columns need is asked for before these are sorted.
static void load_columns(row *rows, const float *const *updates, size_t count, size_t start, size_t length) {
  size_t left = length - start;
  for (size_t k = 0; k < count; k++) {
    const float *from = updates[k] + start;
    if (left < COLUMNS) {
      memset(&rows[k], 0, sizeof rows[k]);
      memcpy(rows[k].values, from, left * sizeof *from);
      continue;
    }
    memcpy(rows[k].values, from, sizeof rows[k].values);
    for (size_t i = COLUMNS; i < 2 * COLUMNS && i < left; i += CACHE_LINE / sizeof *from) __builtin_prefetch(from + i);
  }
}

static void sort_columns(row *rows, const network *sorting) {
  for (size_t at = 0; at < sorting->length; at++) {
    comparator one = sorting->comparators[at];
    row *low = &rows[one.low], *high = &rows[one.high];
    if (one.writes == (WRITES_LOW | WRITES_HIGH)) {
      for (size_t i = 0; i < STEPS; i++) {
        floats a = low->steps[i], b = high->steps[i];
        low->steps[i] = LESSER(a, b);
        high->steps[i] = GREATER(a, b);
      }
    } else if (one.writes == WRITES_LOW) {
      for (size_t i = 0; i < STEPS; i++) low->steps[i] = LESSER(low->steps[i], high->steps[i]);
    } else {
      for (size_t i = 0; i < STEPS; i++) high->steps[i] = GREATER(low->steps[i], high->steps[i]);
    }
  }
}

static void mean_of_rows(double *means, const row *rows, size_t lo, size_t hi) {
  for (size_t i = 0; i < COLUMNS; i += WIDTH) {
    doubles sums = {0};
    for (size_t k = lo; k < hi; k++) sums += widened(rows[k].values + i);
    sums /= (double)(hi - lo);
    memcpy(means + i, &sums, sizeof sums);
  }
}

typedef struct {
  row *rows;
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
    load_columns(work.rows, updates, count, start, length);
    sort_columns(work.rows, &work.sorting);
    mean_of_rows(means, work.rows, lo, hi);
    for (size_t i = 0; i < width; i++) out[start + i] = (float)means[i];
  }
  end_sort(&work);
  return 0;
}

// The nearest values of a sorted column stand together. The window moves up while the value that it would lose is
// farther from the median than the one that it would gain; a tie keeps the smaller value.
static void mean_of_windows(double *means, const row *rows, size_t count, size_t nearest) {
  double medians[COLUMNS], sums[COLUMNS] = {0};
  int64_t first[COLUMNS] = {0};
  mean_of_rows(medians, rows, (count - 1) / 2, count / 2 + 1);
  for (size_t k = 0; k + nearest < count; k++) {
    for (int i = 0; i < COLUMNS; i++) {
      double lost = medians[i] - (double)rows[k].values[i];
      double gained = (double)rows[k + nearest].values[i] - medians[i];
      first[i] += lost > gained;
    }
  }
  for (size_t k = 0; k < count; k++) {
    for (int i = 0; i < COLUMNS; i++) {
      int64_t place = (int64_t)k - first[i];
      sums[i] += place >= 0 && place < (int64_t)nearest ? (double)rows[k].values[i] : 0.0;
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
    load_columns(work.rows, updates, count, start, length);
    sort_columns(work.rows, &work.sorting);
    mean_of_windows(means, work.rows, count, nearest);
    for (size_t i = 0; i < width; i++) out[start + i] = (float)means[i];
  }
  end_sort(&work);
  return 0;
}

#endif
