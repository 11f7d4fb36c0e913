// See arguments.h.
#include "arguments.h"

napi_value refuse(napi_env env, const char *message) {
  napi_throw_range_error(env, NULL, message);
  return NULL;
}

bool elements(napi_env env, napi_value value, napi_typedarray_type wanted, void **data, size_t *length) {
  bool is_array = false;
  napi_typedarray_type type;
  if (napi_is_typedarray(env, value, &is_array) == napi_ok && is_array &&
      napi_get_typedarray_info(env, value, &type, length, data, NULL, NULL) == napi_ok && type == wanted) {
    return true;
  }
  napi_throw_type_error(env, NULL, "an argument is not a typed array of the type that the kernel takes");
  return false;
}

const kernel_table *take_arguments(napi_env env, napi_callback_info info, size_t wanted, napi_value *arguments) {
  size_t count = wanted;
  void *kernels;
  if (napi_get_cb_info(env, info, &count, arguments, NULL, &kernels) == napi_ok && count == wanted) return kernels;
  napi_throw_type_error(env, NULL, "wrong number of arguments");
  return NULL;
}

bool take_size(napi_env env, napi_value value, size_t *size) {
  double number;
  if (napi_get_value_double(env, value, &number) == napi_ok && number >= 0 && number < 9007199254740992.0 &&
      (double)(size_t)number == number) {
    *size = (size_t)number;
    return true;
  }
  napi_throw_range_error(env, NULL, "a number is not a whole number from 0 on");
  return false;
}
