// See files.h.
#define _POSIX_C_SOURCE 200809L
#include "files.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MOST_AT_A_TIME 8

static file_failure read_values(int file, float *into, size_t values, size_t offset) {
  size_t done = 0, wanted = values * sizeof *into;
  while (done < wanted) {
    ssize_t got = pread(file, (char *)into + done, wanted - done, (off_t)(offset + done));
    if (got > 0) done += (size_t)got;
    else if (got == 0) return (file_failure){FILE_ENDS_EARLY, 0, 0};
    else if (errno != EINTR) return (file_failure){FILE_UNREADABLE, 0, errno};
  }
  return (file_failure){FILES_READ, 0, 0};
}

file_failure read_files(float *rows, size_t length, const file_list *list) {
  for (size_t k = 0; k < list->count; k++) {
    file_failure failure = read_values(list->files[k], rows + k * length, length, list->offset);
    failure.file = k;
    if (failure.kind != FILES_READ) return failure;
  }
  return (file_failure){FILES_READ, 0, 0};
}

file_failure add_files(const file_sum *sum, const file_list *list, const kernel_table *kernels) {
  size_t most = sum->length ? sum->room / sum->length : MOST_AT_A_TIME;
  if (most > MOST_AT_A_TIME) most = MOST_AT_A_TIME;
  for (size_t first = 0; first < list->count; first += most) {
    size_t some = list->count - first < most ? list->count - first : most;
    file_list group = {list->files + first, some, list->offset};
    file_failure failure = read_files(sum->buffer, sum->length, &group);
    failure.file += first;
    if (failure.kind != FILES_READ) return failure;
    const float *rows[MOST_AT_A_TIME];
    for (size_t k = 0; k < some; k++) rows[k] = sum->buffer + k * sum->length;
    kernels->accumulate(sum->sums, rows, sum->weights + first, some, sum->length);
  }
  return (file_failure){FILES_READ, 0, 0};
}

void describe_failure(const file_failure *failure, char *text, size_t size) {
  if (failure->kind == FILE_ENDS_EARLY) snprintf(text, size, "update %zu ends before its last value", failure->file);
  else snprintf(text, size, "update %zu cannot be read: %s", failure->file, strerror(failure->error));
}
