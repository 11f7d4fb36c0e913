// See files.h.
#define _POSIX_C_SOURCE 200809L
#include "files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Values of one file in a piece, and files in a group: 1 MB together. Longer reads cost less than what leaves the cache.
#define PIECE 32768
#define GROUP 8

static file_failure read_piece(int file, float *into, size_t values, size_t offset) {
  size_t done = 0, wanted = values * sizeof *into;
  while (done < wanted) {
    ssize_t got = pread(file, (char *)into + done, wanted - done, (off_t)(offset + done));
    if (got > 0) done += (size_t)got;
    else if (got == 0) return (file_failure){FILE_ENDS_EARLY, 0, 0};
    else if (errno != EINTR) return (file_failure){FILE_UNREADABLE, 0, errno};
  }
  return (file_failure){FILES_ADDED, 0, 0};
}

static file_failure add_group(const file_sum *sum, const kernel_table *kernels, float *slab, size_t start, size_t first) {
  const float *rows[GROUP];
  size_t values = sum->length - start < PIECE ? sum->length - start : PIECE;
  size_t files = sum->count - first < GROUP ? sum->count - first : GROUP;
  for (size_t k = 0; k < files; k++) {
    float *row = slab + k * PIECE;
    file_failure failure = read_piece(sum->files[first + k], row, values, sum->offset + start * sizeof *slab);
    failure.file = first + k;
    if (failure.kind != FILES_ADDED) return failure;
    rows[k] = row;
  }
  kernels->accumulate(sum->sums + start, rows, sum->weights + first, files, values);
  return (file_failure){FILES_ADDED, 0, 0};
}

file_failure add_files(const file_sum *sum, const kernel_table *kernels) {
  file_failure outcome = {FILES_ADDED, 0, 0};
  float *slab = aligned_alloc(64, GROUP * PIECE * sizeof *slab);
  if (!slab) return (file_failure){FILES_WITHOUT_MEMORY, 0, 0};
  for (size_t start = 0; start < sum->length && outcome.kind == FILES_ADDED; start += PIECE) {
    for (size_t first = 0; first < sum->count && outcome.kind == FILES_ADDED; first += GROUP) {
      outcome = add_group(sum, kernels, slab, start, first);
    }
  }
  free(slab);
  return outcome;
}

void describe_failure(const file_failure *failure, char *text, size_t size) {
  if (failure->kind == FILE_ENDS_EARLY) snprintf(text, size, "update %zu ends before its last value", failure->file);
  else if (failure->kind == FILE_UNREADABLE) {
    snprintf(text, size, "update %zu cannot be read: %s", failure->file, strerror(failure->error));
  } else snprintf(text, size, "out of memory");
}
