// Arguments from JavaScript: each function gives what was asked for, or throws and gives nothing.
#ifndef TRIBUTARY_ARGUMENTS_H
#define TRIBUTARY_ARGUMENTS_H

#define NAPI_VERSION 8
#include <node_api.h>

#include <stdbool.h>
#include <stddef.h>

#include "kernels.h"

// Throws a RangeError.
napi_value refuse(napi_env env, const char *message);

// The elements of a typed array of this type; false, having thrown, for anything else.
bool elements(napi_env env, napi_value value, napi_typedarray_type wanted, void **data, size_t *length);

// The kernels that a function was exported with, and its arguments; NULL after throwing.
const kernel_table *take_arguments(napi_env env, napi_callback_info info, size_t wanted, napi_value *arguments);

bool take_size(napi_env env, napi_value value, size_t *size);

#endif
