// Work on files, done on threads of Node's pool: promises for JavaScript.
#ifndef TRIBUTARY_FILE_JOBS_H
#define TRIBUTARY_FILE_JOBS_H

#include "arguments.h"

// accumulateFiles(sums, { descriptors, weights, offset }, buffer)
napi_value accumulate_files(napi_env env, napi_callback_info info);

// readFiles(rows, descriptors, offset)
napi_value read_into_rows(napi_env env, napi_callback_info info);

#endif
