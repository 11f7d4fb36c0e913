// Reads float32 files, and adds them up, without a detour through JavaScript: the same piece of a few files at a time is read
// into a buffer that stays in the cache, and added from there.
#ifndef TRIBUTARY_FILES_H
#define TRIBUTARY_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "kernels.h"

typedef struct {
  const int32_t *files;
  size_t count;
  // Byte in each file at which the first value lies.
  size_t offset;
} file_list;

typedef struct {
  enum { FILES_READ, FILE_ENDS_EARLY, FILE_UNREADABLE } kind;
  size_t file;
  int error;
} file_failure;

// Row k of `rows`, `length` values long, becomes the values of file k.
file_failure read_files(float *rows, size_t length, const file_list *list);

typedef struct {
  double *sums;
  size_t length;
  const double *weights;
  // Holds `room` values, at least `length`.
  float *buffer;
  size_t room;
} file_sum;

// sums[i] += weights[k] * value i of file k, k ascending.
file_failure add_files(const file_sum *sum, const file_list *list, const kernel_table *kernels);

void describe_failure(const file_failure *failure, char *text, size_t size);

#endif
