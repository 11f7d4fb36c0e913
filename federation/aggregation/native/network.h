// Batcher's odd-even merge sort for any number of inputs, pruned to the outputs that somebody reads: a comparator none
// of whose outputs is needed falls away, and one of which only one is needed writes only that one.
#ifndef TRIBUTARY_NETWORK_H
#define TRIBUTARY_NETWORK_H

#include <stddef.h>
#include <stdint.h>

enum { WRITES_LOW = 1, WRITES_HIGH = 2 };

typedef struct {
  uint32_t low, high;
  uint32_t writes;
} comparator;

typedef struct {
  comparator *comparators;
  size_t length;
} network;

// Sorts `inputs` rows as far as rows lo to hi - 1 need it. 0, or -1 when memory is missing; free(comparators) ends it.
int make_network(network *made, size_t inputs, size_t lo, size_t hi);

#endif
