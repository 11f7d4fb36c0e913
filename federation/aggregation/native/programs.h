// Elementwise programs as the add-on takes them from JavaScript: what they refer to is checked before anything runs. Also what
// addon.c offers for taking arguments.
#ifndef TRIBUTARY_PROGRAMS_H
#define TRIBUTARY_PROGRAMS_H

#include <node_api.h>
#include <stdbool.h>

#include "kernels.h"

// Throws a RangeError; returns NULL.
napi_value refuse(napi_env env, const char *message);
// The elements of a typed array of this type; false, having thrown, for anything else.
bool elements(napi_env env, napi_value value, napi_typedarray_type wanted, void **data, size_t *length);
// The kernels that a function was exported with, and its arguments; NULL after throwing.
const kernel_table *take_arguments(napi_env env, napi_callback_info info, size_t wanted, napi_value *arguments);
// A whole number from 0 on; false after throwing.
bool take_size(napi_env env, napi_value value, size_t *size);

// runElementwise(program, scalars, vectors, threads)
napi_value run_elementwise(napi_env env, napi_callback_info info);

#endif
