// The add-on: hands typed arrays of JavaScript to the kernels, after checking that they are what the kernels take, and
// adds up whole files on threads of Node's pool. Every call either does its work or throws; nothing is kept between calls.
#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "file-jobs.h"
#include "kernels.h"
#include "programs.h"

static bool runs_here(const kernel_table *kernels) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  if (kernels == &kernels_avx2) return avx2;
  if (kernels == &kernels_avx512) {
    return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  }
#endif
  return kernels == &kernels_baseline;
}

typedef struct {
  const float **rows;
  uint32_t count;
} row_list;

// Updates of at least `length` values each; the caller frees `rows`. False after throwing.
static bool take_rows(napi_env env, napi_value list, size_t length, row_list *taken) {
  *taken = (row_list){NULL, 0};
  if (napi_get_array_length(env, list, &taken->count) != napi_ok) {
    napi_throw_type_error(env, NULL, "updates is not an array");
    return false;
  }
  taken->rows = malloc((taken->count ? taken->count : 1) * sizeof *taken->rows);
  if (!taken->rows) {
    napi_throw_error(env, NULL, "out of memory");
    return false;
  }
  for (uint32_t k = 0; k < taken->count; k++) {
    napi_value row;
    void *data;
    size_t found;
    if (napi_get_element(env, list, k, &row) != napi_ok || !elements(env, row, napi_float32_array, &data, &found)) goto failed;
    if (found < length) {
      refuse(env, "an update is shorter than the others");
      goto failed;
    }
    taken->rows[k] = data;
  }
  return true;
failed:
  free(taken->rows);
  return false;
}

// accumulate(sums, updates, weights)
static napi_value accumulate(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  void *sums, *weights;
  size_t length, weight_count;
  row_list updates;
  const kernel_table *kernels = take_arguments(env, info, 3, arguments);
  if (!kernels || !elements(env, arguments[0], napi_float64_array, &sums, &length) ||
      !elements(env, arguments[2], napi_float64_array, &weights, &weight_count) ||
      !take_rows(env, arguments[1], length, &updates)) {
    return NULL;
  }
  if (weight_count < updates.count) refuse(env, "there are fewer weights than updates");
  else kernels->accumulate(sums, updates.rows, weights, updates.count, length);
  free(updates.rows);
  return NULL;
}

// addGram(gram, updates)
static napi_value add_gram(napi_env env, napi_callback_info info) {
  napi_value arguments[2], first;
  void *gram, *data;
  size_t entries, length = 0;
  uint32_t count = 0;
  row_list updates;
  const kernel_table *kernels = take_arguments(env, info, 2, arguments);
  if (!kernels || !elements(env, arguments[0], napi_float64_array, &gram, &entries)) return NULL;
  if (napi_get_array_length(env, arguments[1], &count) == napi_ok && count > 0) {
    if (napi_get_element(env, arguments[1], 0, &first) != napi_ok ||
        !elements(env, first, napi_float32_array, &data, &length)) {
      return NULL;
    }
  }
  if (!take_rows(env, arguments[1], length, &updates)) return NULL;
  if (entries != (size_t)updates.count * updates.count) refuse(env, "the matrix has not one entry for each pair of updates");
  else if (kernels->add_gram(gram, updates.rows, updates.count, length) != 0) napi_throw_error(env, NULL, "out of memory");
  free(updates.rows);
  return NULL;
}

// sortedMean(out, updates, { lo, hi })
static napi_value sorted_mean(napi_env env, napi_callback_info info) {
  napi_value arguments[3], lo_value, hi_value;
  void *out;
  size_t length, lo, hi;
  row_list updates;
  const kernel_table *kernels = take_arguments(env, info, 3, arguments);
  if (!kernels || !elements(env, arguments[0], napi_float32_array, &out, &length)) return NULL;
  if (napi_get_named_property(env, arguments[2], "lo", &lo_value) != napi_ok ||
      napi_get_named_property(env, arguments[2], "hi", &hi_value) != napi_ok) {
    napi_throw_type_error(env, NULL, "the range has no lo and hi");
    return NULL;
  }
  if (!take_size(env, lo_value, &lo) || !take_size(env, hi_value, &hi)) return NULL;
  if (!take_rows(env, arguments[1], length, &updates)) return NULL;
  if (lo >= hi || hi > updates.count) refuse(env, "the range is not within the number of updates");
  else if (kernels->sorted_mean(out, updates.rows, updates.count, length, lo, hi) != 0) napi_throw_error(env, NULL, "out of memory");
  free(updates.rows);
  return NULL;
}

// meanAroundMedian(out, updates, count)
static napi_value mean_around_median(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  void *out;
  size_t length, nearest;
  row_list updates;
  const kernel_table *kernels = take_arguments(env, info, 3, arguments);
  if (!kernels || !elements(env, arguments[0], napi_float32_array, &out, &length) ||
      !take_size(env, arguments[2], &nearest) || !take_rows(env, arguments[1], length, &updates)) {
    return NULL;
  }
  if (nearest == 0 || nearest > updates.count) refuse(env, "the count is not within the number of updates");
  else if (kernels->mean_around_median(out, updates.rows, updates.count, length, nearest) != 0) napi_throw_error(env, NULL, "out of memory");
  free(updates.rows);
  return NULL;
}

// addSquares(lanes, bytes, position): bytes hold whole float32 values, wherever they begin.
static napi_value add_squares(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  void *lanes, *bytes;
  size_t lane_count, byte_count, position;
  const kernel_table *kernels = take_arguments(env, info, 3, arguments);
  if (!kernels || !elements(env, arguments[0], napi_float64_array, &lanes, &lane_count) ||
      !elements(env, arguments[1], napi_uint8_array, &bytes, &byte_count) || !take_size(env, arguments[2], &position)) {
    return NULL;
  }
  if (lane_count != LANES || byte_count % 4 != 0) return refuse(env, "addSquares takes 8 lanes and whole float32 values");
  kernels->add_squares(lanes, bytes, byte_count / 4, position);
  return NULL;
}

// addMean(out, base, { sums, divisor })
static napi_value add_mean(napi_env env, napi_callback_info info) {
  napi_value arguments[3], sums_value, divisor_value;
  void *out, *base, *sums;
  size_t length, base_length, sum_count;
  double divisor;
  const kernel_table *kernels = take_arguments(env, info, 3, arguments);
  if (!kernels || !elements(env, arguments[0], napi_float32_array, &out, &length) ||
      !elements(env, arguments[1], napi_float32_array, &base, &base_length)) {
    return NULL;
  }
  if (napi_get_named_property(env, arguments[2], "sums", &sums_value) != napi_ok ||
      napi_get_named_property(env, arguments[2], "divisor", &divisor_value) != napi_ok ||
      napi_get_value_double(env, divisor_value, &divisor) != napi_ok) {
    napi_throw_type_error(env, NULL, "the mean has no sums and divisor");
    return NULL;
  }
  if (!elements(env, sums_value, napi_float64_array, &sums, &sum_count)) return NULL;
  if (base_length < length || sum_count < length) return refuse(env, "the base or the sums are shorter than the output");
  kernels->add_mean(out, base, sums, divisor, length);
  return NULL;
}

static void add_function(napi_env env, napi_value object, const char *name, napi_callback callback, const kernel_table *kernels) {
  napi_value function;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, (void *)kernels, &function);
  napi_set_named_property(env, object, name, function);
}

static napi_value kernels_object(napi_env env, const kernel_table *kernels) {
  napi_value object, name;
  napi_create_object(env, &object);
  napi_create_string_utf8(env, kernels->name, NAPI_AUTO_LENGTH, &name);
  napi_set_named_property(env, object, "variant", name);
  add_function(env, object, "accumulate", accumulate, kernels);
  add_function(env, object, "addGram", add_gram, kernels);
  add_function(env, object, "sortedMean", sorted_mean, kernels);
  add_function(env, object, "meanAroundMedian", mean_around_median, kernels);
  add_function(env, object, "addSquares", add_squares, kernels);
  add_function(env, object, "runElementwise", run_elementwise, kernels);
  add_function(env, object, "addMean", add_mean, kernels);
  add_function(env, object, "accumulateFiles", accumulate_files, kernels);
  add_function(env, object, "readFiles", read_into_rows, kernels);
  return object;
}

// Exports the variants that run on this processor, the fastest first.
NAPI_MODULE_INIT() {
  static const kernel_table *const tables[] = {
#if defined(__x86_64__)
      &kernels_avx512, &kernels_avx2,
#endif
      &kernels_baseline};
  napi_value variants;
  uint32_t found = 0;
  napi_create_array(env, &variants);
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
    if (runs_here(tables[i])) napi_set_element(env, variants, found++, kernels_object(env, tables[i]));
  }
  napi_set_named_property(env, exports, "variants", variants);
  return exports;
}
