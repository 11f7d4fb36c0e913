// See programs.h. The elements are shared out among threads that live as long as a call; they do not depend on each other, so
// that the number of threads changes no bit.
#include "programs.h"

#include <pthread.h>
#include <stdlib.h>

#define THREADS_LIMIT 64
// Elements below which another thread costs more than it brings; a multiple of a block.
#define LEAST_SHARE 65536

typedef struct {
  const elementwise_job *job;
  const kernel_table *kernels;
  size_t start, end;
  int outcome;
} share;

static void *run_share(void *data) {
  share *own = data;
  own->outcome = own->kernels->run_elementwise(own->job, own->start, own->end);
  return NULL;
}

// 0, or -1 when memory is missing. What no thread can be had for is done here.
static int run_shares(const elementwise_job *job, const kernel_table *kernels, size_t length, size_t threads) {
  pthread_t others[THREADS_LIMIT];
  share shares[THREADS_LIMIT];
  size_t count = length / LEAST_SHARE < threads ? length / LEAST_SHARE : threads;
  if (count < 1) count = 1;
  size_t each = (length / count + LEAST_SHARE - 1) / LEAST_SHARE * LEAST_SHARE, started = 0;
  for (size_t k = 0; k < count; k++) {
    size_t start = k * each < length ? k * each : length;
    size_t end = k + 1 == count || start + each > length ? length : start + each;
    shares[k] = (share){job, kernels, start, end, 0};
  }
  while (started + 1 < count && pthread_create(&others[started], NULL, run_share, &shares[started]) == 0) started++;
  for (size_t k = started; k < count; k++) run_share(&shares[k]);
  int outcome = 0;
  for (size_t k = 0; k < started; k++) pthread_join(others[k], NULL);
  for (size_t k = 0; k < count; k++) outcome |= shares[k].outcome;
  return outcome;
}

static const char *fault_of(const elementwise_job *job) {
  int64_t places = (int64_t)(job->vector_count + job->registers);
  for (size_t at = 0; at < job->instructions; at++) {
    const int32_t *one = job->code + INSTRUCTION * at;
    if (one[0] < 0 || one[0] >= OPERATIONS) return "the program has an operation that there is not";
    if (one[1] < 0 || one[1] >= places) return "an instruction's result has no place";
    for (int side = 2; side < INSTRUCTION; side++) {
      if (one[side] >= places || -1 - (int64_t)one[side] >= (int64_t)job->scalar_count) return "an instruction's operand has no place";
    }
  }
  return NULL;
}

static bool take_program(napi_env env, napi_value program, elementwise_job *job) {
  napi_value code, registers;
  void *numbers;
  size_t length;
  if (napi_get_named_property(env, program, "code", &code) != napi_ok ||
      napi_get_named_property(env, program, "registers", &registers) != napi_ok) {
    napi_throw_type_error(env, NULL, "the program has no code and registers");
    return false;
  }
  if (!elements(env, code, napi_int32_array, &numbers, &length) || !take_size(env, registers, &job->registers)) return false;
  job->code = numbers;
  job->instructions = length / INSTRUCTION;
  if (length % INSTRUCTION == 0 && job->registers <= 256) return true;
  refuse(env, "the program is no list of instructions");
  return false;
}

// The caller frees `vectors`, also after a failure. False after throwing.
static bool take_vectors(napi_env env, napi_value list, elementwise_job *job, size_t *length) {
  uint32_t count = 0;
  if (napi_get_array_length(env, list, &count) != napi_ok) {
    napi_throw_type_error(env, NULL, "vectors is not an array");
    return false;
  }
  job->vector_count = count;
  job->vectors = malloc((count ? count : 1) * sizeof *job->vectors);
  if (!job->vectors) return refuse(env, "out of memory") != NULL;
  for (uint32_t k = 0; k < count; k++) {
    napi_value vector;
    void *data;
    size_t found;
    if (napi_get_element(env, list, k, &vector) != napi_ok || !elements(env, vector, napi_float32_array, &data, &found)) return false;
    if (k > 0 && found != *length) return refuse(env, "the vectors have not the same length") != NULL;
    *length = found;
    job->vectors[k] = data;
  }
  return true;
}

napi_value run_elementwise(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  void *scalars;
  size_t length = 0, threads;
  elementwise_job job = {0};
  const kernel_table *kernels = take_arguments(env, info, 4, arguments);
  if (!kernels || !take_program(env, arguments[0], &job) ||
      !elements(env, arguments[1], napi_float32_array, &scalars, &job.scalar_count) || !take_size(env, arguments[3], &threads)) {
    return NULL;
  }
  job.scalars = scalars;
  if (take_vectors(env, arguments[2], &job, &length)) {
    const char *fault = threads < 1 || threads > THREADS_LIMIT ? "the number of threads is not from 1 to 64" : fault_of(&job);
    if (fault) refuse(env, fault);
    else if (run_shares(&job, kernels, length, threads) != 0) napi_throw_error(env, NULL, "out of memory");
  }
  free(job.vectors);
  return NULL;
}
