// The same by C's stdio, with a buffer of 64 KiB: c-log stdio THREADS LINES FILE [each].
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static FILE *file;
static long lines;
static int each;

static long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000L + time.tv_nsec;
}

static int by_size(const void *a, const void *b) { return (*(long *)a > *(long *)b) - (*(long *)a < *(long *)b); }

static void *work(void *took) {
  char stamp[64] = "";
  time_t last = 0;
  for (long i = 0; i < lines; i++) {
    long start = each ? now() : 0;
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    if (time.tv_sec != last) {
      struct tm parts;
      last = time.tv_sec;
      strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S%z", localtime_r(&last, &parts));
    }
    fprintf(file, "%s info app: path=%s status=%s [logger] %s\n", stamp, "/a/directory/of/files/index.html", "200",
            "a request was answered well");
    if (each) ((long *)took)[i] = now() - start;
  }
  return NULL;
}

int main(int count, char **words) {
  if (count < 5 || !(file = fopen(words[4], "a"))) return 64;
  setvbuf(file, malloc(1 << 16), _IOFBF, 1 << 16);
  int threads = atoi(words[2]);
  lines = atol(words[3]);
  each = !strcmp(words[count - 1], "each");
  long *took = each ? calloc(threads * lines, sizeof *took) : NULL;
  pthread_t ids[64];
  long begun = now();
  for (int i = 0; i < threads; i++) pthread_create(&ids[i], NULL, work, took + i * lines);
  for (int i = 0; i < threads; i++) pthread_join(ids[i], NULL);
  long called = now();
  fclose(file);
  printf("%g %g", (double)(called - begun) / lines, threads * lines / ((now() - begun) / 1e9));
  if (each) {
    long all = threads * lines;
    qsort(took, all, sizeof *took, by_size);
    printf(" %ld %ld", took[all / 2], took[all - all / 1000 - 1]);
  }
  printf("\n");
}
