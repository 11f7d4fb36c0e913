// Adds up float32 files without a detour through JavaScript: a piece of a few files at a time is read into a megabyte of
// memory, which stays in the cache, and added from there.
#ifndef TRIBUTARY_FILES_H
#define TRIBUTARY_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "kernels.h"

typedef struct {
  double *sums;
  size_t length;
  const int32_t *files;
  const double *weights;
  size_t count;
  // Byte in each file at which the first value lies.
  size_t offset;
} file_sum;

typedef struct {
  enum { FILES_ADDED, FILE_ENDS_EARLY, FILE_UNREADABLE, FILES_WITHOUT_MEMORY } kind;
  size_t file;
  int error;
} file_failure;

// sums[i] += weights[k] * value i of file k, k ascending.
file_failure add_files(const file_sum *sum, const kernel_table *kernels);

void describe_failure(const file_failure *failure, char *text, size_t size);

#endif
