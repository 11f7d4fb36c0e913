// See network.h. Batcher, "Sorting networks and their applications", 1968; Knuth, TAOCP 3, 5.2.2, algorithm M.
#include "network.h"

#include <stdlib.h>

static int push(network *made, size_t *capacity, uint32_t low, uint32_t high) {
  if (made->length == *capacity) {
    size_t larger = *capacity ? 2 * *capacity : 256;
    comparator *moved = realloc(made->comparators, larger * sizeof *moved);
    if (!moved) return -1;
    made->comparators = moved;
    *capacity = larger;
  }
  made->comparators[made->length++] = (comparator){low, high, WRITES_LOW | WRITES_HIGH};
  return 0;
}

static int sort_all(network *made, size_t inputs) {
  size_t capacity = 0, top = 1;
  while (2 * top < inputs) top *= 2;
  for (size_t p = inputs > 1 ? top : 0; p > 0; p /= 2) {
    size_t q = top, r = 0, d = p;
    for (;;) {
      for (size_t i = 0; i + d < inputs; i++) {
        if ((i & p) == r && push(made, &capacity, (uint32_t)i, (uint32_t)(i + d)) != 0) return -1;
      }
      if (q == p) break;
      d = q - p;
      q /= 2;
      r = p;
    }
  }
  return 0;
}

// Walks backwards, knowing which rows are still read, and keeps what they need.
static int prune(network *made, size_t inputs, size_t lo, size_t hi) {
  unsigned char *needed = calloc(inputs ? inputs : 1, 1);
  if (!needed) return -1;
  for (size_t i = lo; i < hi; i++) needed[i] = 1;
  size_t kept = made->length;
  for (size_t at = made->length; at-- > 0;) {
    comparator one = made->comparators[at];
    one.writes = (needed[one.low] ? WRITES_LOW : 0) | (needed[one.high] ? WRITES_HIGH : 0);
    if (one.writes == 0) continue;
    needed[one.low] = needed[one.high] = 1;
    made->comparators[--kept] = one;
  }
  made->length -= kept;
  for (size_t at = 0; at < made->length; at++) made->comparators[at] = made->comparators[kept + at];
  free(needed);
  return 0;
}

int make_network(network *made, size_t inputs, size_t lo, size_t hi) {
  made->comparators = NULL;
  made->length = 0;
  if (sort_all(made, inputs) == 0 && prune(made, inputs, lo, hi) == 0) return 0;
  free(made->comparators);
  return -1;
}
