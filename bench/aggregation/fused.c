// The limit that the kernels are held against: a weighted sum of 8 updates a pass in float32, compiled for this processor
// alone. `fused <updates> <values>`: for each line of standard input it sums once and writes the processor seconds.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FUSED 8

static double processor_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void add_fused(float *restrict sums, float *const *u, const float *w, size_t values) {
  for (size_t i = 0; i < values; i++) {
    sums[i] += w[0] * u[0][i] + w[1] * u[1][i] + w[2] * u[2][i] + w[3] * u[3][i] + w[4] * u[4][i] + w[5] * u[5][i] +
               w[6] * u[6][i] + w[7] * u[7][i];
  }
}

static void add_one(float *restrict sums, const float *u, float w, size_t values) {
  for (size_t i = 0; i < values; i++) sums[i] += w * u[i];
}

int main(int count, char **arguments) {
  size_t updates = count > 2 ? strtoul(arguments[1], NULL, 10) : 0, values = count > 2 ? strtoul(arguments[2], NULL, 10) : 0;
  float **u = malloc(updates * sizeof *u), *w = malloc(updates * sizeof *w), *sums = aligned_alloc(64, values * sizeof *sums);
  for (size_t k = 0; k < updates; k++) {
    w[k] = (float)(100 + k);
    u[k] = aligned_alloc(64, values * sizeof **u);
    for (size_t i = 0; i < values; i++) u[k][i] = (float)((i * 2654435761u + k) % 1000) * 0.001f - 0.5f;
  }
  memset(sums, 0, values * sizeof *sums);
  char line[64];
  printf("{}\n");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin)) {
    double started = processor_seconds();
    memset(sums, 0, values * sizeof *sums);
    size_t k = 0;
    for (; k + FUSED <= updates; k += FUSED) add_fused(sums, u + k, w + k, values);
    for (; k < updates; k++) add_one(sums, u[k], w[k], values);
    printf("{\"seconds\": %.6f, \"sum\": %g}\n", processor_seconds() - started, (double)sums[values / 2]);
    fflush(stdout);
  }
  return 0;
}
