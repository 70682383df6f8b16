/* SPDX-License-Identifier: PostgreSQL */
/* The file of a log, and the queue of lines before it. */
#include "io/clock.h"
#include "runtime/log_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define QUEUE_LINES  4096u
#define CHANGES_MOST 8u /* of the file, that wait in the queue */

/* At the end a writer that gets no line out for so long is left behind: a pipe that nobody
 * reads would hold the process for ever. */
#define STUCK_US 2000000u

/* A line; or, without text, the file that the lines behind it go to. */
struct queued_line {
    struct queued_line *next;
    int                 fd;
    size_t              len;
    char                text[];
};

struct log {
    atomic_int           levels[EVENT_COUNT];
    atomic_int           format;
    size_t               queue_lines;
    char                *file; /* NULL: standard error */
    bool                 has_file;
    int                  fd; /* the writer's, who alone closes it; -1: none yet */
    pthread_t            writer;
    pthread_mutex_t      lock;
    pthread_cond_t       work;
    pthread_cond_t       end;
    struct queued_line  *first;
    struct queued_line **last;
    struct queued_line  *change; /* of the file: the newest among them */
    unsigned             changes;
    size_t               queued;
    uint64_t             dropped;
    uint64_t             dropped_told;
    bool                 stopping;
    bool                 has_ended;  /* the writer has */
    atomic_uint          lines;      /* that it is done with */
    bool                 is_failing; /* the writer's: the last line could not be written */
};

/* ---- the writer ---- */

static bool write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, text, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        text += n;
        len -= (size_t)n;
    }
    return true;
}

/* On a full disk a line may have been cut: the next one begins anew. */
static void write_line(struct log *log, const struct queued_line *line)
{
    bool was_failing = log->is_failing;

    log->is_failing = (was_failing && !write_all(log->fd, "\n", 1)) ||
                      !write_all(log->fd, line->text, line->len);
    if (!log->is_failing)
        return;
    pthread_mutex_lock(&log->lock);
    log->dropped++;
    pthread_mutex_unlock(&log->lock);
}

static void change_fd(struct log *log, int fd)
{
    if (log->fd >= 0)
        close(log->fd);
    log->fd = fd;
    log->is_failing = false;
}

static void write_lines(struct log *log, struct queued_line *line)
{
    while (line != NULL) {
        struct queued_line *next = line->next;

        if (line->len > 0)
            write_line(log, line);
        else
            change_fd(log, line->fd);
        free(line);
        line = next;
        atomic_fetch_add_explicit(&log->lines, 1, memory_order_relaxed);
    }
}

/* What was dropped since this was told; 0 while telling it would be dropped as well. */
static uint64_t newly_dropped(struct log *log)
{
    uint64_t count = 0;

    pthread_mutex_lock(&log->lock);
    if (!log->is_failing) {
        count = log->dropped - log->dropped_told;
        log->dropped_told = log->dropped;
    }
    pthread_mutex_unlock(&log->lock);
    return count;
}

static void tell_dropped(struct log *log)
{
    uint64_t        count = newly_dropped(log);
    struct log_line line;

    if (count > 0 && log_begin(&line, log, EVENT_LOG_DROPPED)) {
        log_number(&line, "lines", count);
        log_end(&line);
    }
}

/* Takes all that waits; NULL when the log is stopping and nothing is left. */
static struct queued_line *take_lines(struct log *log)
{
    struct queued_line *lines;

    pthread_mutex_lock(&log->lock);
    while (log->first == NULL && !log->stopping)
        pthread_cond_wait(&log->work, &log->lock);
    lines = log->first;
    log->first = NULL;
    log->last = &log->first;
    log->changes = 0;
    log->queued = 0;
    pthread_mutex_unlock(&log->lock);
    return lines;
}

static void *writer_main(void *argument)
{
    struct log         *log = argument;
    struct queued_line *lines;

    while ((lines = take_lines(log)) != NULL) {
        write_lines(log, lines);
        tell_dropped(log);
    }
    pthread_mutex_lock(&log->lock);
    log->has_ended = true;
    pthread_cond_signal(&log->end);
    pthread_mutex_unlock(&log->lock);
    return NULL;
}

/* ---- files ---- */

/* Without O_NONBLOCK the open of a FIFO would wait for its reader. */
static enum fail open_file(const char *file, int *fd, struct failure *why)
{
    if (file == NULL)
        *fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    else
        *fd =
            open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    if (*fd < 0) {
        if (errno == EACCES)
            fail_hint(why, "uid %u must be able to write to it, and to its folder",
                      (unsigned)geteuid());
        return fail_errno(why, errno, "cannot open %s", file != NULL ? file : "standard error");
    }
    if (file != NULL)
        fcntl(*fd, F_SETFL, O_APPEND);
    return FAIL_NONE;
}

static void append_line(struct log *log, struct queued_line *line)
{
    *log->last = line;
    log->last = &line->next;
    pthread_cond_signal(&log->work);
}

/* Takes the descriptor over, also on failure.  Of many that wait the newest gives way: while
 * the writer hangs, each SIGHUP would cost a descriptor. */
static enum fail set_fd(struct log *log, int fd, struct failure *why)
{
    struct queued_line *line = malloc(sizeof *line);
    int                 replaced = -1;

    if (line == NULL) {
        close(fd);
        return fail(why, FAIL_MEMORY, "out of memory");
    }
    *line = (struct queued_line){ .fd = fd };
    pthread_mutex_lock(&log->lock);
    if (log->changes == CHANGES_MOST) {
        replaced = log->change->fd;
        log->change->fd = fd;
    } else {
        log->changes++;
        log->change = line;
        append_line(log, line);
        line = NULL;
    }
    pthread_mutex_unlock(&log->lock);
    if (replaced >= 0)
        close(replaced);
    free(line);
    return FAIL_NONE;
}

enum fail log_reopen(struct log *log, struct failure *why)
{
    int       fd;
    enum fail rc;

    if (log->file == NULL)
        return FAIL_NONE;
    rc = open_file(log->file, &fd, why);
    return rc == FAIL_NONE ? set_fd(log, fd, why) : rc;
}

/* NULL: standard error, or out of memory. */
static char *copy_name(const char *file)
{
    return file != NULL && file[0] != '\0' ? strdup(file) : NULL;
}

static bool is_same_file(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static enum fail change_file(struct log *log, const char *name, struct failure *why)
{
    char     *file = copy_name(name);
    int       fd = -1;
    enum fail rc = FAIL_NONE;

    if (file == NULL && name != NULL && name[0] != '\0')
        return fail(why, FAIL_MEMORY, "out of memory");
    if (!log->has_file || !is_same_file(log->file, file))
        rc = open_file(file, &fd, why);
    if (fd >= 0)
        rc = set_fd(log, fd, why);
    if (rc != FAIL_NONE) {
        free(file);
        return rc;
    }
    free(log->file);
    log->file = file;
    log->has_file = true;
    return FAIL_NONE;
}

enum fail log_configure(struct log *log, const struct log_options *options, struct failure *why)
{
    enum fail rc = change_file(log, options->file, why);

    if (rc != FAIL_NONE)
        return rc;
    for (int event = 0; event < EVENT_COUNT; event++)
        atomic_store(&log->levels[event], (int)options->levels.of[event]);
    atomic_store(&log->format, (int)options->format);
    return FAIL_NONE;
}

/* Waits by a clock that nobody sets. */
static void init_end(struct log *log)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&log->end, &attributes);
    pthread_condattr_destroy(&attributes);
}

/* With the lock held.  False when the writer got no line out meanwhile. */
static bool wait_for_writer(struct log *log)
{
    unsigned        before = atomic_load(&log->lines);
    uint64_t        until_us = clock_monotonic_us() + STUCK_US;
    struct timespec until = { .tv_sec = (time_t)(until_us / 1000000),
                              .tv_nsec = (long)(until_us % 1000000 * 1000) };

    while (!log->has_ended && pthread_cond_timedwait(&log->end, &log->lock, &until) == 0)
        continue;
    return log->has_ended || atomic_load(&log->lines) != before;
}

static struct log *give_up(struct log *log)
{
    write_lines(log, log->first);
    change_fd(log, -1);
    pthread_cond_destroy(&log->work);
    pthread_cond_destroy(&log->end);
    pthread_mutex_destroy(&log->lock);
    free(log->file);
    free(log);
    return NULL;
}

struct log *log_new(const struct log_options *options, struct failure *why)
{
    struct log *log = calloc(1, sizeof *log);
    int         error;

    if (log == NULL) {
        (void)fail(why, FAIL_MEMORY, "out of memory");
        return NULL;
    }
    log->fd = -1;
    log->queue_lines = options->queue_lines != 0 ? options->queue_lines : QUEUE_LINES;
    log->last = &log->first;
    pthread_mutex_init(&log->lock, NULL);
    pthread_cond_init(&log->work, NULL);
    init_end(log);
    if (log_configure(log, options, why) != FAIL_NONE)
        return give_up(log);
    error = pthread_create(&log->writer, NULL, writer_main, log);
    if (error == 0)
        return log;
    (void)fail_errno(why, error, "could not start the log writer");
    return give_up(log);
}

void log_free(struct log *log)
{
    bool has_ended;

    if (log == NULL)
        return;
    pthread_mutex_lock(&log->lock);
    log->stopping = true;
    pthread_cond_signal(&log->work);
    while (!log->has_ended && wait_for_writer(log))
        continue;
    has_ended = log->has_ended;
    pthread_mutex_unlock(&log->lock);
    if (!has_ended) {
        pthread_detach(log->writer); /* which still has the log */
        return;
    }
    pthread_join(log->writer, NULL);
    (void)give_up(log);
}

void log_enqueue(struct log *log, const char *text, size_t len)
{
    struct queued_line *line = malloc(sizeof *line + len);

    if (line != NULL) {
        *line = (struct queued_line){ .fd = -1, .len = len };
        memcpy(line->text, text, len);
    }
    pthread_mutex_lock(&log->lock);
    if (line == NULL || log->queued >= log->queue_lines) {
        log->dropped++;
        free(line);
    } else {
        log->queued++;
        append_line(log, line);
    }
    pthread_mutex_unlock(&log->lock);
}

bool log_takes(const struct log *log, enum log_event event, enum log_level level)
{
    return log != NULL &&
           (int)level >= atomic_load_explicit(&log->levels[event], memory_order_relaxed);
}

bool log_is_json(const struct log *log)
{
    return atomic_load_explicit(&log->format, memory_order_relaxed) == LOG_JSON;
}

uint64_t log_dropped(const struct log *log)
{
    struct log *unlocked = (struct log *)log;
    uint64_t    dropped;

    pthread_mutex_lock(&unlocked->lock);
    dropped = log->dropped;
    pthread_mutex_unlock(&unlocked->lock);
    return dropped;
}
