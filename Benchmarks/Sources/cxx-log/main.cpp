// The same by spdlog: cxx-log sync|async|async-drop THREADS LINES FILE [each].
#include <spdlog/async.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

using Clock = std::chrono::steady_clock;

int main(int count, char **words) {
  if (count < 5) return 64;
  std::string kind = words[1];
  int threads = atoi(words[2]);
  long lines = atol(words[3]);
  bool each = !strcmp(words[count - 1], "each");
  std::shared_ptr<spdlog::logger> log;
  if (kind == "sync") {
    log = spdlog::basic_logger_mt("app", words[4]);
  } else {
    // As many lines as ours has room for.
    spdlog::init_thread_pool(65536, 1);
    auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(words[4]);
    auto full = kind == "async" ? spdlog::async_overflow_policy::block : spdlog::async_overflow_policy::overrun_oldest;
    log = std::make_shared<spdlog::async_logger>("app", sink, spdlog::thread_pool(), full);
  }
  std::vector<std::vector<long>> took(threads);
  auto work = [&](int thread) {
    if (each) took[thread].reserve(lines);
    for (long i = 0; i < lines; i++) {
      auto start = each ? Clock::now() : Clock::time_point();
      log->info("path={} status={} {}", "/a/directory/of/files/index.html", "200", "a request was answered well");
      if (each) took[thread].push_back((Clock::now() - start).count());
    }
  };
  auto begun = Clock::now();
  std::vector<std::thread> others;
  for (int i = 0; i < threads; i++) others.emplace_back(work, i);
  for (auto &other : others) other.join();
  auto called = Clock::now();
  if (kind != "async-drop") {
    log.reset();
    spdlog::shutdown();
  }
  auto ended = Clock::now();
  auto seconds = [](auto time) { return std::chrono::duration<double>(time).count(); };
  printf("%g %g", seconds(called - begun) / lines * 1e9, threads * lines / seconds(ended - begun));
  if (each) {
    std::vector<long> all;
    for (auto &some : took) all.insert(all.end(), some.begin(), some.end());
    std::sort(all.begin(), all.end());
    printf(" %ld %ld", all[all.size() / 2], all[all.size() - all.size() / 1000 - 1]);
  }
  printf("\n");
  fflush(stdout);
  // What a sink that takes nothing has not taken is not waited for.
  quick_exit(0);
}
