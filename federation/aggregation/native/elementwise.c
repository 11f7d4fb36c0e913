// See ../elementwise.ts. Compiled once for each instruction set, as kernels.c is. A block of every vector passes through all
// instructions while it is in the nearest cache; the scalars are blocks too, so that each operation is one loop.
#include "kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 512

// A result may be one of its operands, but an element never depends on another one.
#define EACH(result)                      \
  _Pragma("GCC ivdep")                    \
  for (size_t i = 0; i < count; i++) {    \
    float a = left[i], b = right[i];      \
    (void)b;                              \
    into[i] = (result);                   \
  }                                       \
  break

static void apply(int32_t operation, float *into, const float *left, const float *right, size_t count) {
  switch (operation) {
    case ADD: EACH(a + b);
    case SUB: EACH(a - b);
    case MUL: EACH(a * b);
    case DIV: EACH(a / b);
    case SQRT: EACH(sqrtf(a));
    case RELU: EACH(a > 0 ? a : 0);
    case SIGN: EACH((float)((a > 0) - (a < 0)));
    default: EACH(a);
  }
}

// Where an operand's block begins: vectors advance with `start`, registers and scalars stay.
static float *place(const elementwise_job *job, float *scratch, int32_t operand, size_t start) {
  if (operand < 0) return scratch + (job->registers + (size_t)(-1 - operand)) * BLOCK;
  size_t index = (size_t)operand;
  return index < job->vector_count ? job->vectors[index] + start : scratch + (index - job->vector_count) * BLOCK;
}

int ELEMENTWISE(VARIANT)(const elementwise_job *job, size_t start, size_t end);

int ELEMENTWISE(VARIANT)(const elementwise_job *job, size_t start, size_t end) {
  float *scratch = aligned_alloc(64, (job->registers + job->scalar_count + 1) * BLOCK * sizeof *scratch);
  if (!scratch) return -1;
  for (size_t k = 0; k < job->scalar_count; k++) {
    for (size_t i = 0; i < BLOCK; i++) scratch[(job->registers + k) * BLOCK + i] = job->scalars[k];
  }
  for (; start < end; start += BLOCK) {
    size_t count = end - start < BLOCK ? end - start : BLOCK;
    for (size_t at = 0; at < job->instructions; at++) {
      const int32_t *one = job->code + INSTRUCTION * at;
      apply(one[0], place(job, scratch, one[1], start), place(job, scratch, one[2], start), place(job, scratch, one[3], start), count);
    }
  }
  free(scratch);
  return 0;
}
