// What the compiled kernels offer to the add-on. kernels.c is compiled once for each instruction set, every time with
// another VARIANT, and addon.c picks one table when it is loaded. All variants give the bits of ../kernels.ts.
#ifndef TRIBUTARY_KERNELS_H
#define TRIBUTARY_KERNELS_H

#include <stddef.h>
#include <stdint.h>

// Lanes of a float64 sum over values: value i is added to lane i % LANES, as ../kernels.ts does.
#define LANES 8
// Values after which addGram adds its lanes up.
#define GRAM_BLOCK 1024

// Numbers of an instruction of an elementwise program: operation, result, left and right operand (../elementwise.ts).
#define INSTRUCTION 4
enum { ADD, SUB, MUL, DIV, SQRT, RELU, SIGN, COPY, OPERATIONS };

// A program of which every operand was checked, and what it runs on.
typedef struct {
  const int32_t *code;
  size_t instructions, registers, vector_count, scalar_count;
  const float *scalars;
  float **vectors;
} elementwise_job;

typedef struct {
  const char *name;
  // sums[i] += weights[k] * updates[k][i], k ascending.
  void (*accumulate)(double *sums, const float *const *updates, const double *weights, size_t count, size_t length);
  // gram[k * count + l] += updates[k] . updates[l]. 0, or -1 when memory is missing.
  int (*add_gram)(double *gram, const float *const *updates, size_t count, size_t length);
  // out[i] = mean of the sorted updates[.][i] from index lo to hi. 0, or -1 when memory is missing.
  int (*sorted_mean)(float *out, const float *const *updates, size_t count, size_t length, size_t lo, size_t hi);
  // out[i] = mean of the `nearest` values of updates[.][i] nearest to their median. 0, or -1 when memory is missing.
  int (*mean_around_median)(float *out, const float *const *updates, size_t count, size_t length, size_t nearest);
  // lanes[(position + i) % LANES] += values[i]^2; values need no alignment.
  void (*add_squares)(double *lanes, const unsigned char *values, size_t length, size_t position);
  // Runs the program on the elements from `start` to before `end`. 0, or -1 when memory is missing.
  int (*run_elementwise)(const elementwise_job *job, size_t start, size_t end);
  // out[i] = base[i] + sums[i] / divisor, in double, rounded to float.
  void (*add_mean)(float *out, const float *base, const double *sums, double divisor, size_t length);
} kernel_table;

#define JOIN(a, b) a##b
#define JOINED(a, b) JOIN(a, b)
// What elementwise.c, compiled beside kernels.c for the same instruction set, calls its function.
#define ELEMENTWISE(variant) JOINED(variant, _elementwise)

extern const kernel_table kernels_baseline;
#if defined(__x86_64__)
extern const kernel_table kernels_avx2;
extern const kernel_table kernels_avx512;
#endif

#endif
