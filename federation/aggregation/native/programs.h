// Elementwise programs as the add-on takes them from JavaScript: what they refer to is checked before anything runs.
#ifndef TRIBUTARY_PROGRAMS_H
#define TRIBUTARY_PROGRAMS_H

#include "arguments.h"

// runElementwise(program, scalars, vectors, threads)
napi_value run_elementwise(napi_env env, napi_callback_info info);

#endif
