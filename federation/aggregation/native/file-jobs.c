// See file-jobs.h. The arrays belong to a job until its promise is settled; references keep them alive so long.
#include "file-jobs.h"

#include <stdlib.h>

#include "files.h"

#define MOST_ARRAYS 4

typedef struct {
  const kernel_table *kernels;
  file_list list;
  // What to add up; without sums, files are only read into the buffer.
  file_sum sum;
  napi_async_work work;
  napi_deferred deferred;
  napi_ref arrays[MOST_ARRAYS];
  size_t array_count;
  file_failure failure;
} file_job;

static void run_job(napi_env env, void *data) {
  (void)env;
  file_job *job = data;
  job->failure = job->sum.sums ? add_files(&job->sum, &job->list, job->kernels)
                               : read_files(job->sum.buffer, job->sum.length, &job->list);
}

static void end_job(napi_env env, napi_status status, void *data) {
  file_job *job = data;
  napi_value outcome, message;
  char text[96] = "the work was cancelled";
  if (status == napi_ok && job->failure.kind == FILES_READ) {
    napi_get_undefined(env, &outcome);
    napi_resolve_deferred(env, job->deferred, outcome);
  } else {
    if (status == napi_ok) describe_failure(&job->failure, text, sizeof text);
    napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &message);
    napi_create_error(env, NULL, message, &outcome);
    napi_reject_deferred(env, job->deferred, outcome);
  }
  for (size_t k = 0; k < job->array_count; k++) napi_delete_reference(env, job->arrays[k]);
  napi_delete_async_work(env, job->work);
  free(job);
}

static napi_value queue_job(napi_env env, const file_job *wanted, const napi_value *arrays, size_t array_count) {
  napi_value promise, name;
  file_job *job = malloc(sizeof *job);
  if (!job) return refuse(env, "out of memory");
  *job = *wanted;
  job->array_count = array_count;
  for (size_t k = 0; k < array_count; k++) napi_create_reference(env, arrays[k], 1, &job->arrays[k]);
  napi_create_promise(env, &job->deferred, &promise);
  napi_create_string_utf8(env, "tributary:files", NAPI_AUTO_LENGTH, &name);
  napi_create_async_work(env, NULL, name, run_job, end_job, job, &job->work);
  napi_queue_async_work(env, job->work);
  return promise;
}

static bool take_list(napi_env env, napi_value descriptors, napi_value offset, file_list *list) {
  void *files;
  if (!elements(env, descriptors, napi_int32_array, &files, &list->count)) return false;
  list->files = files;
  return take_size(env, offset, &list->offset);
}

napi_value accumulate_files(napi_env env, napi_callback_info info) {
  napi_value arguments[3], descriptors, weights_value, offset;
  void *sums, *weights, *buffer;
  size_t weight_count;
  file_job job = {.kernels = take_arguments(env, info, 3, arguments)};
  if (!job.kernels) return NULL;
  if (napi_get_named_property(env, arguments[1], "descriptors", &descriptors) != napi_ok ||
      napi_get_named_property(env, arguments[1], "weights", &weights_value) != napi_ok ||
      napi_get_named_property(env, arguments[1], "offset", &offset) != napi_ok) {
    napi_throw_type_error(env, NULL, "the files have no descriptors, weights and offset");
    return NULL;
  }
  if (!elements(env, arguments[0], napi_float64_array, &sums, &job.sum.length) ||
      !take_list(env, descriptors, offset, &job.list) ||
      !elements(env, weights_value, napi_float64_array, &weights, &weight_count) ||
      !elements(env, arguments[2], napi_float32_array, &buffer, &job.sum.room)) {
    return NULL;
  }
  if (weight_count < job.list.count) return refuse(env, "there are fewer weights than files");
  if (job.sum.room < job.sum.length) return refuse(env, "the buffer is shorter than the sums");
  job.sum.sums = sums;
  job.sum.weights = weights;
  job.sum.buffer = buffer;
  const napi_value arrays[] = {arguments[0], descriptors, weights_value, arguments[2]};
  return queue_job(env, &job, arrays, 4);
}

napi_value read_into_rows(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  void *rows;
  size_t values;
  file_job job = {.kernels = take_arguments(env, info, 3, arguments)};
  if (!job.kernels || !elements(env, arguments[0], napi_float32_array, &rows, &values) ||
      !take_list(env, arguments[1], arguments[2], &job.list)) {
    return NULL;
  }
  if (job.list.count == 0 || values % job.list.count != 0) return refuse(env, "the rows are not as long for each file");
  job.sum.buffer = rows;
  job.sum.length = values / job.list.count;
  const napi_value arrays[] = {arguments[0], arguments[1]};
  return queue_job(env, &job, arrays, 2);
}
