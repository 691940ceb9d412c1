// Google Benchmark decides how many iterations a repetition takes and times them; everything else is C.
//
// Real time decides (UseRealTime): by default the CPU time of the main thread would, which for a parallel kernel is
// neither. Reports go to a collecting reporter and not to the library's own: Debian's 1.7.1 prints a warning that it is a
// DEBUG build, which it is not, and counts a failed benchmark as a success.
#include "gbench_shim.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdio>
#include <vector>

namespace
{

class Collector final : public benchmark::BenchmarkReporter
{
public:
  Collector(gbench_repetition *repetition, int wanted) : repetition_(repetition), wanted_(wanted) {}

  bool ReportContext(const Context &) override { return true; }

  void ReportRuns(const std::vector<Run> &runs) override
  {
    for (const Run &run : runs) {
      if (run.run_type != Run::RT_Iteration) continue;
      if (run.error_occurred || run.iterations <= 0) {
        failed_ = true;
      } else if (count_ < wanted_) {
        const double iterations = static_cast<double>(run.iterations);
        repetition_[count_++] = {run.real_accumulated_time / iterations, run.cpu_accumulated_time / iterations,
                                 static_cast<int64_t>(run.iterations)};
      }
    }
  }

  bool complete() const { return !failed_ && count_ == wanted_; }

private:
  gbench_repetition *repetition_;
  int wanted_, count_ = 0;
  bool failed_ = false;
};

template <size_t n> void copy_text(char (&to)[n], const std::string &from) { std::snprintf(to, n, "%s", from.c_str()); }

} // namespace

extern "C" bool gbench_time(const char *name, const gbench_job *job, gbench_repetition *repetition)
{
  // Once a callback said no, what remains ends at once. Batches of the first repetition, which become longer until one is
  // long enough, are given up, and all after them. Later ones are of that length and run through without a step: 1.7.1
  // aborts the process when it finds repetitions of different lengths beside two good ones.
  bool stopped = false, given_up = false;
  benchmark::IterationCount iterations = 0;
  auto body = [&](benchmark::State &state) {
    const bool first = state.max_iterations != iterations;
    iterations = state.max_iterations;
    stopped = stopped || !job->before(job->context);
    for (auto _ : state) {
      if (!stopped && job->step(job->context)) continue;
      stopped = true;
      if (!first && !given_up) continue;
      given_up = true;
      state.SkipWithError("stopped");
      break;
    }
  };
  Collector collector(repetition, job->repetitions);
  benchmark::ClearRegisteredBenchmarks();
  benchmark::RegisterBenchmark(name, body)
      ->UseRealTime()
      ->MeasureProcessCPUTime()
      ->MinTime(job->min_time_s)
      ->Repetitions(job->repetitions);
  benchmark::RunSpecifiedBenchmarks(&collector, ".");
  benchmark::ClearRegisteredBenchmarks();
  return !stopped && collector.complete();
}

extern "C" void gbench_machine_get(gbench_machine *machine)
{
  const benchmark::CPUInfo &cpu = benchmark::CPUInfo::Get();
  *machine = gbench_machine();
  copy_text(machine->host_name, benchmark::SystemInfo::Get().name);
  machine->num_cpus = cpu.num_cpus;
  machine->mhz_per_cpu = cpu.cycles_per_second / 1e6;
  machine->cpu_scaling = cpu.scaling == benchmark::CPUInfo::ENABLED    ? 1
                         : cpu.scaling == benchmark::CPUInfo::DISABLED ? 0
                                                                       : -1;
  for (const auto &cache : cpu.caches) {
    if (machine->caches == GBENCH_MAX_CACHES) break;
    auto &to = machine->cache[machine->caches++];
    copy_text(to.type, cache.type);
    to.level = cache.level;
    to.size_bytes = cache.size;
    to.num_sharing = cache.num_sharing;
  }
  machine->loads = static_cast<int>(std::min<size_t>(cpu.load_avg.size(), GBENCH_MAX_LOADS));
  for (int i = 0; i < machine->loads; i++) machine->load_avg[i] = cpu.load_avg[static_cast<size_t>(i)];
}
