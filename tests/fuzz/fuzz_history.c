/* A history that somebody else made: bytes of a database file, a sound file with bytes changed, or sound tables without
 * their constraints that hold any values. Everything that reads it refuses it with a message, or shows text that does no
 * harm to a terminal; then a run is added. */
#include "fuzz.h"

#include "../../tools/history/history_view.h"
#include "../kernels/draw.h"

#include <fcntl.h>
#include <jansson.h>
#include <sqlite3.h>
#include <unistd.h>

static char folder[4096], path[4200];
static unsigned char *sound; /* a history of two runs */
static size_t sound_bytes;
static struct results sample;

static void remove_folder(void)
{
  char command[4200];
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  if (system(command)) perror("fuzz_history: rm");
}

/* The file and what SQLite keeps beside it. */
static void forget_file(void)
{
  static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
  for (int i = 0; i < 4; i++) {
    char name[sizeof path + 16];
    snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
    unlink(name);
  }
}

static void put_file(const void *data, size_t size)
{
  const int f = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  REQUIRE(f >= 0 && write(f, data, size) == (ssize_t)size);
  close(f);
}

static void prepare(void)
{
  static const char document[] =
      "{\"context\": {\"date\": \"2026-01-01T12:00:00+00:00\", \"host_name\": \"h\", \"num_cpus\": 2}, \"benchmarks\": ["
      "{\"name\": \"a\", \"run_type\": \"iteration\", \"repetition_index\": 0, \"real_time\": 2.5, \"time_unit\": \"ns\", "
      "\"gflops\": 3},"
      "{\"name\": \"a\", \"run_type\": \"iteration\", \"repetition_index\": 1, \"real_time\": 2.6, \"time_unit\": \"ns\", "
      "\"gflops\": 4},"
      "{\"name\": \"b\", \"run_type\": \"iteration\", \"repetition_index\": 0, \"real_time\": 9, \"time_unit\": \"ns\"}]}";
  const char *tmp = getenv("TMPDIR");
  char error[1024];
  snprintf(folder, sizeof folder, "%s/fuzz-history-XXXXXX", tmp ? tmp : access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
  REQUIRE(mkdtemp(folder));
  atexit(remove_folder);
  snprintf(path, sizeof path, "%s/runs.db", folder);
  REQUIRE(results_parse(&sample, "sample", document, sizeof document - 1, error, sizeof error));
  sqlite3 *handle; /* small pages: bytes that are changed at random meet more of what has a meaning */
  REQUIRE(sqlite3_open(path, &handle) == SQLITE_OK);
  REQUIRE(sqlite3_exec(handle, "PRAGMA page_size = 512; VACUUM", NULL, NULL, NULL) == SQLITE_OK);
  sqlite3_close(handle);
  struct history h;
  struct complaint why = {""};
  int64_t run;
  bool was_there;
  REQUIRE(history_open(&h, path, DATABASE_CREATE, &why));
  for (int i = 0; i < 2; i++)
    REQUIRE(history_add(&h, &sample, &(struct history_labels){.commit = i ? "c1" : "c0"}, &run, &was_there, &why));
  history_close(&h);
  REQUIRE(sqlite3_open(path, &handle) == SQLITE_OK);
  REQUIRE(sqlite3_exec(handle, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL) == SQLITE_OK);
  sqlite3_close(handle);
  FILE *f = fopen(path, "r");
  REQUIRE(f && !fseek(f, 0, SEEK_END));
  sound_bytes = (size_t)ftell(f);
  rewind(f);
  sound = malloc(sound_bytes);
  REQUIRE(sound && fread(sound, 1, sound_bytes, f) == sound_bytes);
  fclose(f);
}

/* Three bytes a change: where, and what. An odd byte left over: how much of the file's end is missing. */
static void put_changed(struct draw *d)
{
  unsigned char *copy = malloc(sound_bytes);
  REQUIRE(copy);
  memcpy(copy, sound, sound_bytes);
  while (d->left >= 3) {
    const int64_t at = draw_below(d, (int64_t)sound_bytes);
    copy[at] = draw_byte(d);
  }
  put_file(copy, d->left == 1 ? sound_bytes - (size_t)draw_below(d, 256) * 64 % sound_bytes : sound_bytes);
  free(copy);
}

static void bind_any(sqlite3_stmt *statement, int column, bool number, struct draw *d)
{
  static const char *const texts[] = {"",
                                      "2026-01-01T12:00:00+00:00",
                                      "a",
                                      "{\"context\": {}, \"x\": 1}",
                                      "{\"context\": 1}",
                                      "[1, 2.5, null]",
                                      "[\"a\", {}]",
                                      "{\"gflops\": [1, null], \"real_time\": 7, \"name\": 3}",
                                      "\x1b]0;x\x07\n",
                                      "\xff\xfe",
                                      "attn/fwd_f32_avx2/f32/B:1/Hq:1/Hkv:1/Sq:64/Skv:64/Dqk:16/Dv:16/none/T:1/real_time"};
  static const double reals[] = {0, -1, 1e308, 1e-320, 2.5, 9e18, -9e18};
  static char long_text[3000];
  char any[24];
  size_t n = 0;
  if (!*long_text) memset(long_text, 'x', sizeof long_text - 1);
  switch (draw_below(d, 8)) {
  case 0: sqlite3_bind_null(statement, column); break;
  case 1: sqlite3_bind_double(statement, column, reals[draw_below(d, 7)]); break;
  case 2: sqlite3_bind_int64(statement, column, draw_below(d, 8) ? draw_below(d, 4) : INT64_MIN); break;
  case 3: sqlite3_bind_zeroblob(statement, column, (int)draw_below(d, 100)); break;
  case 4:
    for (n = (size_t)draw_below(d, sizeof any); n > 0; n--) any[n - 1] = (char)draw_byte(d);
    sqlite3_bind_text(statement, column, any, (int)draw_below(d, sizeof any), SQLITE_TRANSIENT);
    break;
  case 5: sqlite3_bind_text(statement, column, long_text, -1, SQLITE_STATIC); break;
  default:
    if (number)
      sqlite3_bind_int64(statement, column, 1 + draw_below(d, 3));
    else
      sqlite3_bind_text(statement, column, texts[draw_below(d, sizeof texts / sizeof *texts)], -1, SQLITE_STATIC);
  }
}

static void put_tables(struct draw *d)
{
  static const struct {
    const char *sql;
    int columns;
    const char *numbers; /* what their columns are, most of the time: 'n' or text */
  } tables[] = {
      {"INSERT OR IGNORE INTO attnbench_run VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15)", 15,
       "nttttnnttttttnt"},
      {"INSERT OR IGNORE INTO attnbench_row VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)", 12, "nnttnnnnnttt"}};
  sqlite3 *handle;
  REQUIRE(sqlite3_open(path, &handle) == SQLITE_OK);
  REQUIRE(sqlite3_exec(handle,
                       "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA application_id = 1635020386; "
                       "PRAGMA user_version = 2; BEGIN;"
                       "CREATE TABLE attnbench_run (id INTEGER PRIMARY KEY, digest, machine, machine_name, cpu, features, "
                       "cpus, commit_name, binary_hash, method, version, compiler, date, time_s, rest);"
                       "CREATE TABLE attnbench_row (run, position, name, label, n, only_aggregate, median_ns, low_ns, "
                       "high_ns, times_ns, cpu_ns, counters)",
                       NULL, NULL, NULL) == SQLITE_OK);
  for (int rows = 0; rows < 12 && d->left; rows++) {
    const bool second = draw_below(d, 3);
    sqlite3_stmt *statement;
    REQUIRE(sqlite3_prepare_v2(handle, tables[second].sql, -1, &statement, NULL) == SQLITE_OK);
    for (int i = 0; i < tables[second].columns; i++) bind_any(statement, i + 1, tables[second].numbers[i] == 'n', d);
    sqlite3_step(statement); /* an id that is none is refused */
    sqlite3_finalize(statement);
  }
  if (draw_below(d, 16) == 1) sqlite3_exec(handle, "CREATE VIEW other AS SELECT 1", NULL, NULL, NULL);
  REQUIRE(sqlite3_exec(handle, "COMMIT", NULL, NULL, NULL) == SQLITE_OK);
  sqlite3_close(handle);
}

/* What is shown goes through here. */
static struct {
  FILE *out;
  char *text;
  size_t bytes;
} shown;

static void shown_begin(void) { REQUIRE((shown.out = open_memstream(&shown.text, &shown.bytes))); }

static void shown_end(void)
{
  REQUIRE(!fclose(shown.out));
  for (size_t i = 0; i < shown.bytes; i++)
    REQUIRE(shown.text[i] == '\n' || ((unsigned char)shown.text[i] >= ' ' && shown.text[i] != 0x7f));
  free(shown.text);
}

static void show_runs(struct history *h, struct complaint *why)
{
  struct history_runs runs;
  if (!history_runs_read(h, &(struct history_filter){0}, &runs, why)) {
    require_message(why->text);
    return;
  }
  shown_begin();
  history_print_runs(shown.out, &runs);
  history_print_runs_json(shown.out, &runs);
  for (int i = 0; i < runs.count && i < 4; i++) {
    struct results results;
    char *document = history_document(h, runs.run[i].id, why);
    if (!document) require_message(why->text);
    if (document && results_parse(&results, "history", document, strlen(document), why->text, sizeof why->text)) {
      history_print_run(shown.out, &runs.run[i], &results, NULL);
      results_free(&results);
    } else {
      require_message(why->text);
    }
    free(document);
  }
  history_runs_free(&runs);
  shown_end();
}

static void show_trend(struct history *h, struct complaint *why)
{
  struct history_trend trend;
  if (!history_trend_read(h, &(struct history_trend_options){0}, &trend, why)) {
    require_message(why->text);
    return;
  }
  shown_begin();
  history_print_trend(shown.out, &trend, false, false);
  json_decref(history_trend_json(&trend));
  history_trend_free(&trend);
  shown_end();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (!sound) prepare();
  if (size < 2) return -1;
  struct draw d = {.bytes = data + 1, .left = size - 1};
  forget_file();
  switch (data[0] % 4) {
  case 0: put_file(data + 1, size - 1); break;
  case 1: put_changed(&d); break;
  default: put_tables(&d);
  }
  struct history h;
  struct complaint why = {""};
  if (!history_open(&h, path, DATABASE_READ, &why)) {
    require_message(why.text);
    return 0;
  }
  show_runs(&h, &why);
  show_trend(&h, &why);
  history_close(&h);
  if (data[0] & 64) return 0;
  int64_t run;
  bool was_there;
  if (history_open(&h, path, DATABASE_WRITE, &why) &&
      history_add(&h, &sample, &(struct history_labels){0}, &run, &was_there, &why))
    REQUIRE(run > 0 || was_there);
  else
    require_message(why.text);
  history_close(&h);
  return 0;
}
